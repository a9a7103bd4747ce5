"""circus.ini → chapiteau.toml."""

from chapiteau.migrate.circus.importer import import_circus

__all__ = ["import_circus"]
