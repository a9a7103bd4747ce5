"""process-compose.yaml → chapiteau.toml."""

from chapiteau.migrate.process_compose.importer import import_process_compose

__all__ = ["import_process_compose"]
