"""One thing that is wrong."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.run.api.calls import node_commands

__all__ = ["FleetProblem", "Remedy", "actor_name", "command_line", "remedy"]


# Every action as the command line a person would type.

_ON_THE_PAGE: Final = re.compile(r"dash:([^)]+)\)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A button: what it does, and the line that does the same."""

    verb: str
    service: str
    line: str
    options: dict[str, Any] = field(default_factory=dict)


def command_line(verb: str, service: str, options: Mapping[str, Any]) -> str:
    """`chapiteau scale web=+1` and its like: to be pasted where the service runs."""
    words = ["chapiteau", verb]
    if verb in node_commands("node"):
        return shlex.join(words)
    if verb == "signal":  # the signal first: many services may follow it
        words.append(str(options.get("signal", "")))
    words.append(f"{service}={_amount(options)}" if verb == "scale" else service)
    if verb != "scale" and (process := options.get("process")):
        words += ["--process", str(process)]
    return shlex.join(words)


def actor_name(who: str) -> str:
    """ "uid 0 (dash:ana)" → "ana": who pressed it on the page; anybody else as they are known."""
    found = _ON_THE_PAGE.search(who)
    return found[1] if found else who


def _amount(options: Mapping[str, Any]) -> str:
    if "processes" in options:
        return str(options["processes"])
    return f"{int(options.get('by', 0)):+d}"


def remedy(verb: str, service: str, **options: Any) -> Remedy:
    """A button with its line."""
    return Remedy(
        verb=verb, service=service, options=options, line=command_line(verb, service, options)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetProblem:
    """One thing that is wrong."""

    key: str  # the same trouble keeps its key
    kind: str  # of its sort, for rules: docs/how-to/fleet-alerts.md lists them
    severity: int  # 2 broken, 1 degraded
    node: str
    what: str
    service: str = ""
    process: int = 0
    since: float = 0.0  # seconds since 1970; 0 unknown
    cause: str = ""
    lines: tuple[str, ...] = ()  # last output
    cures: tuple[Remedy, ...] = field(default=())
    muted_until: float = 0.0  # somebody knows: nobody is told until then
    muted_by: str = ""
