"""What the commands of dashboard, hub and node share."""

import asyncio
import contextlib
import getpass
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chapiteau.core.errors import UsageError
from chapiteau.core.text import format_table

if TYPE_CHECKING:
    from chapiteau.dash.nodes.registry import Registry
    from chapiteau.dash.project import Project
    from chapiteau.dash.store import Store

__all__ = [
    "CONFIG",
    "JSON",
    "audit",
    "embedded_only",
    "open_registry",
    "open_store",
    "print_rows",
    "run_server",
]

CONFIG = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    help="The project's file. Default: chapiteau.toml here or in a folder above.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@contextlib.contextmanager
def open_store(project: "Project") -> "Iterator[Store]":
    """The hub's file, to be used in `with`. Raises StorageError where it takes nothing."""
    from chapiteau.dash.store import Store, writing

    with writing(), contextlib.closing(Store(project.store)) as store:
        yield store


@contextlib.contextmanager
def open_registry(project: "Project") -> "Iterator[Registry]":
    """The hub's nodes and tokens, to be used in `with`. Raises StorageError."""
    from chapiteau.dash.nodes.registry import Registry
    from chapiteau.dash.store import writing

    with writing(), contextlib.closing(Registry(project.store)) as registry:
        yield registry


def audit(project: "Project", verb: str, target: str, result: str) -> None:
    """A line of the hub's audit trail, before it is done. Raises StorageError."""
    from chapiteau.io.clock import SystemClock

    now, by = SystemClock().wall(), f"{getpass.getuser()} (command line)"
    with open_store(project) as store:
        store.audit(who=by, verb=verb, target=target, result=result, time=now)


def embedded_only(project: "Project", what: str, hint: str) -> None:
    """Raises UsageError for a hub at a NATS server."""
    if project.hub.nats.url:
        raise UsageError(what, hint=hint)


def print_rows(rows: Sequence[tuple[str, ...]], header: tuple[str, ...], empty: str) -> None:
    """A table, or to stderr what to do when there is nothing."""
    if rows:
        click.echo(format_table(rows, header))
    else:
        click.echo(empty, err=True)


def run_server(config: Path | None, bind: str | None, *, with_hub: bool) -> None:
    """Serve until SIGTERM or SIGINT; prints the link."""
    from chapiteau.dash.project import read_project
    from chapiteau.dash.web.server import Server, serve
    from chapiteau.io.clock import SystemClock

    project = read_project(config)
    host, port = _split(bind) if bind else (project.dash.host, project.dash.port)
    server = Server(
        project,
        host=host,
        port=port,
        exact_port=bind is not None,
        clock=SystemClock(),
        with_hub=with_hub,
    )

    def told(url: str) -> None:
        # Under a supervisor this is a log, and viewers read logs: who has the link is an admin.
        supervised = "NOTIFY_SOCKET" in os.environ
        bare = f"{server.base_url} (a link that logs in: chapiteau dash url)"
        click.echo(f"dashboard {bare if supervised else url}")
        if server.hub is not None and server.hub.cluster is not None:
            click.echo(f"nodes meet it at {server.hub.cluster.where}", err=True)

    asyncio.run(serve(server, told))


def _split(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--bind {bind}: not HOST:PORT", hint="for example --bind 127.0.0.1:8800")
    return host.strip("[]"), int(port)
