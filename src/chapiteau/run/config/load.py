"""Reads a project's configuration for the supervisor: one call for the brain and the commands."""

import dataclasses
import functools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path as pathlib_Path
from typing import Any, Final, TypeVar

from chapiteau.core.errors import UsageError
from chapiteau.core.fields import Path, json_schema, read
from chapiteau.core.fields import Path as KeyPath
from chapiteau.core.partial_settings import read_partial, until_unknown
from chapiteau.core.problems import Problem, did_you_mean, raise_problems
from chapiteau.io.project_file import ProjectFile, read_project
from chapiteau.run.config.cross_checks import violations
from chapiteau.run.config.service_rules import log_rules
from chapiteau.run.config.spec import Logs, Plugin, Project, Service, Socket, Spec

__all__ = [
    "SCHEMA_URL",
    "SECTIONS",
    "Config",
    "check_config",
    "config_schema",
    "known_spec",
    "load_config",
    "plain_values",
    "read_spec",
]


# JSON Schema of chapiteau.toml, for editors.

SCHEMA_URL: Final = "https://raw.githubusercontent.com/chapiteau/chapiteau/main/docs/reference/chapiteau.schema.json"


def config_schema(others: Mapping[str, type[Any]]) -> dict[str, Any]:
    """The whole file (draft 2020-12). `others` are the sections that are not the supervisor's:
    "hub" is one table, "load.NAME" tables by name."""
    schema = json_schema(Spec)
    sections = schema["properties"]
    for section, cls in others.items():
        name, _, named = section.partition(".")
        own = json_schema(cls)
        sections[name] = {"type": "object", "additionalProperties": own} if named else own
    sections["include"] = {
        "type": "array",
        "items": {"type": "string"},
        "description": "More files of this kind, as globs relative to this one.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_URL,
        "title": "chapiteau.toml",
        **schema,
    }


# A configuration that was read, as the plain values that give it again.


