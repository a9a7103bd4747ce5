"""`chapiteau top`: the page's words and keys in a terminal, or plain tables for a pipe."""

import asyncio
import contextlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chapiteau.core.errors import UsageError
from chapiteau.dash.errors import HubGoneError
from chapiteau.run.cli.options import config_option, json_option
from chapiteau.run.cli.top import SORTS, show_top

if TYPE_CHECKING:
    from chapiteau.dash.cli.top.source import Source

__all__ = ["command"]


@click.command("top")
@click.option("--sort", type=click.Choice(SORTS), default="cpu", show_default=True)
@click.option(
    "-n", "--count", type=click.IntRange(1), help="Print plain tables; stop after this many."
)
@click.option("--plain", is_flag=True, help="Print plain tables once a second, also on a terminal.")
@click.option("--hub", "hub", metavar="URL", help="The fleet of this hub instead.")
@click.option("--user", metavar="NAME", help="Your account at that hub; the password is asked for.")
@config_option
@json_option
def command(
    sort: str,
    count: int | None,
    plain: bool,
    hub: str | None,
    user: str | None,
    config: str | None,
    json_wanted: bool,
) -> None:
    """Watch every server, service and process, live; ? lists the keys.

    With the extra [tui] on a terminal: what is wrong, the log, and the actions too. It shows the
    fleet when the project's dashboard runs, else this machine. Without it: a table of this
    machine's processes once a second; into a pipe, once.

    \b
    chapiteau top
    chapiteau top --hub https://ops.example.org --user ana
    chapiteau top --sort memory -n 1
    chapiteau top --json -n 1
    """
    if hub is None and (json_wanted or count or plain or not _screen()):
        # Into a pipe one table is what is wanted; who wants them on and on says --plain.
        once = 1 if not (json_wanted or plain or sys.stdout.isatty()) else None
        show_top(sort=sort, count=count or once, config=config, json_wanted=json_wanted)
        return
    if json_wanted or count or plain:
        raise UsageError(
            "--hub can't be combined with --json, --plain or -n",
            hint="the hub's own API gives JSON: GET /api/fleet",
        )
    if not _screen():
        raise UsageError(
            "--hub needs a terminal, and Textual",
            hint="pip install 'chapiteau[tui]'; scripts ask the hub's API: GET /api/fleet",
        )
    login = {"name": user or click.prompt("User"), "password": _password()} if hub else {}
    asyncio.run(_play(hub, login, config, sort))


def _password() -> str:
    return str(click.prompt("Password", hide_input=True))


async def _play(hub: str | None, login: dict[str, str], config: str | None, sort: str) -> None:
    from chapiteau.dash.cli.top.app import Top

    source = await (_hub(hub, login) if hub else _here(config))
    try:
        await Top(source, sort=sort).run_async()
    finally:
        await source.close()


def _screen() -> bool:
    return (
        sys.stdin.isatty()
        and sys.stdout.isatty()
        and importlib.util.find_spec("textual") is not None
    )


async def _hub(base: str, login: dict[str, str]) -> "Source":
    from chapiteau.dash.cli.top.source import HubSource

    found = HubSource(base.rstrip("/"), login)
    try:
        await found.open()
    except BaseException:
        await found.close()
        raise
    return found


async def _here(config: str | None) -> "Source":
    """The hub of this project when one runs, else its supervisor."""
    from chapiteau.dash.cli.top.source import LocalSource
    from chapiteau.dash.nodes.local import LocalNode
    from chapiteau.dash.project import read_project
    from chapiteau.io.clock import SystemClock
    from chapiteau.run.api.client import Client

    project = read_project(Path(config) if config else None)
    # A file of a dashboard that was killed leads nowhere.
    with contextlib.suppress(OSError, ValueError, KeyError, HubGoneError):
        told = json.loads(project.address_file.read_text())
        token = told["url"].partition("#token=")[2]
        return await _hub(told["base"], {"token": token})
    # No supervisor either: say so now, in words, instead of an empty screen.
    status = Client.find(config).status()
    clock = SystemClock()
    return LocalSource(LocalNode(status.node, project.run_dir, clock), clock)
