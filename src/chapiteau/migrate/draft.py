"""The new configuration while it grows: tables, where each value came from, and the notes."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.migrate.report import Fate, Note
from chapiteau.migrate.source import ImportOptions, Option, Source, Tree
from chapiteau.migrate.values import boolean

__all__ = [
    "Draft",
    "Target",
    "Template",
    "expand_home",
    "include_files",
    "literal",
    "report_repeated",
]

Path = tuple[str, ...]
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_RESERVED: Final = frozenset({"all", "supervisor", "keeper", "brain"})
_VARIABLE: Final = re.compile(r"\$\{[^{}]*\}")
_LONGEST: Final = 56  # leaves room for "-pre-2" in the 64 letters of a name


@dataclass(slots=True)
class Draft:
    """What will be the new file. `tables` is its content; `origins` says where a path came from."""

    tables: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, Option] = field(default_factory=dict)
    notes: dict[Note, Path] = field(default_factory=dict)  # and the table that each is about

    def table(self, *path: str) -> "Target":
        """A table of the new file, made when it is first asked for."""
        here = self.tables
        for part in path:
            here = here.setdefault(part, {})
        return Target(self, path, here)

    @property
    def project(self) -> "Target":
        """[project], which also takes the notes about the whole file."""
        return self.table("project")

    def services(self) -> list["Target"]:
        """All services so far."""
        return [self.table("service", name) for name in self.tables.get("service", {})]

    def service_from(self, name: str) -> "Target | None":
        """The service that was made of what the old file calls `name`."""
        for path, origin in self.origins.items():
            if path[:1] == ("service",) and len(path) == 2 and origin.value == name:
                return self.table(*path)
        return None

    def fresh(self, kind: str, wanted: Option) -> "Target":
        """A new [service.NAME], [socket.NAME] or [plugin.NAME] under an allowed, free name."""
        name = _UNSAFE.sub("-", str(wanted.value))
        name = name.replace(".", "-") if kind == "socket" else name
        name = name.strip("-.")[:_LONGEST] or "unnamed"
        name = f"{name}-1" if name in _RESERVED else name
        kinds = (kind,) if kind == "socket" else ("service", "plugin")
        taken = {name for one in kinds for name in self.tables.get(one, {})}
        counted = (f"{name}-{count}" for count in itertools.count(2))
        name = name if name not in taken else next(n for n in counted if n not in taken)
        self.origins[kind, name] = wanted
        return self.table(kind, name)

    def named(self, kind: str, wanted: Option) -> "Target":
        """The same; notes a name that had to change."""
        target = self.fresh(kind, wanted)
        if target.name != wanted.value:
            target.changed(
                wanted,
                f"is called {target.name!r} in the new file",
                "names hold letters, digits, - and _, and each stands for one thing only",
            )
        return target

    def origin(self, path: Path) -> Option:
        """What a value of the new file was made of."""
        for length in range(len(path), 0, -1):
            if found := self.origins.get(path[:length]):
                return found
        return Option(name=".".join(path), value="", where="")


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

    @property
    def title(self) -> str:
        """[service.web]."""
        return f"[{'.'.join(self.path)}]"

    def get(self, key: str) -> Any:
        """A value by its dotted key; None when it is not there."""
        here: Any = self.values
        for part in key.split("."):
            if not isinstance(here, Mapping) or part not in here:
                return None
            here = here[part]
        return here

    def set(self, key: str, value: Any, origin: Option | None = None) -> None:
        """Write a value by its dotted key, without a note."""
        *parents, last = key.split(".")
        here = self.values
        for part in parents:
            here = here.setdefault(part, {})
        here[last] = value
        if origin is not None:
            self.draft.origins[(*self.path, *parents, last)] = origin

    def defaults(self, values: Mapping[str, Any]) -> None:
        """The other tool's defaults where they are not ours, and nothing else is set."""
        for key, value in values.items():
            if self.get(key) is None:
                self.set(key, value)

    def add(self, key: str, names: Iterable[str], origin: Option | None = None) -> None:
        """More members of a list, each once."""
        self.set(key, list(dict.fromkeys([*(self.get(key) or ()), *names])), origin)

    def set_env(self, name: str, value: Any, origin: Option | None = None) -> None:
        """A variable of the service's environment; its name may have dots in it."""
        self.values.setdefault("env", {})[name] = value
        if origin is not None:
            self.draft.origins[(*self.path, "env", name)] = origin

    def put(self, option: Option, key: str, value: Any) -> None:
        """Write a value that keeps its meaning."""
        self.set(key, value, option)
        self.kept(option, f"{key} in {self.title}")

    def kept(self, option: Option, what: str) -> None:
        """Note that a setting lives on; `what` says as what."""
        self._note("kept", option, what, "")

    def changed(self, option: Option, what: str, hint: str = "") -> None:
        """Note that a setting was translated with a difference."""
        self._note("changed", option, what, hint)

    def lost(self, option: Option, what: str, hint: str = "") -> None:
        """Note that a setting is not in the new file."""
        self._note("lost", option, what, hint)

    def _note(self, fate: Fate, option: Option, what: str, hint: str) -> None:
        # What several services share is noted once.
        note = Note(fate=fate, where=option.where, setting=option.title, what=what, hint=hint)
        self.draft.notes.setdefault(note, self.path)

    @contextmanager
    def reading(
        self, option: Option, hint: str = "correct it, or set it by hand"
    ) -> Iterator[None]:
        """A value that makes no sense (ValueError) is lost, and ends nothing."""
        try:
            yield
        except ValueError as exc:
            self.lost(option, f"its value can't be used: {exc}", hint)

    def is_on(self, option: Option) -> bool:
        """Whether a switch is on; one that is neither on nor off is lost."""
        try:
            return boolean(option.value)
        except ValueError as exc:
            self.lost(option, f"its value can't be used: {exc}", "write true or false")
            return False


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


def include_files(
    draft: Draft, source: Source, option: Option, patterns: Sequence[str], options: ImportOptions
) -> list[Source]:
    """What the patterns of an option find near a source; a pattern without any file is lost.

    A file imported on another machine than its own has its other half there.
    """
    found: list[Source] = []
    for pattern in patterns:
        files = options.nearby(source, pattern)
        found += files
        if not files:
            what = f"{pattern}: there is no such file here, so nothing of it was imported"
            hint = "import where those files are, or name them beside this one"
            draft.project.lost(option, what, hint)
    if found:
        draft.project.kept(option, "the included files are part of this import")
    return found


def report_repeated(draft: Draft, source: Source, tree: Tree) -> None:
    """Keys of a tree that are given again further down: the last of them counts."""
    for line, path in tree.repeated:
        name = ".".join(str(part) for part in path)
        option = Option(name=name, value="", where=source.where(line))
        draft.project.lost(option, "is given again; the last one counts", "delete one of the two")
