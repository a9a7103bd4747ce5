"""process-compose.yaml → chapiteau.toml."""

from chapiteau.run.logic.imports.process_compose.file import import_process_compose

__all__ = ["import_process_compose"]
