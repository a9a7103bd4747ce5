"""One thing that is wrong: its kinds as a table, and the command lines that remedy it."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Struct

from chapiteau.run.api.commands import node_commands

__all__ = [
    "KINDS",
    "FleetProblem",
    "Kind",
    "Remedy",
    "actor_name",
    "command_line",
    "make_problem",
    "remedy",
]

_FIELDS: Final = ("since", "lines", "process")
_ON_THE_PAGE: Final = re.compile(r"dash:([^)]+)\)?$")


class Remedy(Struct, frozen=True, kw_only=True):
    """A button: what it does, and the command line that does the same."""

    verb: str
    service: str
    line: str
    options: dict[str, Any] = {}


def command_line(verb: str, service: str, options: Mapping[str, Any]) -> str:
    """`chapiteau scale web=+1` and its like: to be pasted where the service runs."""
    argv = ["chapiteau", verb]
    if verb in node_commands("node"):
        return shlex.join(argv)
    if verb == "signal":  # the signal first: many services may follow it
        argv.append(str(options.get("signal", "")))
    if verb == "scale" and "processes" not in options and int(options.get("by", 0)) < 0:
        return shlex.join([*argv, service, "--by", str(options["by"])])
    argv.append(f"{service}={_amount(options)}" if verb == "scale" else service)
    if verb != "scale" and (process := options.get("process")):
        argv += ["--process", str(process)]
    return shlex.join(argv)


def actor_name(actor: str) -> str:
    """ "uid 0 (dash:ana)" → "ana": who acted on the page; anybody else as they are known."""
    found = _ON_THE_PAGE.search(actor)
    return found[1] if found else actor


def _amount(options: Mapping[str, Any]) -> str:
    if "processes" in options:
        return str(options["processes"])
    return f"+{int(options.get('by', 0))}"


def remedy(verb: str, service: str, **options: Any) -> Remedy:
    """A button with its command line."""
    return Remedy(
        verb=verb, service=service, options=options, line=command_line(verb, service, options)
    )


class FleetProblem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong."""

    key: str  # the same problem keeps its key
    kind: str  # of its sort, for rules: docs/how-to/fleet-alerts.md lists them
    severity: int  # 2 broken, 1 degraded
    node: str
    what: str
    service: str = ""
    process: int = 0
    since: float = 0.0  # seconds since 1970; 0 unknown
    cause: str = ""
    lines: tuple[str, ...] = ()  # last output
    remedies: tuple[Remedy, ...] = ()
    muted_until: float = 0.0  # no alerts until then
    muted_by: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is said of one kind of problem; {words} are filled in."""

    severity: int
    what: str
    cause: str = "{cause}"
    remedies: tuple[str, ...] = ()  # verbs for its service


KINDS: Final = {
    "away": Kind(
        2, "unreachable", "The supervisor does not answer; the values below are the last ones seen."
    ),
    "backlog": Kind(
        2,
        "socket {name}: {queued} of {backlog} connections wait",
        "Connections are not accepted fast enough: the service is stuck, or has too few processes.",
    ),
    "certificate": Kind(
        1, "{what}", "It should have renewed itself; join again: chapiteau hub token."
    ),
    "clock": Kind(
        1,
        "clock {amount} {side} the hub's",
        "Times of its events and logs are wrong by as much.{breaks}"
        " Is a time service (chrony, systemd-timesyncd) running there?",
    ),
    "config": Kind(1, "config drift: the file {how}"),
    "disk": Kind(1, "disk {full}: {free} free at {path}"),
    "down": Kind(2, "{state}{exit}"),
    "drained": Kind(1, "{state}", "By {who}. {left}"),
    "drift": Kind(1, "drift from the desired state"),
    "generation": Kind(1, "{what}"),
    "lease": Kind(
        2,
        "read-only: another hub is in charge",
        "{why}. If no other hub is meant to run: chapiteau hub take-over.",
    ),
    "loop": Kind(
        2,
        "restart loop: {count} exits in the last minute{exit}",
        "It starts and exits again; its last lines say why.",
        ("stop", "restart"),
    ),
    "problem": Kind(1, "{what}"),
    "process": Kind(1, "process {number} {state}{exit}{restarts}", remedies=("restart", "stop")),
    "reason": Kind(1, "running, but", remedies=("reload",)),
    "refused": Kind(2, "refused by the hub", "{why}. {hint}."),
    "replaced": Kind(
        1,
        "another server has taken its place",
        "By {by}. If it was nobody of yours: chapiteau hub revoke.",
    ),
    "unready": Kind(1, "{ready} of {wanted} processes ready{again}", remedies=("restart",)),
}


def make_problem(
    kind: str,
    node: str,
    key: str = "",
    *,
    service: str = "",
    severity: int = 0,
    cause: str = "",
    remedies: Iterable[str | Remedy] = (),
    **words: Any,
) -> FleetProblem:
    """A row of KINDS, filled in. `key` is unique on its node; what is given replaces the row's.

    `since`, `lines` and `process` are fields of the problem, other words fill the row's texts.
    """
    row = KINDS[kind]
    found = tuple(remedies) or row.remedies
    return FleetProblem(
        key=f"{node}/{key or kind}",
        kind=kind,
        severity=severity or row.severity,
        node=node,
        service=service,
        what=row.what.format_map(words),
        cause=cause or row.cause.format_map({"cause": "", **words}),
        remedies=tuple(remedy(r, service) if isinstance(r, str) else r for r in found),
        **{name: words[name] for name in _FIELDS if name in words},
    )
