"""`chapiteau node join | leave | run | status`: this server under another one's hub."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from chapiteau.dash.cli.options import CONFIG, JSON
from chapiteau.io.console import print_json

if TYPE_CHECKING:
    from chapiteau.dash.nodes.agent import AgentState

__all__ = ["group"]

_NO_AGENT: Final = "its agent does not run: chapiteau up, or chapiteau node run"
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True)


@click.group()
def group() -> None:
    """Connect this server to a hub. It dials the hub; nothing listens here.

    \b
    chapiteau node join ADDRESS TOKEN   as `chapiteau hub token` printed it
    chapiteau node run                  keep the connection (the supervisor does it for you)
    """


@group.command()
@click.argument("address")
@click.argument("token", required=False)
@click.option("--name", help="Its name on the page. Default: the host name.")
@click.option("--creds", type=_FILE, help="NATS: file with this node's credentials.")
@click.option("--ca", type=_FILE, help="NATS: PEM file with the CA of the server's certificate.")
@click.option("--cert", type=_FILE, help="NATS: PEM file with this node's certificate.")
@click.option("--key", type=_FILE, help="NATS: PEM file with that certificate's key.")
@click.option("--prefix", default="chapiteau", show_default=True, help="NATS: hub.nats.prefix.")
@CONFIG
def join(
    address: str,
    token: str | None,
    name: str | None,
    prefix: str,
    config: Path | None,
    **files: Path | None,
) -> None:
    """Join a hub: makes a key, has it signed, and keeps both in RUN_DIR/node.

    ADDRESS nats://… or tls://…: meet the hubs at a NATS server. Its accounts say who may; no token.
    """
    from chapiteau.dash.nodes.registry import node_name
    from chapiteau.dash.project import read_project

    project = read_project(config)
    wanted = node_name(name or socket.gethostname())
    if address.startswith(("nats://", "tls://")):
        from chapiteau.dash.nodes.nats.connection import NatsAddress, join_nats

        place = NatsAddress(
            url=address,
            prefix=prefix,
            creds=files["creds"],
            ca=files["ca"],
            cert=files["cert"],
            key=files["key"],
        )
        asyncio.run(join_nats(project.node_dir, place, wanted))
    else:
        _join_hub(project.node_dir, address, token, wanted)
    click.echo(f"joined {address.rpartition('@')[2]} as {wanted}", err=True)
    click.echo("connect: chapiteau down; chapiteau up -d — or now: chapiteau node run", err=True)


def _join_hub(papers: Path, address: str, token: str | None, name: str) -> None:
    from chapiteau.core.errors import UsageError
    from chapiteau.dash.nodes.membership import hub_address
    from chapiteau.dash.nodes.membership import join as join_hub
    from chapiteau.dash.nodes.registry import parse_token

    if token is None:
        raise UsageError("a hub wants a token", hint="on the hub: chapiteau hub token")
    parsed, place = parse_token(token), hub_address(address)
    asyncio.run(join_hub(papers, place, parsed, name))


@group.command()
@CONFIG
def leave(config: Path | None) -> None:
    """Forget the hub. There, `chapiteau hub revoke` makes it final."""
    from chapiteau.dash.nodes.membership import leave as leave_hub
    from chapiteau.dash.nodes.membership import read_membership
    from chapiteau.dash.project import read_project

    papers = read_project(config).node_dir
    name = read_membership(papers).name
    leave_hub(papers)
    click.echo(f"{name} has left; on the hub: chapiteau hub revoke {name}")


@group.command()
@CONFIG
@JSON
def status(config: Path | None, as_json: bool) -> None:
    """Which hub this server belongs to, and whether it is connected; if not, why."""
    from chapiteau.dash.nodes.agent import agent_state
    from chapiteau.dash.nodes.certificates import validity
    from chapiteau.dash.nodes.membership import NatsMembership, read_membership
    from chapiteau.dash.project import read_project

    papers = read_project(config).node_dir
    membership, state = read_membership(papers), agent_state(papers)
    facts: dict[str, Any] = {"name": membership.name}
    if isinstance(membership, NatsMembership):
        bare = membership.url.rpartition("@")[2]
        facts |= {"nats": bare, "prefix": membership.prefix}
        place = f"{membership.name} meets its hubs at the NATS server {bare}"
    else:
        host, port = membership.address
        facts |= {"host": host, "port": port}
        facts["certificate_ends"] = validity(membership.certificate)[1]
        place = f"{membership.name} belongs to the hub at {host}:{port}"
    if as_json:
        shown = {"connected": False, "problem": _NO_AGENT}
        if state is not None:
            how = {"connected": state.connected, "problem": state.problem}
            shown = {**how, "since": state.since}
        print_json({**facts, **shown})
        return
    click.echo(place)
    for line in _how_it_goes(state, facts.get("certificate_ends", 0.0)):
        click.echo(line)


def _how_it_goes(state: "AgentState | None", ends: float) -> Iterator[str]:
    from chapiteau.core.units import format_duration
    from chapiteau.io.clock import SystemClock

    now = SystemClock().wall()
    if state is None:
        yield _NO_AGENT
    else:
        since = format_duration(max(1, round(now - state.since)))
        yield (
            f"connected for {since}"
            if state.connected
            else f"not connected for {since}: {state.problem}"
        )
    if ends and not (state and not state.connected):
        left = round(ends - now)
        yield (
            f"its certificate is good for {format_duration(left)} more; it renews itself"
            if left > 0
            else "its certificate has expired: join again (on the hub: chapiteau hub token)"
        )


@group.command()
@click.argument("address")
@CONFIG
def move(address: str, config: Path | None) -> None:
    """The hub moved to ADDRESS; certificates remain valid. A running agent follows by itself."""
    from chapiteau.core.errors import UsageError
    from chapiteau.dash.nodes.membership import NatsMembership, hub_address, read_membership
    from chapiteau.dash.project import read_project

    membership = read_membership(read_project(config).node_dir)
    if isinstance(membership, NatsMembership):
        raise UsageError("this node meets its hubs at a NATS server", hint="join it again")
    host, port = hub_address(address)
    membership.move(host, port)
    click.echo(f"{membership.name} looks for its hub at {host}:{port}", err=True)


@group.command()
@CONFIG
def run(config: Path | None) -> None:
    """Keep the connection to the hub until stopped."""
    from chapiteau.dash.nodes.agent import run_agent
    from chapiteau.dash.project import read_project

    asyncio.run(run_agent(read_project(config), lambda text: click.echo(text, err=True)))
