"""The command line of `chapiteau import cornice`."""

from pathlib import Path
from typing import Any

import click

__all__ = ["command"]


@click.command(name="cornice")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show the changes, write nothing.")
@click.option("--diff", "as_diff", is_flag=True, help="Show the changes as a diff too.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.pass_context
def command(ctx: click.Context, /, paths: tuple[Path, ...], **given: Any) -> None:
    """Change an application's imports from Cornice to chapiteau.cornice.

    Rewrites imports, `config.include("cornice")` and `pyramid.includes` in the .py and .ini files
    of a folder; tells on standard error what changed, and what is left for you, such as the
    project's requirements. Exit code 7: something is left.

    \b
    chapiteau import cornice --dry-run src   look at the diff first
    chapiteau import cornice src             write it
    """
    from chapiteau.cornice.moving.files import move
    from chapiteau.cornice.moving.report import tell, to_json

    moved = move(paths, write=not given["dry_run"])
    if given["as_json"]:
        to_json(moved)
    else:
        tell(moved, diff=given["as_diff"] or given["dry_run"], written=not given["dry_run"])
    if any(note.left for one in moved for note in one.notes):
        ctx.exit(7)
