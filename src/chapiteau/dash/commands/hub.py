"""`chapiteau hub up | token | nodes | revoke`: one page for many servers."""

import secrets
import socket
from pathlib import Path

import click

from chapiteau.dash.commands.options import CONFIG
from chapiteau.dash.commands.serving import run_server
from chapiteau.plumbing.console import print_json

__all__ = ["group"]


@click.group()
def group() -> None:
    """Many servers on one page: this one is asked, the others dial in.

    \b
    chapiteau hub up              the dashboard, with a door for nodes
    chapiteau hub token           the line that lets one server join
    chapiteau hub nodes           who has joined
    chapiteau hub revoke NAME     shut a node out
    """


@group.command()
@CONFIG
@click.option(
    "--bind", metavar="HOST:PORT", help="Serve the page here instead of where [dash] says."
)
def up(config: Path | None, bind: str | None) -> None:
    """Serve the page and listen for nodes until stopped; [hub] says where."""
    run_server(config, bind, with_hub=True)


@group.command()
@CONFIG
@click.option("--for", "lifetime", default="1h", show_default=True, help="How long it is good.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def token(config: Path | None, lifetime: str, as_json: bool) -> None:
    """Print the line to run on the server that should join; it works once."""
    from chapiteau.core.errors import UsageError
    from chapiteau.core.units import parse_duration
    from chapiteau.dash.engine.cluster.ca import Authority
    from chapiteau.dash.engine.cluster.registry import Registry
    from chapiteau.dash.engine.project import read_project
    from chapiteau.dash.logic.tokens import JoinToken, base32
    from chapiteau.plumbing.clock import SystemClock

    project, clock = read_project(config), SystemClock()
    try:
        seconds = parse_duration(lifetime)
    except ValueError as exc:
        raise UsageError(f"--for: {exc}") from None
    authority = Authority(project.authority, clock)
    authority.ensure()
    made = JoinToken(
        ca=authority.hash(),
        id=base32(secrets.token_bytes(5)),
        secret=base32(secrets.token_bytes(16)),
    )
    registry = Registry(project.store)
    registry.add_token(made, clock.wall() + seconds)
    registry.close()
    address = project.hub.address or f"{socket.gethostname()}:{project.hub.port}"
    if as_json:
        print_json({"address": address, "token": str(made), "expires": clock.wall() + seconds})
        return
    click.echo(f"chapiteau node join {address} {made}")
    click.echo(f"good once, for {lifetime}; the hub must be up: chapiteau hub up", err=True)


@group.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def nodes(config: Path | None, as_json: bool) -> None:
    """Every node that has joined, when it was seen, and until when its certificate is good."""
    import dataclasses

    from chapiteau.core.text import table
    from chapiteau.core.units import format_duration
    from chapiteau.dash.engine.cluster.registry import Registry
    from chapiteau.dash.engine.project import read_project
    from chapiteau.plumbing.clock import SystemClock

    registry = Registry(read_project(config).store)
    found, now = registry.nodes(), SystemClock().wall()
    registry.close()
    if as_json:
        print_json({"nodes": [dataclasses.asdict(node) for node in found]})
        return
    rows = [
        (
            node.name,
            "revoked" if node.revoked else "member",
            f"{format_duration(round(now - node.seen))} ago" if node.seen else "never",
            format_duration(max(0, round(node.expires - now))),
        )
        for node in found
    ]
    if rows:
        click.echo(table(rows, ("NODE", "STATE", "LAST CONNECTED", "CERTIFICATE GOOD FOR")))
    else:
        click.echo("no nodes yet: chapiteau hub token", err=True)


@group.command()
@click.argument("name")
@CONFIG
def revoke(name: str, config: Path | None) -> None:
    """Shut a node out; a running hub hangs up within two seconds."""
    from chapiteau.dash.engine.cluster.registry import Registry
    from chapiteau.dash.engine.project import read_project
    from chapiteau.plumbing.clock import SystemClock

    registry = Registry(read_project(config).store)
    try:
        registry.revoke(name, SystemClock().wall())
    finally:
        registry.close()
    click.echo(f"{name} is shut out; to let it in again: chapiteau hub token", err=True)
