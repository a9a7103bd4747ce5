"""supervisord.conf → chapiteau.toml."""

from chapiteau.migrate.supervisord.importer import import_supervisord

__all__ = ["import_supervisord"]
