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

__all__ = ["TomlFile", "read_toml"]

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
        raise UsageError(f"{path}: not UTF-8 text ({exc})") from None
    except OSError as exc:  # a folder, a loop of links, a disk that fails …
        raise UsageError(f"{path}: can't be read: {exc.strerror}") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        if on and (mended := _mended(path, text)) is not None:
            return mended
        raise UsageError(f"{path}: not valid TOML: {exc}", hint=_line_of(exc, text)) from None
    return TomlFile(path, data, text)


def _mended(path: Path, text: str) -> TomlFile | None:
    from chapiteau.io.toml_recovery import lost_keys, recover_toml

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
    lost = lost_keys(_lines(text), found)
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
