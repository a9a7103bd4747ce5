"""Settings that were changed at run time, over those of the file, and how the two differ."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from chapiteau.core.fields import read
from chapiteau.core.problems import Problem
from chapiteau.run.config.load import plain_values, read_spec
from chapiteau.run.config.spec import Service, Spec

__all__ = [
    "ADDED",
    "REMOVED",
    "Overrides",
    "drift",
    "parse_setting",
    "updated_overrides",
    "value_at",
    "with_overrides",
]

Overrides = Mapping[str, Mapping[str, Any]]  # service → dotted setting → plain value
ADDED, REMOVED = "+", "-"  # among a service's overrides: it is not in the file; it shall not run
_REPEATED = 200  # characters of a value that are shown


def updated_overrides(
    now: Overrides, service: str, given: Mapping[str, Any], reset: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """The overrides with other values for a service; `reset` takes some away, "*" all of it."""
    kept = dict(now.get(service, {}))
    for name in reset:
        for key in [k for k in kept if name == "*" or k == name or k.startswith(f"{name}.")]:
            del kept[key]
    for key, value in given.items():
        # env and env.A can't both hold: the later word does.
        for old in [k for k in kept if k.startswith(f"{key}.") or key.startswith(f"{k}.")]:
            del kept[old]
        kept[key] = value
    others = {name: dict(own) for name, own in now.items() if name != service}
    return {**others, service: kept} if kept else others


def with_overrides(base: Spec, overrides: Overrides) -> tuple[Spec | None, list[Problem]]:
    """The configuration that runs, or every problem: the same rules hold as for the file."""
    raw = plain_values(base)
    for name, service in base.service.items():
        if service.log is not None:  # whole: what equals a default must not become [log]'s value
            raw["service"][name]["log"] = asdict(service.log)
    services = raw.setdefault("service", {})
    for owner, own in overrides.items():
        if own.get(REMOVED):
            services.pop(owner, None)
        elif own.get(ADDED):
            services.setdefault(owner, {})
        table = services.get(owner)
        for dotted, value in own.items() if table is not None else ():
            if dotted != ADDED and (problem := _put(table, dotted.split("."), value)):
                return None, [Problem("", f"service.{owner}.{dotted}: {problem}", "")]
    return read_spec(raw, name=base.project.name)


def _put(table: dict[str, Any], path: list[str], value: Any) -> str:
    for key in path[:-1]:
        found = table.setdefault(key, {})
        if not isinstance(found, dict):
            return f"{key} is no table"
        table = found
    table[path[-1]] = value
    return ""


def parse_setting(dotted: str, text: str) -> Any:
    """What KEY=TEXT on a command line means: TOML where that fits the setting, else the text."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if _fits(dotted, value) or not _fits(dotted, text) else text


def _fits(dotted: str, value: Any) -> bool:
    raw: dict[str, Any] = {}
    _put(raw, dotted.split("."), value)
    path = tuple(dotted.split("."))
    return not any(place[: len(path)] == path for place, _ in read(Service, raw)[1])


def value_at(service: Service, dotted: str) -> Any:
    """A setting's value by its dotted name. Raises KeyError."""
    found: Any = service
    for key in dotted.split("."):
        if isinstance(found, Mapping):
            found = found.get(key)
        elif hasattr(type(found), "__dataclass_fields__"):
            if key not in type(found).__dataclass_fields__:
                raise KeyError(dotted)
            found = getattr(found, key)
        elif found is not None:
            raise KeyError(dotted)
    return found


def drift(base: Service | None, running: Service, own: Mapping[str, Any]) -> Iterator[str]:
    """`stop_timeout = 3.0 (file: 10.0)` for each setting that was changed at run time.

    Values of the environment are not shown.
    """
    if own.get(ADDED):
        yield "added at run time"
        return
    for dotted in own:
        if dotted.partition(".")[0] == "env":
            yield f"{dotted} = … (set at run time)"
            continue
        new = value_at(running, dotted)
        old = value_at(base, dotted) if base is not None else None
        yield f"{dotted} = {_shown(new)} (file: {_shown(old)})"


def _shown(value: Any) -> str:
    if value is None or value == "" or value == ():
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = (
        " ".join(map(str, value)) if isinstance(value, tuple | list) else str(plain_values(value))
    )
    return text if len(text) <= _REPEATED else f"{text[:_REPEATED]}…"
