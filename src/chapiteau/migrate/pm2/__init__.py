"""PM2's ecosystem file (JSON, YAML, or JavaScript literals) → chapiteau.toml."""

from chapiteau.migrate.pm2.importer import import_pm2

__all__ = ["import_pm2"]
