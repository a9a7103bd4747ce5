"""A foreign file as it was given, its settings, and the complaint that it can't be understood."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.core.errors import UsageError

__all__ = ["ImportOptions", "KeyPath", "Option", "Source", "Tree", "unreadable"]

KeyPath = tuple[str | int, ...]
_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Nested values with the line on which each stands."""

    data: Any
    lines: Mapping[KeyPath, int] = field(default_factory=dict, repr=False)
    not_run: tuple[tuple[int, str], ...] = ()  # line and code of statements that are not run
    repeated: tuple[tuple[int, KeyPath], ...] = ()  # keys that are given again further down


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting as it stands in the source."""

    name: str
    value: Any
    where: str  # file:line
    section: str = ""  # "[watcher:web]", as the report shows it

    @property
    def title(self) -> str:
        """How the report names it."""
        gap = "" if self.section.endswith(".") else " "
        return f"{self.section}{gap}{self.name}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file: its name as people wrote it, its folder (absolute), its text or tree."""

    name: str
    folder: str = ""
    text: str = field(default="", repr=False)
    tree: Tree | None = field(default=None, repr=False)

    def where(self, line: int) -> str:
        """file:line."""
        return f"{self.name}:{line}"

    def place(self, path: KeyPath) -> str:
        """file:line of a value in the tree, or of the nearest one around it."""
        for length in range(len(path), -1, -1):
            line = self.tree.lines.get(path[:length]) if self.tree else None
            if line is not None:
                return self.where(line)
        return self.name

    def options(self, path: KeyPath, value: Any, section: str = "") -> list[Option]:
        """The keys of a mapping in the tree."""
        return [
            Option(name=str(key), value=inner, where=self.place((*path, key)), section=section)
            for key, inner in (value.items() if isinstance(value, Mapping) else ())
        ]

    def rows(self) -> list[str]:
        """The text's lines. Only real line breaks count, so that numbers agree with editors."""
        return _LINE_BREAK.split(self.text)


def _nothing(_source: Source, _pattern: str) -> Sequence[Source]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the files themselves can't say.

    `nearby` gives the files that match a pattern relative to the folder of a source, by name.
    """

    nearby: Callable[[Source, str], Sequence[Source]] = _nothing
    formation: Mapping[str, int] = field(default_factory=dict)  # Procfile: processes per type
    port: int = 5000  # Procfile: the first port
    variant: str = ""  # PM2: take env_VARIANT too
    cpus: int = 1  # PM2: what "max" means


def unreadable(where: str, what: str, hint: str = "") -> UsageError:
    """The error for a file that can't be understood, with its line."""
    return UsageError(f"{where}: {what}", hint=hint or "nothing was written")
