"""systemd's service and socket units → chapiteau.toml."""

from chapiteau.migrate.systemd.importer import import_systemd

__all__ = ["import_systemd"]
