"""What was changed and what is left, for people and for programs."""

import difflib
import sys
from collections.abc import Sequence

import click

from chapiteau.core.text import printable
from chapiteau.cornice.moving.files import Moved
from chapiteau.plumbing.console import colour_wanted, print_json

__all__ = ["tell", "to_json"]


def tell(moved: Sequence[Moved], *, diff: bool, written: bool) -> None:
    """The diff on standard output, the report on standard error."""
    if diff:
        for one in moved:
            click.echo(_diff(one), nl=False)
    coloured = colour_wanted(sys.stderr)
    left = [(one, note) for one in moved for note in one.notes if note.left]
    changed = sum(1 for one in moved for note in one.notes if not note.left)
    files = sum(1 for one in moved if one.after != one.before)
    if not diff:
        for one in moved:
            for note in one.notes:
                if not note.left:
                    click.echo(printable(f"  {one.path}:{note.line}  {note.what}"), err=True)
    if left:
        click.secho("left for you:", fg="yellow", bold=True, err=True, color=coloured)
    for one, note in left:
        click.echo(printable(f"  {one.path}:{note.line}  {note.what}"), err=True)
        if note.hint:
            click.echo(printable(f"      → {note.hint}"), err=True)
    verb = "changed" if written else "to change"
    summary = f"{changed} lines in {files} files {verb}, {len(left)} left for you"
    click.secho(summary, bold=True, err=True, color=coloured)


def _diff(one: Moved) -> str:
    lines = difflib.unified_diff(
        one.before.splitlines(keepends=True),
        one.after.splitlines(keepends=True),
        f"a/{one.path}",
        f"b/{one.path}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def to_json(moved: Sequence[Moved]) -> None:
    """The report as JSON on standard output."""
    print_json(
        {
            "files": [
                {
                    "path": str(one.path),
                    "changed": one.after != one.before,
                    "notes": [
                        {"line": n.line, "what": n.what, "hint": n.hint, "left": n.left}
                        for n in one.notes
                    ],
                }
                for one in moved
            ]
        }
    )
