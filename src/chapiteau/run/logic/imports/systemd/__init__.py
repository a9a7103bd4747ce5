"""systemd's service and socket units → chapiteau.toml."""

from chapiteau.run.logic.imports.systemd.file import import_systemd

__all__ = ["import_systemd"]
