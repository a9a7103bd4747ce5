"""What an import hands back: the new file, and what became of every setting."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import click

from chapiteau.core.errors import RefusedError
from chapiteau.core.text import escape_control
from chapiteau.io.console import print_json, use_colour
from chapiteau.io.files import write_atomic
from chapiteau.migrate.source import Source

__all__ = ["Fate", "ImportResult", "Note", "note_moved_paths", "print_report", "write"]

# kept: same meaning, under another name; changed: translated, with a difference; lost: left out.
Fate = Literal["kept", "changed", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One setting of the source: where it stands, what it is, what became of it, what to do."""

    fate: Fate
    where: str  # file:line
    setting: str  # "[watcher:web] priority"
    what: str
    hint: str = ""

    def to_dict(self) -> dict[str, str]:
        """The same as JSON-ready values; an empty hint is left out."""
        shown = {"where": self.where, "setting": self.setting, "what": self.what}
        return {**shown, "hint": self.hint} if self.hint else shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """A finished import: the new file's text, and a note on every setting of the old one."""

    toml: str
    notes: tuple[Note, ...]

    def of(self, fate: Fate) -> list[Note]:
        """The notes on settings with this fate."""
        return [note for note in self.notes if note.fate == fate]

    def to_dict(self) -> dict[str, object]:
        """The whole as JSON-ready values."""
        fates: tuple[Fate, ...] = ("kept", "changed", "lost")
        return {"toml": self.toml} | {f: [note.to_dict() for note in self.of(f)] for f in fates}


def write(
    made: ImportResult,
    sources: Sequence[Source],
    output: Path | None,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Write the new file, or print it, or both as JSON. Raises RefusedError."""
    if output is not None:
        if any(_is_same_file(output, source.name) for source in sources):
            raise RefusedError(f"{output}: is the file to import", hint="write to another file")
        if output.exists() and not force:
            raise RefusedError(f"{output}: exists already", hint="--force overwrites it")
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


def _is_same_file(output: Path, name: str) -> bool:
    try:
        return output.samefile(name)
    except OSError:
        return False


def note_moved_paths(
    made: ImportResult, files: Sequence[Path], output: Path | None
) -> ImportResult:
    """Add a note when the new file lies elsewhere: relative paths then mean something else."""
    if output is None:
        return made
    new = output.resolve().parent
    what = f"relative paths are read from the new file's folder, {new}"
    hint = "write it beside the old file, or correct the paths"
    notes = [
        Note(fate="changed", where=str(path), setting="", what=what, hint=hint)
        for path in files
        if path.resolve().parent != new
    ]
    return replace(made, notes=(*made.notes, *notes))


def print_report(made: ImportResult, sources: Sequence[Source], output: Path | None) -> None:
    """The report for people, on standard error."""
    coloured = use_colour(sys.stderr)
    changed, lost = made.of("changed"), made.of("lost")
    for title, colour, notes in (("changed", "yellow", changed), ("lost", "red", lost)):
        if notes:
            click.secho(f"{title}:", fg=colour, bold=True, err=True, color=coloured)
        for note in notes:
            lines = [f"  {note.where}  {note.setting}".rstrip(), f"      {note.what}"]
            lines += [f"      → {note.hint}"] if note.hint else []
            click.echo("\n".join(escape_control(line) for line in lines), err=True)
    names = ", ".join(source.name for source in sources) + (f" → {output}" if output else "")
    counts = f"{len(made.of('kept'))} kept, {len(changed)} changed, {len(lost)} lost"
    click.secho(f"{names}: {counts}", bold=True, err=True, color=coloured)
