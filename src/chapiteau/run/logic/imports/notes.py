"""What became of each setting of a foreign configuration: kept, changed or lost, with its place."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Fate", "Imported", "Ledger", "Note"]


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
class Imported:
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
class Fate:
    """What the ledger wrote down about one setting of one place in the new file."""

    kind: str  # "kept", "changed" or "lost"
    note: Note
    path: tuple[str, ...] = ()  # the table of the new file that it concerns


@dataclass(slots=True)
class Ledger:
    """Collects the fates of settings in the order in which they are met."""

    fates: list[Fate] = field(default_factory=list)
    known: set[tuple[str, Note]] = field(default_factory=set, repr=False)

    def write(self, kind: str, note: Note, path: tuple[str, ...] = ()) -> None:
        """Note a fate once: what several services share is said one time."""
        if (kind, note) not in self.known:
            self.known.add((kind, note))
            self.fates.append(Fate(kind, note, path))

    def notes(self, kind: str) -> tuple[Note, ...]:
        """All notes of one kind."""
        return tuple(fate.note for fate in self.fates if fate.kind == kind)

    def about(self, path: tuple[str, ...]) -> Iterator[Fate]:
        """What was changed or lost at a table of the new file."""
        yield from (f for f in self.fates if f.path == path and f.kind != "kept")
