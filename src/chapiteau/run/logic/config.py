"""From the sections of chapiteau.toml to a Spec, or every problem at once with its place."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, Final, TypeVar

from chapiteau.core.fields import Path, read
from chapiteau.core.partly import read_partly
from chapiteau.core.problems import Problem
from chapiteau.run.logic.rules.service import log_rules
from chapiteau.run.logic.rules.whole import broken_rules
from chapiteau.run.logic.spec import Logs, Plugin, Project, Service, Socket, Spec

__all__ = ["SECTIONS", "known_spec", "read_spec"]

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
    sockets, services, plugins = ({**named[s], **reading.partly[s]} for s in _NAMED)
    names = {s: dict.fromkeys((*_names(raw, s), *reading.lost.get((s,), ()))) for s in _NAMED}
    all_broken = broken_rules(reading.project or Project(), sockets, services, plugins, names)
    of_log = (replace(b, path=("log", *b.path)) for b in log_rules(log or Logs()))
    for broken in (*of_log, *all_broken):
        places = [place for path in broken.also if (place := where(path))]
        what = f"{broken.what} ({', '.join(places)})" if places else broken.what
        dotted = ".".join(map(str, broken.path))
        problems.append(_placed(where, broken.path, dotted, what, broken.hint))
    if problems or project is None or log is None:
        return None, list(dict.fromkeys(problems))
    return _made(project, log, named, name), []


def known_spec(raw: Mapping[str, Any], *, name: str = "") -> Spec:
    """The Spec of what `read_spec` has found no problem in, without looking for any again."""
    reading = _Reading(raw, {})
    project = reading.part(Project, raw.get("project", {}), ("project",))
    log = reading.part(Logs, raw.get("log", {}), ("log",))
    named = {section: reading.named(section, kind) for section, kind in _NAMED.items()}
    if project is None or log is None or reading.found:
        raise ValueError("this was not read before")
    return _made(project, log, named, name)


def _made(project: Project, log: Logs, named: dict[str, Any], name: str) -> Spec:
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
        self.partly: dict[str, dict[str, Any]] = {section: {} for section in _NAMED}
        self.project: Project | None = None

    def part(self, kind: type[T], raw: object, path: Path) -> T | None:
        value, found = read(kind, raw, path)
        lost = self.lost.get(path, ())
        if value is None or lost:
            partly, found = read_partly(kind, raw, path, lost)
            self._keep_partly(partly, path)
            value = None
        elif isinstance(value, Project):
            self.project = value
        self.found += found
        return value

    def _keep_partly(self, partly: Any, path: Path) -> None:
        if path[0] == "project":
            self.project = partly
        elif partly is not None and path[0] in self.partly:
            self.partly[str(path[0])][str(path[1])] = partly

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
