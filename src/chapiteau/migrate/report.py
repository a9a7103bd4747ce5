"""What an import hands back: the new file, and the account of what became of every setting."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from chapiteau.core.errors import RefusedError
from chapiteau.core.text import escape_control
from chapiteau.io.console import print_json, use_colour
from chapiteau.io.files import write_atomic
from chapiteau.migrate.source import Source

__all__ = [
    "ImportResult",
    "Ledger",
    "LedgerEntry",
    "Note",
    "note_moved_paths",
    "print_report",
    "write",
]


# What became of each setting of a foreign configuration: kept, changed or lost, with its place.


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One setting of the source: where it stands, what it is, what became of it, what to do."""

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
    """A finished import: the new file's text, and the account of every setting of the old one."""

    toml: str
    kept: tuple[Note, ...]  # same meaning, under another name
    changed: tuple[Note, ...]  # translated, with a difference that is worth knowing
    lost: tuple[Note, ...]  # not in the new file

    def to_dict(self) -> dict[str, Any]:
        """The whole as JSON-ready values."""
        return {
            "toml": self.toml,
            "kept": [note.to_dict() for note in self.kept],
            "changed": [note.to_dict() for note in self.changed],
            "lost": [note.to_dict() for note in self.lost],
        }


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What the ledger wrote down about one setting of one place in the new file."""

    kind: str  # "kept", "changed" or "lost"
    note: Note
    path: tuple[str, ...] = ()  # the table of the new file that it concerns


@dataclass(slots=True)
class Ledger:
    """Collects the fates of settings in the order in which they are met."""

    fates: list[LedgerEntry] = field(default_factory=list)
    known: set[tuple[str, Note]] = field(default_factory=set, repr=False)

    def write(self, kind: str, note: Note, path: tuple[str, ...] = ()) -> None:
        """Note a fate once: what several services share is said one time."""
        if (kind, note) not in self.known:
            self.known.add((kind, note))
            self.fates.append(LedgerEntry(kind, note, path))

    def notes(self, kind: str) -> tuple[Note, ...]:
        """All notes of one kind."""
        return tuple(fate.note for fate in self.fates if fate.kind == kind)

    def about(self, path: tuple[str, ...]) -> Iterator[LedgerEntry]:
        """What was changed or lost at a table of the new file."""
        yield from (f for f in self.fates if f.path == path and f.kind != "kept")


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


def note_moved_paths(
    made: ImportResult, files: Sequence[Path], output: Path | None
) -> ImportResult:
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


def print_report(made: ImportResult, sources: Sequence[Source], output: Path | None) -> None:
    """The report for people, on standard error."""
    names = ", ".join(source.name for source in sources)
    goal = f" → {output}" if output else ""
    coloured = use_colour(sys.stderr)
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
    return "\n".join(escape_control(line) for line in lines)
