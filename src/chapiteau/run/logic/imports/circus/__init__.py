"""circus.ini → chapiteau.toml."""

from chapiteau.run.logic.imports.circus.file import import_circus

__all__ = ["import_circus"]
