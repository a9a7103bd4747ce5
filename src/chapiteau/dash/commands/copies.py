"""`chapiteau hub backup | restore`: all that a hub must not forget, in one file."""

from pathlib import Path

import click

from chapiteau.dash.commands.options import CONFIG

__all__ = ["backup", "restore"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@CONFIG
def backup(file: Path, config: Path | None) -> None:
    """Write nodes, accounts, audit trail, wanted states and the hub's CA into FILE.

    The hub may run on. Whoever has the file can make nodes: keep it as you keep other keys.
    """
    from chapiteau.dash.engine.here.copies import make_copy
    from chapiteau.dash.engine.project import read_project

    make_copy(read_project(config), file.resolve())
    click.echo(f"{file}: {file.stat().st_size} bytes", err=True)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--force", is_flag=True, help="Replace a hub that this project has.")
@CONFIG
def restore(file: Path, force: bool, config: Path | None) -> None:
    """Make this project's hub from FILE, here or on another machine.

    Nodes obey it from their first call on, and refuse the hub that the copy was made of.
    """
    from chapiteau.dash.engine.here.copies import restore_copy
    from chapiteau.dash.engine.project import read_project
    from chapiteau.plumbing.clock import SystemClock

    names = restore_copy(read_project(config), file, SystemClock(), force=force)
    told = ", ".join(names) or "no node"
    click.echo(f"this hub knows {told}; start it: chapiteau hub up", err=True)
    click.echo(
        "at another address than before, on each node: chapiteau node move ADDRESS", err=True
    )
