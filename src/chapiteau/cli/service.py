"""`chapiteau service`: the list stands here, since to import the framework takes long."""

from typing import Final

import click

from chapiteau.io.lazy_group import LazyGroup

__all__ = ["group"]

_AT: Final = "chapiteau.service.cli"
_TABLE: Final[dict[str, tuple[str, str]]] = {
    "serve": (f"{_AT}.serve:serve", "Serve a WSGI application with one process."),
    "routes": (f"{_AT}.document:routes", "List every operation: method, path, id, summary."),
    "openapi": (f"{_AT}.document:openapi", "Write the OpenAPI document."),
    "check": (f"{_AT}.document:check", "Find what a reader of the document would miss."),
    "diff": (f"{_AT}.document:diff", "Compare two documents: breaking or compatible?"),
    "client": (f"{_AT}.document:client", "Removed: other programs write clients."),
}


@click.command(cls=LazyGroup, table=_TABLE, name="service")
def group() -> None:
    """Web services: serve them, list their routes, write and compare their documents."""
