"""Options that several commands share."""

import asyncio
import os
from pathlib import Path

import click

from chapiteau.core.errors import UsageError

__all__ = ["CONFIG", "run_server"]

CONFIG = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    help="The project's file. Default: chapiteau.toml here or in a folder above.",
)


# Running the dashboard, with or without a port for nodes.


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
        if server.hub is not None and server.hub.center is not None:
            click.echo(f"nodes meet it at {server.hub.center.where}", err=True)

    asyncio.run(serve(server, told))


def _split(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--bind {bind}: not HOST:PORT", hint="for example --bind 127.0.0.1:8800")
    return host.strip("[]"), int(port)
