"""supervisord.conf → chapiteau.toml."""

from chapiteau.run.logic.imports.supervisord.file import import_supervisord

__all__ = ["import_supervisord"]
