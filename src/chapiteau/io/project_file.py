"""chapiteau.toml and the files it includes, as one mapping with the place of every key."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.core.problems import Problem, did_you_mean
from chapiteau.core.variables import Resolved, resolve, variable_names
from chapiteau.io.locate_config import FILE_NAME, find_config
from chapiteau.io.toml_file import TomlFile, read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chapiteau.core.fields import Path as KeyPath

__all__ = ["FILE_NAME", "ProjectFile", "find_config", "read_project"]

_SECTIONS: Final = tuple("project socket service plugin log dash hub deploy load".split())
_NAMED: Final = frozenset({"socket", "service", "plugin", "load"})  # [section.NAME]
_SPAWN_SECTIONS: Final = frozenset({"service", "log"})


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """What chapiteau.toml and its includes say.

    `data` has the known sections with `${env…}`, `${project.dir}` and `${host.name}` filled in;
    `problems` are those of the file itself (unknown sections, names given twice, variables).
    Each wing reads its own sections and adds its own problems, placed by `where`.
    """

    path: Path
    files: tuple[Path, ...]  # it and what it includes
    data: dict[str, Any]
    problems: tuple[Problem, ...]
    lost: dict[KeyPath, set[str]]  # table → keys that could not be parsed; see `on`
    _sources: dict[KeyPath, TomlFile] = field(repr=False)

    @property
    def folder(self) -> Path:
        """Where relative paths of the file start."""
        return self.path.parent

    def section(self, name: str) -> dict[str, Any]:
        """A top-level section; empty when the file has none."""
        found = self.data.get(name, {})
        return found if isinstance(found, dict) else {}

    def where(self, path: KeyPath) -> str:
        """file:line of a key, or of the nearest table around it."""
        for length in range(min(2, len(path)), 0, -1):
            source = self._sources.get(path[:length])
            if source is not None:
                return source.where(path)
        return str(self.path)


def read_project(
    path: Path, env: Mapping[str, str] | None = None, *, on: bool = False
) -> ProjectFile:
    """Read the file and its includes.

    Raises NotFoundError, RefusedError or UsageError when a file can't be read at all; everything
    else that is wrong is in `problems`. With `on` it reads past syntax errors and files that
    can't be read, and they are there too.
    """
    merge = _Merge(path.absolute())
    main = read_toml(_shown(merge.path), on=on)
    include = main.data.pop("include", [])
    merge.add(main)
    for extra in _included(main, include, merge.problems):
        try:
            merge.add(read_toml(_shown(extra), on=on))
        except ChapiteauError as exc:
            if not on:
                raise
            merge.problems.append(Problem(str(_shown(extra)), exc.what, exc.hint))
    variables = _Variables(merge, os.environ if env is None else env)
    data = {name: variables.walk(value, (name,)) for name, value in merge.data.items()}
    files, problems = tuple(merge.files), tuple(merge.problems)
    return ProjectFile(merge.path, files, data, problems, merge.lost, merge.sources)


def _included(main: TomlFile, include: Any, problems: list[Problem]) -> list[Path]:
    if not isinstance(include, list) or not all(isinstance(p, str) for p in include):
        problems.append(
            Problem(main.where(("include",)), 'include: must be a list like ["conf.d/*.toml"]')
        )
        return []
    found: list[Path] = []
    folder = main.path.absolute().parent
    for pattern in include:
        base, relative = folder, pattern
        if Path(pattern).is_absolute():
            base = Path(folder.anchor)
            relative = str(Path(pattern).relative_to(base))
        matches = [p for p in sorted(base.glob(relative)) if p.is_file()]
        if not matches and not any(c in pattern for c in "*?["):
            problems.append(
                Problem(main.where(("include",)), f"include: {pattern!r} does not exist")
            )
        found += [p for p in matches if p not in found and p != main.path.absolute()]
    return found


def _shown(path: Path) -> Path:
    """Relative to here when that is shorter for the reader: messages name it so."""
    try:
        here = Path.cwd()
        # A supervisor stands in `/`, and who asks it stands elsewhere: "srv/shop" would mislead.
        return path if here == Path(here.anchor) else path.relative_to(here)
    except (ValueError, OSError):
        return path


class _Merge:
    """Puts files together; a name given twice is a problem that names both places."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: list[Path] = []
        self.data: dict[str, Any] = {}
        self.sources: dict[KeyPath, TomlFile] = {}
        self.problems: list[Problem] = []
        self.lost: dict[KeyPath, set[str]] = {}

    def add(self, source: TomlFile) -> None:
        self.problems += source.problems
        self.lost.update(source.lost)
        self.files.append(source.path.absolute())
        for section, value in source.data.items():
            if section == "include":
                self.problem(source, section, "only the main file may include others")
            elif section not in _SECTIONS:
                hint = did_you_mean(section, _SECTIONS)
                self.problem(source, section, "is not a known section", hint)
            elif not isinstance(value, dict):
                self.problem(source, section, f"must be a section: [{_title(section)}]")
            elif section in _NAMED:
                self.named(source, section, value)
            elif section in self.data:
                self.twice(source, (section,))
            else:
                self.data[section] = value
                self.sources[(section,)] = source

    def problem(self, source: TomlFile, section: str, what: str, hint: str = "") -> None:
        self.problems.append(Problem(source.where((section,)), f"{section}: {what}", hint))

    def named(self, source: TomlFile, section: str, value: dict[str, Any]) -> None:
        into = self.data.setdefault(section, {})
        self.sources.setdefault((section,), source)
        for name, part in value.items():
            if name in into:
                self.twice(source, (section, name))
            elif not isinstance(part, dict):
                self.problems.append(
                    Problem(
                        source.where((section, name)),
                        f"{section}.{name}: must be a section of its own: [{section}.NAME]",
                    )
                )
            else:
                into[name] = part
                self.sources[(section, name)] = source

    def twice(self, source: TomlFile, path: KeyPath) -> None:
        first = self.sources[path].where(path)
        dotted = ".".join(map(str, path))
        self.problems.append(
            Problem(source.where(path), f"{dotted}: is also given in {first}", "rename one of them")
        )

    def where(self, path: KeyPath) -> str:
        return ProjectFile(self.path, (), {}, (), {}, self.sources).where(path)


