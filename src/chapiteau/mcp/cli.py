"""`chapiteau mcp`: serve the project's tools to the agent that started this."""

from __future__ import annotations

import asyncio

import click

from chapiteau.io.locate_config import find_config
from chapiteau.run.api.client import run_dir_of
from chapiteau.run.cli.options import config_option

__all__ = ["command"]


@click.command("mcp")
@config_option
def command(config: str | None) -> None:
    """Serve the supervisor's calls to an agent, by the Model Context Protocol.

    \b
    An agent starts it itself, and speaks over its standard input and output:
    claude mcp add shop -- chapiteau mcp -c /srv/shop
    """
    from chapiteau.mcp.serve import make_server, serve_stdio
    from chapiteau.mcp.supervisor import SupervisorTools, server_info

    tools = SupervisorTools(run_dir_of(find_config(config)), "viewer")
    asyncio.run(serve_stdio(make_server(tools, **server_info())))
