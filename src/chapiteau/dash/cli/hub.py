"""`chapiteau hub up | token | nodes | revoke`: one page for many servers."""

import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chapiteau.dash.cli.hub_maintenance import backup, restore, rotate, take_over, want, wanted
from chapiteau.dash.cli.options import (
    CONFIG,
    JSON,
    audit,
    embedded_only,
    open_registry,
    print_rows,
    run_server,
)
from chapiteau.io.console import print_json

if TYPE_CHECKING:
    from chapiteau.dash.project import Project

__all__ = ["group", "nats_users"]


@click.command("nats-users")
@click.argument("nodes", nargs=-1, required=True)
@click.option("--hub", "hubs", multiple=True, help="Name in a hub's certificate. Default: hub.")
@CONFIG
def nats_users(nodes: tuple[str, ...], hubs: tuple[str, ...], config: Path | None) -> None:
    """Print the `authorization` of nats-server for these nodes: each may do its part and no more.

    \b
    chapiteau hub nats-users web-1 web-2 --hub hub-1 --hub hub-2 >> users.conf

    For a server with `verify_and_map` in its `tls`: who one is stands in the certificate.
    """
    from chapiteau.dash.nodes.nats.names import users_block
    from chapiteau.dash.nodes.registry import node_name
    from chapiteau.dash.project import read_project

    prefix = read_project(config).hub.nats.prefix
    named = [node_name(name) for name in nodes]
    click.echo(users_block(prefix, hubs or ("hub",), named), nl=False)


@click.group()
def group() -> None:
    """Run the hub: one dashboard for several servers, which connect to it.

    \b
    chapiteau hub up              the dashboard plus the port nodes connect to
    chapiteau hub token           the line that lets one server join
    chapiteau hub nodes           who has joined
    chapiteau hub revoke NAME     revoke a node's access
    chapiteau hub rotate          change the CA that signs for nodes
    chapiteau hub want SERVICE    set its desired state, also on nodes that are offline
    """


for _command in (want, wanted, take_over, rotate, nats_users, backup, restore):
    group.add_command(_command)


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
@click.option("--replace", metavar="NAME", help="Let it take the place of this node, and no other.")
@JSON
def token(config: Path | None, lifetime: str, replace: str | None, as_json: bool) -> None:
    """Print the line to run on the server that should join; it works once.

    A name that a node has is refused, so that no token can push a live server out. With --replace
    the token is for that one name: the node of before is cut off, and everybody is told.
    """
    from chapiteau.core.errors import NotFoundError, UsageError
    from chapiteau.core.units import parse_duration
    from chapiteau.dash.nodes.cluster import authority_of
    from chapiteau.dash.nodes.registry import JoinToken, base32, node_name
    from chapiteau.dash.project import read_project
    from chapiteau.dash.store import writing
    from chapiteau.io.clock import SystemClock

    project, clock = read_project(config), SystemClock()
    embedded_only(
        project,
        "nodes join this hub at a NATS server, whose accounts say who may",
        f"there: chapiteau node join {project.hub.nats.url.rpartition('@')[2]}",
    )
    try:
        seconds = parse_duration(lifetime)
    except ValueError as exc:
        raise UsageError(f"--for: {exc}") from None
    name = node_name(replace) if replace else ""
    authority = authority_of(project, clock)
    with writing():
        authority.ensure()
    made = JoinToken(
        ca=authority.hash(),
        id=base32(secrets.token_bytes(5)),
        secret=base32(secrets.token_bytes(16)),
    )
    expires = clock.wall() + seconds
    instead = f", to take the place of {name}" if name else ""
    with open_registry(project) as registry:
        if name and all(node.name != name or node.revoked for node in registry.nodes()):
            raise NotFoundError(f"there is no node {name!r}", hint="see chapiteau hub nodes")
        audit(project, "token", f"token {made.id}", f"made, for {lifetime}{instead}")
        registry.add_token(made, expires, name)
    address = project.hub.address or f"{socket.gethostname()}:{project.hub.port}"
    if as_json:
        print_json({"address": address, "token": str(made), "expires": expires})
        return
    click.echo(f"chapiteau node join {address} {made}" + (f" --name {name}" if name else ""))
    click.echo(f"good once, for {lifetime}; the hub must be up: chapiteau hub up", err=True)


@group.command()
@CONFIG
@JSON
def nodes(config: Path | None, as_json: bool) -> None:
    """Every node that has joined, when it was seen, and until when its certificate is good."""
    import dataclasses

    from chapiteau.core.units import format_duration
    from chapiteau.dash.project import read_project
    from chapiteau.io.clock import SystemClock

    project = read_project(config)
    if project.hub.nats.url:
        _nats_nodes(project, as_json)
        return
    with open_registry(project) as registry:
        found, now = registry.nodes(), SystemClock().wall()
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
    header = ("NODE", "STATE", "LAST CONNECTED", "CERTIFICATE GOOD FOR")
    print_rows(rows, header, "no nodes yet: chapiteau hub token")


def _nats_nodes(project: "Project", as_json: bool) -> None:
    import asyncio

    from chapiteau.dash.nodes.cluster import node_names

    names = asyncio.run(node_names(project))
    if as_json:
        print_json({"nodes": [{"name": name} for name in names]})
    else:
        click.echo("\n".join(names) or "no nodes yet: chapiteau node join nats://…", err=not names)


@group.command()
@click.argument("name")
@CONFIG
def revoke(name: str, config: Path | None) -> None:
    """Revoke a node's access; a running hub disconnects it within two seconds.

    At a NATS server this forgets it; take its credentials away there, or it comes back.
    """
    from chapiteau.dash.project import read_project
    from chapiteau.io.clock import SystemClock

    project = read_project(config)
    if project.hub.nats.url:
        _nats_revoke(project, name)
        return
    with open_registry(project) as registry:
        if any(node.name == name and not node.revoked for node in registry.nodes()):
            audit(project, "revoke", name, "ok")
        registry.revoke(name, SystemClock().wall())
    click.echo(f"{name} is shut out; to let it in again: chapiteau hub token", err=True)


def _nats_revoke(project: "Project", name: str) -> None:
    import asyncio

    from chapiteau.core.errors import NotFoundError
    from chapiteau.dash.nodes.cluster import nats_connection
    from chapiteau.dash.nodes.nats.hub import remove_node

    async def forget() -> bool:
        async with nats_connection(project) as wire:
            return await remove_node(wire, name)

    if not asyncio.run(forget()):
        raise NotFoundError(f"there is no node {name!r}", hint="see chapiteau hub nodes")
    click.echo(f"{name} is forgotten; now take its credentials away at the server", err=True)
