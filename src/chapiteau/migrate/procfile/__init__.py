"""Procfile (with .env, .foreman and .overmind.env beside it) → chapiteau.toml."""

from chapiteau.migrate.procfile.importer import TABLES, import_procfile, parse_formation

__all__ = ["TABLES", "import_procfile", "parse_formation"]
