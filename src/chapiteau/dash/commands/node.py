"""`chapiteau node join | leave | run | status`: this server under another one's hub."""

import asyncio
import socket
from pathlib import Path

import click

from chapiteau.dash.commands.options import CONFIG
from chapiteau.plumbing.console import print_json

__all__ = ["group"]


@click.group()
def group() -> None:
    """This server as a node: it dials the hub, nothing listens here.

    \b
    chapiteau node join ADDRESS TOKEN   as `chapiteau hub token` printed it
    chapiteau node run                  keep the connection (the supervisor does it for you)
    """


@group.command()
@click.argument("address")
@click.argument("token")
@click.option("--name", help="Its name on the page. Default: the host name.")
@CONFIG
def join(address: str, token: str, name: str | None, config: Path | None) -> None:
    """Join a hub: makes a key, has it signed, and keeps both in RUN_DIR/node."""
    from chapiteau.dash.engine.cluster.membership import hub_address
    from chapiteau.dash.engine.cluster.membership import join as join_hub
    from chapiteau.dash.engine.project import read_project
    from chapiteau.dash.logic.tokens import node_name, parse_token

    project = read_project(config)
    parsed, place = parse_token(token), hub_address(address)
    wanted = node_name(name or socket.gethostname())
    made = asyncio.run(join_hub(project.papers, place, parsed, wanted))
    click.echo(f"joined {address} as {made.name}", err=True)
    click.echo("connect: chapiteau down; chapiteau up -d — or now: chapiteau node run", err=True)


@group.command()
@CONFIG
def leave(config: Path | None) -> None:
    """Forget the hub. There, `chapiteau hub revoke` makes it final."""
    from chapiteau.dash.engine.cluster.membership import Membership
    from chapiteau.dash.engine.project import read_project

    membership = Membership(read_project(config).papers)
    membership.leave()
    click.echo(f"{membership.name} has left; on the hub: chapiteau hub revoke {membership.name}")


@group.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(config: Path | None, as_json: bool) -> None:
    """Which hub this server belongs to."""
    from chapiteau.dash.engine.cluster.membership import Membership
    from chapiteau.dash.engine.project import read_project

    membership = Membership(read_project(config).papers)
    host, port = membership.address
    if as_json:
        print_json({"name": membership.name, "host": host, "port": port})
    else:
        click.echo(f"{membership.name} belongs to the hub at {host}:{port}")


@group.command()
@CONFIG
def run(config: Path | None) -> None:
    """Keep the connection to the hub until stopped."""
    from chapiteau.dash.engine.cluster.running import run_agent
    from chapiteau.dash.engine.project import read_project

    asyncio.run(run_agent(read_project(config), lambda text: click.echo(text, err=True)))
