"""`chapiteau service …` and `chapiteau new`: every command in a module of its own."""

import click

from chapiteau.service.commands.client import client
from chapiteau.service.commands.diff import diff
from chapiteau.service.commands.document import check, openapi, routes
from chapiteau.service.commands.new import new
from chapiteau.service.commands.serve import serve

__all__ = ["group", "new"]


@click.group("service")
def group() -> None:
    """Web services: serve them, list their routes, write and compare their documents."""


for _command in (serve, routes, openapi, check, diff, client):
    group.add_command(_command)
