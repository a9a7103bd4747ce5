"""`chapiteau hub nats-users`: what the NATS server must be told."""

from pathlib import Path

import click

from chapiteau.dash.commands.options import CONFIG

__all__ = ["nats_users"]


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
    from chapiteau.dash.engine.project import read_project
    from chapiteau.dash.logic.nodes.natsusers import users_block
    from chapiteau.dash.logic.tokens import node_name

    prefix = read_project(config).hub.nats.prefix
    named = [node_name(name) for name in nodes]
    click.echo(users_block(prefix, hubs or ("hub",), named), nl=False)
