"""The new configuration while it grows: tables, where each value came from, and the ledger."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.migrate.report import Ledger, Note
from chapiteau.migrate.source import ImportOptions, Option, Source, Tree

__all__ = [
    "Draft",
    "Target",
    "Template",
    "expand_home",
    "include_files",
    "literal",
    "report_repeated",
    "safe_name",
]

Path = tuple[str, ...]
_UNSAFE: Final = {
    "service": re.compile(r"[^A-Za-z0-9_.-]+"),
    "socket": re.compile(r"[^A-Za-z0-9_-]+"),
    "plugin": re.compile(r"[^A-Za-z0-9_.-]+"),
}
_RESERVED: Final = frozenset({"all", "supervisor", "keeper", "brain"})
_VARIABLE: Final = re.compile(r"\$\{[^{}]*\}")
_LONGEST: Final = 56  # leaves room for "-pre-2" in the 64 letters of a name


@dataclass(slots=True)
class Draft:
    """What will be the new file. `tables` is its content; `origins` says where a path came from."""

    ledger: Ledger = field(default_factory=Ledger)
    tables: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, Option] = field(default_factory=dict)

    def table(self, *path: str) -> "Target":
        """A table of the new file, made when it is first asked for."""
        here = self.tables
        for part in path:
            here = here.setdefault(part, {})
        return Target(self, path, here)

    def fresh_name(self, kind: str, wanted: str) -> str:
        """A name for a service or socket that is allowed and not taken yet."""
        name = safe_name(kind, wanted)
        others = ("service", "plugin") if kind != "socket" else (kind,)
        taken = {name for other in others for name in self.tables.get(other, {})}
        found, count = name, 2
        while found in taken:
            found, count = f"{name}-{count}", count + 1
        return found

    def named(self, kind: str, wanted: Option) -> "Target":
        """A new [service.NAME], [socket.NAME] or [plugin.NAME]; notes a name that had to change."""
        name = self.fresh_name(kind, str(wanted.value))
        target = self.table(kind, name)
        self.origins[(kind, name)] = wanted
        if name != wanted.value:
            target.changed(
                wanted,
                f"is called {name!r} in the new file",
                "names hold letters, digits, - and _, and each stands for one thing only",
            )
        return target


@dataclass(slots=True)
class Target:
    """One table of the draft; every value that is put or given up here is accounted for."""

    draft: Draft
    path: Path
    values: dict[str, Any]

    @property
    def name(self) -> str:
        """The last part of the table's path: the service's or socket's name."""
        return self.path[-1] if self.path else ""

    def get(self, key: str) -> Any:
        """A value by its dotted key; None when it is not there."""
        here: Any = self.values
        for part in key.split("."):
            if not isinstance(here, Mapping) or part not in here:
                return None
            here = here[part]
        return here

    def set(self, key: str, value: Any, origin: Option | None = None) -> None:
        """Write a value by its dotted key, without an entry in the ledger."""
        *parents, last = key.split(".")
        here = self.values
        for part in parents:
            here = here.setdefault(part, {})
        here[last] = value
        if origin is not None:
            self.draft.origins[(*self.path, *parents, last)] = origin

    def set_env(self, name: str, value: Any, origin: Option | None = None) -> None:
        """A variable of the service's environment; its name may have dots in it."""
        self.values.setdefault("env", {})[name] = value
        if origin is not None:
            self.draft.origins[(*self.path, "env", name)] = origin

    def put(self, option: Option, key: str, value: Any) -> None:
        """Write a value that keeps its meaning."""
        self.set(key, value, option)
        self.kept(option, f"{key} in [{'.'.join(self.path)}]")

    def kept(self, option: Option, what: str) -> None:
        """Note that a setting lives on; `what` says as what."""
        self._note("kept", option, what, "")

    def changed(self, option: Option, what: str, hint: str = "") -> None:
        """Note that a setting was translated with a difference."""
        self._note("changed", option, what, hint)

    def lost(self, option: Option, what: str, hint: str = "") -> None:
        """Note that a setting is not in the new file."""
        self._note("lost", option, what, hint)

    def _note(self, kind: str, option: Option, what: str, hint: str) -> None:
        note = Note(where=option.where, setting=option.title, what=what, hint=hint)
        self.draft.ledger.write(kind, note, self.path)


class Template(str):
    """Text that is in our own terms already: `${…}` in it is a variable of ours."""

    __slots__ = ()


def literal(text: str) -> str:
    """Foreign text in which `${…}` shall mean itself in the new file."""
    if isinstance(text, Template):
        return text
    return _VARIABLE.sub(lambda match: "$" + match[0], text)


def expand_home(text: str) -> str:
    """`~/…` as a path below the home of whoever runs the supervisor.

    Raises ValueError for another user's home: only the machine that it runs on knows that.
    """
    if text != "~" and not text.startswith("~/"):
        if text.startswith("~"):
            raise ValueError(f"{text!r} begins with another user's home: write the whole path")
        return text
    return Template("${env.HOME}" + literal(text)[1:])


def safe_name(kind: str, text: str) -> str:
    """The nearest name that a service or socket may have."""
    name = _UNSAFE[kind].sub("-", text).strip("-.")[:_LONGEST] or "unnamed"
    return f"{name}-1" if name in _RESERVED else name


# What more than one place says: files that are included, and keys that are given twice.


def include_files(
    top: Target, source: Source, option: Option, patterns: Iterable[str], choices: ImportOptions
) -> list[Source]:
    """What the patterns of an option find beside a source; a pattern without any file is lost.

    A file imported on another machine than its own has its other half there.
    """
    found: list[Source] = []
    for pattern in patterns:
        files = choices.beside(source, pattern)
        found += files
        if not files:
            what = f"{pattern}: there is no such file here, so nothing of it was imported"
            top.lost(option, what, "import where those files are, or name them beside this one")
    if found:
        top.kept(option, "the included files are part of this import")
    return found


def report_repeated(top: Target, source: Source, tree: Tree) -> None:
    """Keys of a tree that stand again further down: the last of them counts."""
    for line, path in tree.repeated:
        name = ".".join(str(part) for part in path)
        option = Option(name=name, value="", where=source.where(line))
        top.lost(option, "is given again; the last one counts", "delete one of the two")
