"""From the sections of chapiteau.toml to a Spec, or every problem at once with its place."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Final, TypeVar

from chapiteau.core.fields import Path, read
from chapiteau.core.problems import Problem
from chapiteau.run.logic.rules.whole import broken_rules
from chapiteau.run.logic.spec import Logs, Plugin, Project, Service, Socket, Spec

__all__ = ["SECTIONS", "read_spec"]

T = TypeVar("T")
SECTIONS: Final = tuple(f.name for f in fields(Spec))
_NAMED: Final[dict[str, type[Any]]] = {"socket": Socket, "service": Service, "plugin": Plugin}


def read_spec(
    raw: Mapping[str, Any], where: Callable[[Path], str] = lambda _: "", *, name: str = ""
) -> tuple[Spec | None, list[Problem]]:
    """The Spec, or None, and every problem. `name` is the project's when the file gives none.

    Parts that can be read are checked against each other even when others can't be.
    """
    reading = _Reading(raw)
    project = reading.part(Project, raw.get("project", {}), ("project",))
    log = reading.part(Logs, raw.get("log", {}), ("log",))
    named = {section: reading.named(section, kind) for section, kind in _NAMED.items()}
    problems = [_placed(where, path, p.where, p.what, p.hint) for path, p in reading.found]
    parts = (named["socket"], named["service"], named["plugin"])
    for broken in broken_rules(project or Project(), *parts, raw):
        places = [place for path in broken.also if (place := where(path))]
        what = f"{broken.what} ({', '.join(places)})" if places else broken.what
        dotted = ".".join(map(str, broken.path))
        problems.append(_placed(where, broken.path, dotted, what, broken.hint))
    if problems or project is None or log is None:
        return None, list(dict.fromkeys(problems))
    if not project.name:
        project = replace(project, name=name)
    return Spec(project=project, log=log, **named), []


def _placed(where: Callable[[Path], str], path: Path, dotted: str, what: str, hint: str) -> Problem:
    return Problem(where(path), f"{dotted}: {what}" if dotted else what, hint)


class _Reading:
    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.found: list[tuple[Path, Problem]] = []

    def part(self, kind: type[T], raw: object, path: Path) -> T | None:
        value, found = read(kind, raw, path)
        self.found += found
        return value

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
