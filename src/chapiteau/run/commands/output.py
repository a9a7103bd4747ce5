"""`logs` and `events`: what the services say, and what happened to them."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from chapiteau.core.errors import UsageError
from chapiteau.core.text import printable
from chapiteau.plumbing.clock import SystemClock
from chapiteau.plumbing.console import colour_wanted, print_json
from chapiteau.run.client.blocking import Client
from chapiteau.run.commands.lines import LinePrinter, event_line
from chapiteau.run.commands.options import DURATION, ServiceName, as_json, config_option
from chapiteau.run.commands.patience import keep_following
from chapiteau.run.logic.events import Happening
from chapiteau.run.logic.messages import LogLine, LogQuery, Lost

__all__ = ["events", "logs"]

_follow = click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
_since = click.option(
    "--since", metavar="TIME", help="Only what is younger than this: 10m, or 2026-01-31T12:00."
)


@click.command("logs")
@click.argument("names", nargs=-1, type=ServiceName())
@_follow
@click.option("-n", "--last", default=100, show_default=True, help="How many old lines at first.")
@click.option("--process", type=click.IntRange(0), default=0, help="Only this process.")
@click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only this stream.")
@click.option("--grep", default="", metavar="REGEX", help="Only lines in which this is found.")
@click.option("--level", default="", help="Only lines of this level and above.")
@_since
@config_option
@as_json
def logs(  # noqa: PLR0913 — one argument per filter
    names: tuple[str, ...],
    follow: bool,
    last: int,
    process: int,
    stream: str | None,
    grep: str,
    level: str,
    since: str | None,
    config: str | None,
    json_wanted: bool,
) -> None:
    """Output of the services.

    \b
    chapiteau logs -f
    chapiteau logs web -n 20 --grep 'HTTP/1.1" 5'
    chapiteau logs --since 10m --json worker
    """
    query = LogQuery(
        services=names,
        process=process,
        stream=stream or "",
        last=last,
        follow=follow,
        grep=grep,
        level=level,
        since=_moment(since),
    )
    client = Client.find(config)
    items = keep_following(client, query) if follow else client.logs(query)
    printer = LinePrinter(colour=colour_wanted())
    for item in items:
        if json_wanted:
            print_json({"lost": item.count} if isinstance(item, Lost) else item.to_dict())
        else:
            printer.show(item)
