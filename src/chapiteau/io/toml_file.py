"""TOML with the line of every key, so that a complaint can say where."""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chapiteau.core.errors import NotFoundError, RefusedError, UsageError
from chapiteau.core.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chapiteau.core.fields import Path as KeyPath

__all__ = ["RecoveredToml", "TomlFile", "not_utf8", "read_toml", "recover_toml"]


# Reads on behind syntax errors, for those who want to hear of every problem at once.
#
# A line that can't be is told and left out, when it is whole in itself: `key = value` or a
# [header]. Inside strings and arrays of several lines nothing is guessed: there it ends.

_LOST_TABLE: Final = "-lost-"  # holds what stood below a header that can't be
_MOST: Final = 50
_LINE: Final = re.compile(r"at line (\d+)")
_ENTRY: Final = re.compile(r"\s*[\w.\"' -]+=")
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
            data.pop(_LOST_TABLE, None)
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
    header, whole = line.lstrip().startswith("["), _ENTRY.match(line)
    if made.errors and (not number or not (header or whole)):
        return False  # this may only follow from what was left out before
    made.errors.append((number, what))
    if header:
        lines[number - 1] = f"[{_LOST_TABLE}.{number}]"
        if not what.startswith(_AGAIN):
            made.headers.append(tuple(_WORD.findall(line)))
    elif whole or number:
        lines[number - 1] = ""
        if not what.startswith(_AGAIN):
            made.lost.append(number)
    return bool(number and (header or whole))


def _lost_keys(lines: dict[KeyPath, int], made: RecoveredToml) -> dict[KeyPath, set[str]]:
    """The table and the first part of the key of all that was left out."""
    found: dict[KeyPath, set[str]] = {}
    paths = [path for path, number in lines.items() if number in made.lost]
    for path in [*paths, *made.headers]:
        if len(path) > 1:
            depth = 2 if len(path) > 2 else 1
            found.setdefault(path[:depth], set()).add(str(path[depth]))
    return found


_HEADER: Final = re.compile(r"^\s*\[\[?\s*(?P<name>[^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(
    r"""^\s*(?P<key>(?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART: Final = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


@dataclass(frozen=True, slots=True)
class TomlFile:
    """What a TOML file says, and on which line each key stands."""

    path: Path
    data: dict[str, Any]
    text: str = field(repr=False)
    problems: tuple[Problem, ...] = ()  # syntax errors that were read past
    lost: Mapping[KeyPath, set[str]] = field(default_factory=dict)  # table → keys not in `data`

    def where(self, path: KeyPath) -> str:
        """file:line of a key, or of the nearest table around it."""
        lines = _lines(self.text)
        for length in range(len(path), 0, -1):
            line = lines.get(path[:length])
            if line is not None:
                return f"{self.path}:{line}"
        return str(self.path)


def read_toml(path: Path, *, on: bool = False) -> TomlFile:
    """Read a file. Raises NotFoundError, RefusedError (rights) or UsageError (syntax).

    With `on` it reads past what is wrong, where that can be done: `problems` tell it.
    """
    try:
        text = path.read_text(encoding="utf-8").removeprefix("\ufeff")  # some editors' mark
    except FileNotFoundError:
        raise NotFoundError(
            f"{path}: no such file", hint="run `chapiteau new NAME` for a start, or pass --config"
        ) from None
    except PermissionError:
        raise RefusedError(
            f"{path}: may not be read by this user", hint=f"try: ls -l {path}"
        ) from None
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path}: {not_utf8(exc)}", hint="save the file as UTF-8") from None
    except OSError as exc:  # a folder, a loop of links, a disk that fails …
        raise UsageError(f"{path}: can't be read: {exc.strerror}") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        if on and (mended := _mended(path, text)) is not None:
            return mended
        raise UsageError(f"{path}: not valid TOML: {exc}", hint=_line_of(exc, text)) from None
    return TomlFile(path, data, text)


def not_utf8(exc: UnicodeDecodeError) -> str:
    """Where a file stops being UTF-8, as editors count: "line 1, column 6 is not UTF-8"."""
    before = exc.object[: exc.start].decode().removeprefix("\ufeff")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"line {line}, column {column} is not UTF-8"


def _mended(path: Path, text: str) -> TomlFile | None:
    found, lines = recover_toml(text), text.splitlines()
    told = [
        Problem(
            f"{path}:{number}" if number else str(path),
            f"not valid TOML: {what}",
            f"the line reads: {lines[number - 1].strip()}" if number else "",
        )
        for number, what in found.errors
    ]
    if found.data is None and len(told) == 1:
        return None
    lost = _lost_keys(_lines(text), found)
    return TomlFile(path, found.data or {}, text, tuple(told), lost)


def _line_of(exc: tomllib.TOMLDecodeError, text: str) -> str:
    match = re.search(r"at line (\d+)", str(exc))
    if not match:
        return ""
    lines = text.splitlines()
    number = int(match[1])
    return f"line {number} reads: {lines[number - 1].strip()}" if number <= len(lines) else ""


@functools.lru_cache(maxsize=8)
def _lines(text: str) -> dict[KeyPath, int]:
    """Line of each header and key. A scan, not a parser: inside strings it may see a false key,
    which does no harm, since only paths that really exist are ever looked up."""
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _parts(header["name"])
            for length in range(1, len(table) + 1):
                found.setdefault(table[:length], number)
        elif key := _KEY.match(line):
            parts = _parts(key["key"])
            for length in range(1, len(parts) + 1):
                found.setdefault((*table, *parts[:length]), number)
            # inline tables: `env = {A = "x", B = "y"}` puts its keys on the same line
            rest = line[key.end() :]
            if rest.lstrip().startswith("{"):
                for inner in re.finditer(r"[{,]\s*([\w-]+)\s*=", rest):
                    found.setdefault((*table, *parts, inner[1]), number)
    return found


def _parts(dotted: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
