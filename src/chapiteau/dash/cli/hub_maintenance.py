"""`chapiteau hub rotate`: another CA, without a node being shut out on the way."""

from pathlib import Path

import click

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.dash.cli.options import CONFIG
from chapiteau.io.console import print_json

__all__ = ["backup", "restore", "rotate"]


@click.command()
@CONFIG
@click.option("--finish", is_flag=True, help="Trust the next CA only, once all nodes have it.")
@click.option("--force", is_flag=True, help="Finish though some nodes will have to join again.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def rotate(config: Path | None, finish: bool, force: bool, as_json: bool) -> None:
    """Change the CA that signs for nodes, in two steps.

    The first makes the next CA. For a while both are good: each node that is connected learns
    the next one, and gets a certificate of it. Said again, it tells which nodes have one. The
    second step, --finish, makes the next CA the only one; what the old one has signed is void,
    tokens that are open too.
    """
    from chapiteau.dash.nodes.cluster import authority_of
    from chapiteau.dash.nodes.registry import Registry
    from chapiteau.dash.project import read_project
    from chapiteau.io.clock import SystemClock

    project = read_project(config)
    if project.hub.nats.url:
        raise UsageError(
            "a hub at a NATS server signs for nobody", hint="change its accounts there"
        )
    authority = authority_of(project, SystemClock())
    if finish and not authority.is_rotating:
        raise UsageError("there is no next CA", hint="first: chapiteau hub rotate")
    authority.rotate()
    registry = Registry(project.store)
    waiting = registry.without_papers_of(authority.signer())
    everybody = [node.name for node in registry.nodes() if not node.revoked]
    registry.close()
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


# `chapiteau hub backup | restore`: all that a hub must not forget, in one file.


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
