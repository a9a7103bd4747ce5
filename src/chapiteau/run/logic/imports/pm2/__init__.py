"""PM2's ecosystem file (JSON, YAML, or JavaScript literals) → chapiteau.toml."""

from chapiteau.run.logic.imports.pm2.file import import_pm2

__all__ = ["import_pm2"]
