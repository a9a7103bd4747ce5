"""What is said about a file that moves in, and new words for pieces of it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["ROOTS", "Edit", "Names", "Note", "Rewritten", "applied", "new_name"]

ROOTS: Final = {
    "cornice": "chapiteau.cornice",
    "cornice_swagger": "chapiteau.cornice.swagger",
    "cornice_sphinx": "chapiteau.cornice.ext.sphinxext",
}

# The public names of a module of ours, or None when there is no such module.
Names = Callable[[str], frozenset[str] | None]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Note:
    """One thing in a file: changed by us, or left for a person."""

    line: int
    what: str
    hint: str = ""
    left: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A file's new text, and what is to be said about it."""

    text: str
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Edit:
    """New words for a piece of a file; columns count UTF-8 bytes, as ast does."""

    start: tuple[int, int]
    end: tuple[int, int]
    new: str
    note: Note


def new_name(dotted: str) -> str:
    """`cornice.util` → `chapiteau.cornice.util`; anything else as it is."""
    root, dot, rest = dotted.partition(".")
    return f"{ROOTS[root]}{dot}{rest}" if root in ROOTS else dotted


def applied(lines: list[bytes], edits: list[Edit]) -> bytes:
    """The file with its pieces replaced."""
    found = list(lines)
    for edit in sorted(edits, key=lambda e: e.start, reverse=True):
        first, last = edit.start[0] - 1, edit.end[0] - 1
        new = found[first][: edit.start[1]] + edit.new.encode() + found[last][edit.end[1] :]
        found[first : last + 1] = [new]
    return b"".join(found)