def _title(section: str) -> str:
    return f"{section}.NAME" if section in _NAMED else section


class _Variables:
    """Fills in what is known now, and checks that the rest exists."""

    def __init__(self, merge: _Merge, env: Mapping[str, str]) -> None:
        self.merge = merge
        self.env = env

    def walk(self, value: Any, path: KeyPath) -> Any:
        if isinstance(value, dict):
            return {key: self.walk(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.walk(item, (*path, i)) for i, item in enumerate(value)]
        return self.text(value, path) if isinstance(value, str) and "${" in value else value

    def text(self, value: str, path: KeyPath) -> str:
        if [name for name in variable_names(value) if not self.check_later(name, path)]:
            return value  # told already; `known` would tell it again
        try:
            return Resolved(resolve(value, self.known))
        except LookupError as exc:
            self.problem(path, *exc.args)
            return value

    def known(self, name: str) -> str:
        if name == "project.dir":
            return str(self.merge.path.parent)
        if name == "host.name":
            return os.uname().nodename
        if name.startswith("env."):
            return self.env_value(name[4:])
        known = (
            "env.NAME", "host.name", "process.number", "project.dir", "python", "service.name",
        )  # fmt: skip
        near = did_you_mean(name, known)
        if not near.startswith("did"):
            near = "write $${…} for a literal ${…}; " + near + ", socket.NAME.fd"
        raise LookupError(f"${{{name}}} is not a known variable", near)

    def env_value(self, text: str) -> str:
        name, has_default, default = text.partition(":-")
        value = self.env.get(name, "")
        if value or (name in self.env and not has_default):
            return value
        if has_default:
            return default
        hint = f"set it, or give a default: ${{env.{name}:-value}}"
        raise LookupError(f"environment variable {name} is not set", hint)

    def check_later(self, name: str, path: KeyPath) -> bool:
        """Whether nothing is wrong with a name that only a spawn can fill in."""
        first, _, rest = name.partition(".")
        if first == "socket":
            wanted, _, part = rest.partition(".")
            sockets = self.merge.data.get("socket", {})
            if wanted not in sockets:
                hint = did_you_mean(wanted, sockets) or f"add a section [socket.{wanted}]"
                return self.problem(path, f"${{{name}}}: there is no socket {wanted!r}", hint)
            if part not in {"fd", "port", "address"}:
                return self.problem(path, f"${{{name}}}: a socket has fd, port and address")
        elif first in {"service", "process"} and path[0] not in _SPAWN_SECTIONS:
            what = f"${{{name}}}: has a value in [service.NAME] and [log] only"
            return self.problem(path, what)
        return True

    def problem(self, path: KeyPath, what: str, hint: str = "") -> bool:
        dotted = ".".join(map(str, path))
        found = Problem(self.merge.where(path), f"{dotted}: {what}", hint)
        if found not in self.merge.problems:
            self.merge.problems.append(found)
        return False
