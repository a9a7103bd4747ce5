"""`chapiteau hub want | wanted | take-over`: how the nodes' services should be, and whose turn."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chapiteau.core.errors import UsageError
from chapiteau.dash.cli.options import CONFIG
from chapiteau.io.console import print_json
from chapiteau.run.config.spec import MAX_PROCESSES

if TYPE_CHECKING:
    from chapiteau.dash.nodes.contract import DesiredServices
    from chapiteau.dash.project import Project

__all__ = ["take_over", "want", "wanted"]


@click.command()
@click.argument("service")
@click.option("--on", "nodes", multiple=True, required=True, metavar="NODE", help="Which node.")
@click.option("--processes", type=click.IntRange(0, MAX_PROCESSES), help="How many processes.")
@click.option("--running/--stopped", default=None, help="Whether it should run at all.")
@click.option("--forget", is_flag=True, help="Remove the desired state of this service.")
@CONFIG
def want(
    service: str,
    nodes: tuple[str, ...],
    processes: int | None,
    running: bool | None,
    forget: bool,
    config: Path | None,
) -> None:
    """Set a service's desired state on nodes; one that is offline follows when it is back.

    \b
    chapiteau hub want web --on web-1 --on web-2 --processes 8
    chapiteau hub want mailer --on web-1 --stopped
    chapiteau hub want web --on web-1 --forget
    """
    from chapiteau.dash.project import read_project

    wish = {"processes": processes, "running": running}
    given = {key: value for key, value in wish.items() if value is not None}
    if bool(given) == forget:
        raise UsageError("say what is wanted: --processes N, --running, --stopped, or --forget")
    project = read_project(config)
    for made in asyncio.run(_want(project, service, nodes, given)):
        click.echo(f"{made.node}: generation {made.generation}", err=True)


async def _want(
    project: "Project", service: str, nodes: tuple[str, ...], given: dict[str, Any]
) -> "list[DesiredServices]":
    import getpass

    import msgspec

    from chapiteau.dash.nodes.cluster import open_desired_state

    found = []
    async with open_desired_state(project) as states:
        for node in dict.fromkeys(nodes):
            now = await states.get(node)
            services = {key: value for key, value in now.services.items() if key != service}
            if given:
                services[service] = {**now.services.get(service, {}), **given}
            wish = msgspec.structs.replace(now, services=services, who=getpass.getuser())
            found.append(await states.put(wish, expect=now.generation))
    return found


@click.command()
@click.argument("nodes", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@CONFIG
def wanted(nodes: tuple[str, ...], as_json: bool, config: Path | None) -> None:
    """Show the desired state of all nodes, or of those that are named."""
    import msgspec

    from chapiteau.core.text import format_table
    from chapiteau.dash.project import read_project

    found = asyncio.run(_wanted(read_project(config), nodes))
    if as_json:
        print_json({"wanted": [msgspec.to_builtins(one) for one in found]})
        return
    rows = [
        (one.node, str(one.generation), name, _words(wish), one.who)
        for one in found
        for name, wish in sorted(one.services.items())
    ]
    if rows:
        click.echo(format_table(rows, ("NODE", "GENERATION", "SERVICE", "WANTED", "BY")))
    else:
        click.echo("nothing is wanted: chapiteau hub want SERVICE --on NODE …", err=True)


async def _wanted(project: "Project", nodes: tuple[str, ...]) -> "list[DesiredServices]":
    from chapiteau.dash.nodes.cluster import node_names, open_desired_state

    async with open_desired_state(project) as states:
        names = nodes or await node_names(project)
        return [await states.get(name) for name in names]


def _words(wish: dict[str, Any]) -> str:
    words = [f"{wish['processes']} processes"] if "processes" in wish else []
    if "running" in wish:
        words.append("running" if wish["running"] else "stopped")
    return ", ".join(words)


@click.command("take-over")
@CONFIG
def take_over(config: Path | None) -> None:
    """Make this hub the leader again after it was restored from an older copy.

    Only when no other hub of these nodes runs: the last one that takes over is the one they obey.
    """
    from chapiteau.dash.nodes.embedded import SqliteLeases
    from chapiteau.dash.nodes.leadership import LEASE_NAME
    from chapiteau.dash.project import read_project
    from chapiteau.io.clock import SystemClock

    project = read_project(config)
    if project.hub.nats.url:
        raise UsageError(
            "hubs at a NATS server take turns by themselves",
            hint="stop the other hub; this one leads within 15 seconds",
        )
    leases = SqliteLeases(project.store, SystemClock())
    try:
        fence = leases.take_over(LEASE_NAME)
    finally:
        leases.close()
    click.echo(f"this hub steers from lease {fence + 1} on, within 5 seconds", err=True)
