"""Reads on behind syntax errors, for those who want to hear of every problem at once.

A line that can't be is told and left out, when it is whole in itself: `key = value` or a
[header]. Inside strings and arrays of several lines nothing is guessed: there it ends.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chapiteau.core.fields import Path as KeyPath

__all__ = ["RecoveredToml", "lost_keys", "recover_toml"]

LOST_TABLE: Final = "-lost-"  # holds what stood below a header that can't be
_MOST: Final = 50
_LINE: Final = re.compile(r"at line (\d+)")
_KEY: Final = re.compile(r"\s*[\w.\"' -]+=")
_WORD: Final = re.compile(r"[\w-]+")
_AGAIN: Final = ("Cannot overwrite", "Cannot declare", "Cannot mutate")


@dataclass(slots=True)
class RecoveredToml:
    """What could be read; `errors` are (line, what); `lost` are lines whose key is not in `data`.

    `data` is None when nobody can tell what belongs where.
    """

    data: dict[str, Any] | None = None
    errors: list[tuple[int, str]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    headers: list[tuple[str, ...]] = field(default_factory=list)  # of tables that are not in it


def recover_toml(text: str) -> RecoveredToml:
    """Read the text, and behind each error again."""
    made, lines = RecoveredToml(), text.splitlines()
    while len(made.errors) < _MOST:
        try:
            data = tomllib.loads("\n".join(lines) + "\n")
        except tomllib.TOMLDecodeError as exc:
            if not _told(exc, lines, made):
                return made
        else:
            data.pop(LOST_TABLE, None)
            made.data = data
            return made
    return made


def _told(exc: tomllib.TOMLDecodeError, lines: list[str], made: RecoveredToml) -> bool:
    """Note the error and take its line out; False when the rest can't be understood."""
    what = str(exc).partition(" (at ")[0]
    match = _LINE.search(str(exc))
    number = min(int(match[1]), len(lines)) if match else 0
    line = lines[number - 1] if number else ""
    if number and not line.strip() and number > 1:
        number -= 1  # "expected = after a key" is noticed at the next line's beginning
        line = lines[number - 1]
    header, whole = line.lstrip().startswith("["), _KEY.match(line)
    if made.errors and (not number or not (header or whole)):
        return False  # this may only follow from what was left out before
    made.errors.append((number, what))
    if header:
        lines[number - 1] = f"[{LOST_TABLE}.{number}]"
        if not what.startswith(_AGAIN):
            made.headers.append(tuple(_WORD.findall(line)))
    elif whole or number:
        lines[number - 1] = ""
        if not what.startswith(_AGAIN):
            made.lost.append(number)
    return bool(number and (header or whole))


def lost_keys(lines: dict[KeyPath, int], made: RecoveredToml) -> dict[KeyPath, set[str]]:
    """The table and the first part of the key of all that was left out."""
    found: dict[KeyPath, set[str]] = {}
    paths = [path for path, number in lines.items() if number in made.lost]
    for path in [*paths, *made.headers]:
        if len(path) > 1:
            depth = 2 if len(path) > 2 else 1
            found.setdefault(path[:depth], set()).add(str(path[depth]))
    return found
