"""`chapiteau hub want | wanted | take-over | rotate | backup | restore`."""

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.dash.cli.options import CONFIG, JSON, embedded_only, open_registry, print_rows
from chapiteau.io.console import print_json
from chapiteau.run.config.spec import MAX_PROCESSES

if TYPE_CHECKING:
    from chapiteau.dash.fleet.node import ServiceWish
    from chapiteau.dash.nodes.contract import DesiredServices
    from chapiteau.dash.project import Project

__all__ = ["backup", "restore", "rotate", "take_over", "want", "wanted"]


# `chapiteau hub want | wanted | take-over`: how the nodes' services should be, and whose turn.


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

    given: ServiceWish = {}
    if processes is not None:
        given["processes"] = processes
    if running is not None:
        given["running"] = running
    if bool(given) == forget:
        raise UsageError("say what is wanted: --processes N, --running, --stopped, or --forget")
    project = read_project(config)
    for made in asyncio.run(_want(project, service, nodes, given)):
        click.echo(f"{made.node}: generation {made.generation}", err=True)


async def _want(
    project: "Project", service: str, nodes: tuple[str, ...], given: "ServiceWish"
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
@JSON
@CONFIG
def wanted(nodes: tuple[str, ...], as_json: bool, config: Path | None) -> None:
    """Show the desired state of all nodes, or of those that are named."""
    import msgspec

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
    header = ("NODE", "GENERATION", "SERVICE", "DESIRED", "BY")
    print_rows(rows, header, "no desired state: chapiteau hub want SERVICE --on NODE …")


async def _wanted(project: "Project", nodes: tuple[str, ...]) -> "list[DesiredServices]":
    from chapiteau.dash.nodes.cluster import node_names, open_desired_state

    async with open_desired_state(project) as states:
        names = nodes or await node_names(project)
        return [await states.get(name) for name in names]


def _words(wish: "ServiceWish") -> str:
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
    embedded_only(
        project,
        "hubs at a NATS server take turns by themselves",
        "stop the other hub; this one leads within 15 seconds",
    )
    with contextlib.closing(SqliteLeases(project.store, SystemClock())) as leases:
        fence = leases.take_over(LEASE_NAME)
    click.echo(f"this hub leads from lease {fence + 1} on, within 5 seconds", err=True)


@click.command()
@CONFIG
@click.option("--finish", is_flag=True, help="Trust the next CA only, once all nodes have it.")
@click.option("--force", is_flag=True, help="Finish though some nodes will have to join again.")
@JSON
def rotate(config: Path | None, finish: bool, force: bool, as_json: bool) -> None:
    """Change the CA that signs for nodes, in two steps.

    The first makes the next CA. For a while both are good: each node that is connected learns
    the next one, and gets a certificate of it. Said again, it tells which nodes have one. The
    second step, --finish, makes the next CA the only one; what the old one has signed is void,
    tokens that are open too.
    """
    from chapiteau.dash.nodes.cluster import authority_of
    from chapiteau.dash.project import read_project
    from chapiteau.io.clock import SystemClock

    project = read_project(config)
    embedded_only(project, "a hub at a NATS server signs for nobody", "change its accounts there")
    authority = authority_of(project, SystemClock())
    if finish and not authority.is_rotating:
        raise UsageError("there is no next CA", hint="first: chapiteau hub rotate")
    authority.rotate()
    with open_registry(project) as registry:
        waiting = registry.without_certificate_of(authority.signer())
        everybody = [node.name for node in registry.nodes() if not node.revoked]
    if finish and waiting and not force:
        raise ChapiteauError(
            f"without a certificate of the next CA: {', '.join(waiting)}",
            hint="let them connect (chapiteau hub nodes), or --force: they will have to join again",
        )
    if finish:
        authority.finish()
    if as_json:
        has = [name for name in everybody if name not in waiting]
        print_json({"finished": finish, "have_it": has, "waiting": waiting})
        return
    if finish:
        click.echo("the next CA is the only one now; nodes come back within seconds", err=True)
        return
    click.echo(
        f"{len(everybody) - len(waiting)} of {len(everybody)} nodes have the next CA's certificates"
    )
    if waiting:
        click.echo(f"not yet: {', '.join(waiting)}")
        click.echo(
            "they get them when they are connected; look again: chapiteau hub rotate", err=True
        )
    else:
        click.echo("all have them; now: chapiteau hub rotate --finish", err=True)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@CONFIG
def backup(file: Path, config: Path | None) -> None:
    """Write nodes, accounts, audit trail, wanted states and the hub's CA into FILE.

    The hub may run on. Whoever has the file can make nodes: keep it as you keep other keys.
    """
    from chapiteau.dash.nodes.backup import make_backup
    from chapiteau.dash.project import read_project

    make_backup(read_project(config), file.resolve())
    click.echo(f"{file}: {file.stat().st_size} bytes", err=True)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--force", is_flag=True, help="Replace a hub that this project has.")
@CONFIG
def restore(file: Path, force: bool, config: Path | None) -> None:
    """Make this project's hub from FILE, here or on another machine.

    Nodes obey it from their first call on, and refuse the hub that the copy was made of.
    """
    from chapiteau.dash.nodes.backup import restore_backup
    from chapiteau.dash.project import read_project
    from chapiteau.io.clock import SystemClock

    names = restore_backup(read_project(config), file, SystemClock(), force=force)
    told = ", ".join(names) or "no node"
    click.echo(f"this hub knows {told}; start it: chapiteau hub up", err=True)
    click.echo(
        "at another address than before, on each node: chapiteau node move ADDRESS", err=True
    )
