"""`chapiteau status`: what runs, and what is wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from chapiteau.run.client.blocking import Client
from chapiteau.run.commands.options import as_json, config_option, service_names

if TYPE_CHECKING:
    from chapiteau.run.logic.status import SupervisorStatus

__all__ = ["command"]


@click.command("status")
@click.argument("names", nargs=-1, shell_complete=service_names)
@config_option
@as_json
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "wide", "json", "name"]),
    default="table",
    help="wide: every process; name: names alone.",
)
def command(names: tuple[str, ...], config: str | None, json_wanted: bool, output: str) -> None:
    """What runs, and what is wrong.

    \b
    chapiteau status              problems, then one line per service
    chapiteau status -o wide      … and one per process
    chapiteau status --json 'web*'
    """
    client = Client.find(config)
    if (json_wanted or output == "json") and not names:
        # The hottest path of all: the answer goes through unread.
        sys.stdout.buffer.write(client.status_json() + b"\n")
        sys.stdout.flush()
        return
    status = _only(client.status(), names)
    if json_wanted or output == "json":
        from chapiteau.plumbing.console import print_json

        print_json(status.to_dict())
    elif output == "name":
        click.echo("\n".join(s.name for s in status.services))
    else:
        from chapiteau.plumbing.clock import SystemClock
        from chapiteau.plumbing.console import colour_wanted
        from chapiteau.run.commands.showing.board import render

        now = SystemClock().wall()
        text = render(status, now, wide=output == "wide", colour=colour_wanted())
        click.echo(text, color=True)


def _only(status: SupervisorStatus, names: tuple[str, ...]) -> SupervisorStatus:
    if not names:
        return status
    from dataclasses import replace

    from chapiteau.run.logic.selection import select

    chosen = set(select(",".join(names), [s.name for s in status.services]))
    return replace(status, services=tuple(s for s in status.services if s.name in chosen))
