"""What an import hands back: the new file, and the account of what became of every setting."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from chapiteau.core.errors import RefusedError
from chapiteau.core.text import printable
from chapiteau.plumbing.console import colour_wanted, print_json
from chapiteau.plumbing.files import write_atomic
from chapiteau.run.logic.imports.notes import Imported, Note
from chapiteau.run.logic.imports.reading.source import Source

__all__ = ["tell", "with_place", "write"]


def write(
    made: Imported, sources: Sequence[Source], output: Path | None, *, force: bool, as_json: bool
) -> None:
    """Write the new file, or print it, or both as JSON. Raises RefusedError."""
    if output is not None:
        if any(_is_one(output, source.name) for source in sources):
            raise RefusedError(f"{output}: is what is imported", hint="write to another file")
        if output.exists() and not force:
            raise RefusedError(f"{output}: is there already", hint="--force overwrites it")
        try:
            write_atomic(output, made.toml.encode())
        except OSError as exc:
            raise RefusedError(f"{output}: can't be written: {exc.strerror}") from None
    try:
        if as_json:
            print_json(made.to_dict())
        elif output is None:
            click.echo(made.toml, nl=False)
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:  # a full disk behind a redirection
        raise RefusedError(f"standard output can't be written: {exc.strerror}") from None


def _is_one(output: Path, name: str) -> bool:
    try:
        return output.samefile(name)
    except OSError:
        return False


def with_place(made: Imported, files: Sequence[Path], output: Path | None) -> Imported:
    """Add a note when the new file lies elsewhere: relative paths then mean something else."""
    if output is None:
        return made
    new = output.resolve().parent
    away = [path for path in files if path.resolve().parent != new]
    notes = [
        Note(
            where=str(path),
            setting="",
            what=f"relative paths are read from the new file's folder, {new}",
            hint="write it beside the old file, or correct the paths",
        )
        for path in away
    ]
    return replace(made, changed=(*made.changed, *notes))


def tell(made: Imported, sources: Sequence[Source], output: Path | None) -> None:
    """The report for people, on standard error."""
    names = ", ".join(source.name for source in sources)
    goal = f" → {output}" if output else ""
    coloured = colour_wanted(sys.stderr)
    for title, colour, notes in (("changed", "yellow", made.changed), ("lost", "red", made.lost)):
        if notes:
            click.secho(f"{title}:", fg=colour, bold=True, err=True, color=coloured)
        for note in notes:
            click.echo(_shown(note), err=True)
    counts = f"{len(made.kept)} kept, {len(made.changed)} changed, {len(made.lost)} lost"
    click.secho(f"{names}{goal}: {counts}", bold=True, err=True, color=coloured)


def _shown(note: Note) -> str:
    head = f"  {note.where}  {note.setting}".rstrip()
    lines = [head, f"      {note.what}", *([f"      → {note.hint}"] if note.hint else [])]
    return "\n".join(printable(line) for line in lines)