def plain_values(value: Any) -> Any:
    """Dataclasses as dictionaries of what differs from their defaults: a tenth of the whole."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = type(value)
        standard = {f.name: _standard(plain, f.name) for f in dataclasses.fields(value)}
        pairs = ((name, getattr(value, name), std) for name, std in standard.items())
        return {
            name: plain_values(own) for name, own, std in pairs if own is not None and own != std
        }
    if isinstance(value, dict):
        return {k: plain_values(v) for k, v in value.items()}
    return list(value) if isinstance(value, tuple) else value


@functools.lru_cache(maxsize=1024)
def _standard(cls: Any, name: str) -> Any:
    made, problems = read(cls, {})
    return None if problems else getattr(made, name)


# From the sections of chapiteau.toml to a Spec, or every problem at once with its place.

T = TypeVar("T")
SECTIONS: Final = tuple(f.name for f in fields(Spec))
_NAMED: Final[dict[str, type[Any]]] = {"socket": Socket, "service": Service, "plugin": Plugin}


def read_spec(
    raw: Mapping[str, Any],
    where: Callable[[Path], str] = lambda _: "",
    *,
    name: str = "",
    lost: Mapping[Path, Collection[str]] | None = None,
) -> tuple[Spec | None, list[Problem]]:
    """The Spec, or None, and every problem. `name` is the project's when the file gives none.

    Parts that can be read are checked against each other even when others can't be. `lost` names,
    by the path of their table, keys that stand in the file and could not be parsed.
    """
    reading = _Reading(raw, lost or {})
    project = reading.part(Project, raw.get("project", {}), ("project",))
    log = reading.part(Logs, raw.get("log", {}), ("log",))
    named = {section: reading.named(section, kind) for section, kind in _NAMED.items()}
    problems = [_placed(where, path, p.where, p.what, p.hint) for path, p in reading.found]
    sockets, services, plugins = ({**named[s], **reading.partial[s]} for s in _NAMED)
    names = {s: dict.fromkeys((*_names(raw, s), *reading.lost.get((s,), ()))) for s in _NAMED}
    all_broken = violations(reading.project or Project(), sockets, services, plugins, names)
    of_log = (replace(b, path=("log", *b.path)) for b in log_rules(log or Logs()))
    for broken in (*of_log, *all_broken):
        places = [place for path in broken.also if (place := where(path))]
        what = f"{broken.what} ({', '.join(places)})" if places else broken.what
        dotted = ".".join(map(str, broken.path))
        problems.append(_placed(where, broken.path, dotted, what, broken.hint))
    if problems or project is None or log is None:
        return None, list(dict.fromkeys(problems))
    return _spec(project, log, named, name), []


def known_spec(raw: Mapping[str, Any], *, name: str = "") -> Spec:
    """The Spec of what `read_spec` has found no problem in, without looking for any again."""
    reading = _Reading(raw, {})
    project = reading.part(Project, raw.get("project", {}), ("project",))
    log = reading.part(Logs, raw.get("log", {}), ("log",))
    named = {section: reading.named(section, kind) for section, kind in _NAMED.items()}
    if project is None or log is None or reading.found:
        raise ValueError("this was not read before")
    return _spec(project, log, named, name)


def _spec(project: Project, log: Logs, named: dict[str, Any], name: str) -> Spec:
    if not project.name:
        project = replace(project, name=name)
    return Spec(project=project, log=log, **named)


def _names(raw: Mapping[str, Any], section: str) -> Iterable[str]:
    parts = raw.get(section)
    return parts if isinstance(parts, Mapping) else ()


def _placed(where: Callable[[Path], str], path: Path, dotted: str, what: str, hint: str) -> Problem:
    return Problem(where(path), f"{dotted}: {what}" if dotted else what, hint)


class _Reading:
    def __init__(self, raw: Mapping[str, Any], lost: Mapping[Path, Collection[str]]) -> None:
        self.raw, self.lost = raw, lost
        self.found: list[tuple[Path, Problem]] = []
        self.partial: dict[str, dict[str, Any]] = {section: {} for section in _NAMED}
        self.project: Project | None = None

    def part(self, kind: type[T], raw: object, path: Path) -> T | None:
        value, found = read(kind, raw, path)
        lost = self.lost.get(path, ())
        if value is None or lost:
            partial, found = read_partial(kind, raw, path, lost)
            self._keep_partial(partial, path)
            value = None
        elif isinstance(value, Project):
            self.project = value
        self.found += found
        return value

    def _keep_partial(self, partial: Any, path: Path) -> None:
        if path[0] == "project":
            self.project = partial
        elif partial is not None and path[0] in self.partial:
            self.partial[str(path[0])][str(path[1])] = partial

    def named(self, section: str, kind: type[T]) -> dict[str, T]:
        made: dict[str, T] = {}
        parts = self.raw.get(section, {})
        if not isinstance(parts, Mapping):
            self.found.append(((section,), Problem(section, f"must be [{section}.NAME] sections")))
            return made
        for name, raw in parts.items():
            value = self.part(kind, self.with_log(section, raw), (section, name))
            if value is not None:
                made[name] = value
        return made

    def with_log(self, section: str, raw: Any) -> Any:
        """A service's own log settings stand on top of [log], key by key."""
        own = raw.get("log") if isinstance(raw, Mapping) else None
        base = self.raw.get("log", {})
        base_is_bad = any(path[0] == "log" for path, _ in self.found)
        if section != "service" or not isinstance(own, Mapping) or base_is_bad:
            return raw
        return {**raw, "log": {**base, **own}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A chapiteau.toml that is fit to run."""

    path: pathlib_Path
    files: tuple[pathlib_Path, ...]  # it and what it includes
    spec: Spec
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)  # as written

    @property
    def run_dir(self) -> pathlib_Path:
        """Where state, sockets and logs live."""
        return (self.path.parent / self.spec.project.run_dir).absolute()


def load_config(path: pathlib_Path, env: Mapping[str, str] | None = None) -> Config:
    """Read and check. Raises InvalidInputError with every problem, or what `read_project` does."""
    project, spec, problems = _read(path, env)
    raise_problems(str(path), problems)
    if spec is None:  # no problems and no spec would be a defect of ours
        raise AssertionError("a configuration without problems must give a Spec")
    return Config(path=project.path, files=project.files, spec=spec, raw=_ours(project))


def check_config(
    path: pathlib_Path,
    others: Mapping[str, type[Any]] | None = None,
    env: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Every problem of the file; syntax errors too.

    `others` are the dataclasses of sections that are not the supervisor's: "dash", or "load.NAME"
    where people choose names.
    """
    try:
        project, _, problems = _read(path, env, on=True)
    except UsageError as exc:
        return [Problem("", exc.what, exc.hint)]
    for section, kind in (others or {}).items():
        problems += _problems_of(project, section, kind)
    return sorted(problems, key=_place)


def _problems_of(project: ProjectFile, section: str, kind: type[Any]) -> Iterator[Problem]:
    name, _, chosen = section.partition(".")
    raw = project.section(name)
    parts = {(name, key): part for key, part in raw.items()} if chosen else {(name,): raw}
    for path, part in parts.items():
        value, found = read_partial(kind, part, path, project.lost.get(path, ()))
        for place, one in found:
            yield Problem(project.where(place), f"{one.where}: {one.what}", one.hint)
        if value is not None:
            yield from _rules_of(project, kind, value, path)


def _rules_of(project: ProjectFile, kind: Any, value: object, path: KeyPath) -> Iterator[Problem]:
    """What its settings must not say together: a section's dataclass may know, as `problems`."""
    for one in until_unknown(kind.problems(value)) if hasattr(kind, "problems") else ():
        place = (*path, one.where)
        yield Problem(project.where(place), f"{'.'.join(map(str, place))}: {one.what}", one.hint)


def _read(
    path: pathlib_Path, env: Mapping[str, str] | None, *, on: bool = False
) -> tuple[ProjectFile, Spec | None, list[Problem]]:
    project = read_project(path, os.environ if env is None else env, on=on)
    spec, problems = read_spec(
        _ours(project), project.where, name=project.folder.name, lost=project.lost
    )
    problems += _unknown_plugins(project)
    return project, spec, sorted([*project.problems, *problems], key=_place)


def _ours(project: ProjectFile) -> dict[str, Any]:
    return {name: project.data[name] for name in SECTIONS if name in project.data}


def _unknown_plugins(project: ProjectFile) -> Iterator[Problem]:
    """Short names that neither we nor an installed package offers."""
    uses = {name: raw.get("use") for name, raw in project.section("plugin").items()}
    short = {name: use for name, use in uses.items() if isinstance(use, str) and ":" not in use}
    if not short:
        return
    from chapiteau.run.config.plugin_settings import BUILTIN_PLUGINS

    if set(short.values()) <= set(BUILTIN_PLUGINS):
        return
    from importlib.metadata import entry_points

    known = {*BUILTIN_PLUGINS, *entry_points(group="chapiteau.plugins").names}
    for name, use in short.items():
        if use not in known:
            place = ("plugin", name, "use")
            what = f"{'.'.join(place)}: there is no plugin {use!r}"
            hint = f"{did_you_mean(use, known)}; your own is written module:Class"
            yield Problem(project.where(place), what, hint)


def _place(problem: Problem) -> tuple[str, int, str]:
    """Problems in the order of the file: by line as a number."""
    file, _, line = problem.where.rpartition(":")
    return (file, int(line), problem.what) if line.isdigit() else (problem.where, 0, problem.what)
