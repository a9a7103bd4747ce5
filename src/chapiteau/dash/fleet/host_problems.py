"""What a node's state does not say: disks, clocks, drift, certificates, loops."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.core.units import format_duration, format_size
from chapiteau.dash.fleet.problem import FleetProblem, remedy

__all__ = [
    "LOOP_WINDOW",
    "Certificate",
    "NodeFacts",
    "certificate_problems",
    "expires_soon",
    "host_problems",
    "restart_loops",
]

_FULL: Final = 0.05  # share of a disk below which it counts as nearly full …
_ROOM: Final = 2 << 30  # … unless so many bytes are free
_GONE: Final = 64 << 20  # bytes below which writing fails soon
_SKEW: Final = 5.0  # seconds by which clocks may differ unnoticed
_SKEW_BREAKS: Final = 600.0  # seconds that certificates allow for
_EXPIRES: Final = 7 * 86_400.0  # seconds; a node renews 20 days before: then something is wrong
_LOOP: Final = 3  # ends by itself …
LOOP_WINDOW: Final = 60.0  # … within so many seconds are a loop


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """Beside the status of one node. Times are seconds since 1970."""

    now: float = 0.0
    health: Mapping[str, Any] = field(default_factory=dict)  # what the node answers to `health`
    skew: float = 0.0  # seconds by which its clock is ahead of the hub's
    expires: float = 0.0  # when its certificate ends; 0: it has none
    papers_life: float = 30 * 86_400.0  # seconds for which such a certificate is good
    generation: int = 0  # what the hub wants of it
    looping: Mapping[str, int] = field(default_factory=dict)  # service → ends in the last minute
    overruled: str = ""  # why the node does not do what this hub says


def restart_loops(events: Iterable[Mapping[str, Any]], status: Mapping[str, Any]) -> dict[str, int]:
    """Services whose processes ended by themselves again and again, and how often they did.

    `events`: those of the last LOOP_WINDOW seconds. What is meant to end never loops, nor does what
    was stopped since.
    """
    lasting = {
        service["name"]
        for service in status.get("services", ())
        if not service.get("one_shot")
        and not service.get("schedule")
        and service.get("state") not in ("stopped", "stopping")
    }
    ends = Counter(
        str(event.get("service", ""))
        for event in events
        if event["kind"] == "process.exited"
        and event.get("service") in lasting
        and not event.get("data", {}).get("asked")
    )
    return {service: count for service, count in ends.items() if count >= _LOOP}


def host_problems(node: str, facts: NodeFacts, told: Iterable[str]) -> Iterator[FleetProblem]:
    """What is wrong beside the services' states; `told`: services that are in trouble already."""
    known = set(told)
    for service, count in sorted(facts.looping.items()):
        if service not in known:
            yield FleetProblem(
                key=f"{node}/{service}/loop",
                kind="loop",
                severity=2,
                node=node,
                service=service,
                what=f"restart loop: {count} ends in the last minute",
                cause="It comes up and dies again; its last lines tell why.",
                cures=(remedy("stop", service), remedy("restart", service)),
            )
    if facts.overruled:
        yield FleetProblem(
            key=f"{node}/lease",
            kind="lease",
            severity=2,
            node=node,
            what="read-only: another hub is in charge",
            cause=f"{facts.overruled}. If no other hub is meant to run: chapiteau hub take-over.",
        )
    for disk in facts.health.get("disks", ()):
        yield from _disk(node, disk)
    yield from _config(node, facts.health)
    yield from _wanted(node, facts)
    yield from _clock(node, facts.skew)
    yield from _certificate(node, facts)


def _disk(node: str, disk: Mapping[str, Any]) -> Iterator[FleetProblem]:
    total, free, path = disk["total"], disk["free"], disk["path"]
    if not total:
        return
    inodes = disk.get("inodes_free", 1.0)
    if (free < total * _FULL and free < _ROOM) or inodes < _FULL / 5:
        gone = free < _GONE or inodes <= 0
        yield FleetProblem(
            key=f"{node}/disk/{path}",
            kind="disk",
            severity=2 if gone else 1,
            node=node,
            what=f"disk {'full' if gone else 'nearly full'}: {format_size(free)} free at {path}",
            cause=(
                "No more files can be made: it has run out of inodes."
                if free >= total * _FULL
                else f"{100 * (1 - free / total):.0f} % of {format_size(total)} are used."
            ),
        )


def _config(node: str, health: Mapping[str, Any]) -> Iterator[FleetProblem]:
    if error := health.get("config_error"):
        yield FleetProblem(
            key=f"{node}/config",
            kind="config",
            severity=1,
            node=node,
            what="config drift: the file can't be applied",
            cause=str(error),
        )
    elif changes := health.get("changes"):
        yield FleetProblem(
            key=f"{node}/config",
            kind="config",
            severity=1,
            node=node,
            what="config drift: the file differs from what runs",
            cause=f"{changes} {'change waits' if changes == 1 else 'changes wait'}"
            " to be applied. On the server: chapiteau plan, then chapiteau reload.",
        )


def _wanted(node: str, facts: NodeFacts) -> Iterator[FleetProblem]:
    wanted = facts.health.get("wanted") or {}
    applied = int(wanted.get("generation", 0))
    if applied > facts.generation:
        yield FleetProblem(
            key=f"{node}/generation",
            kind="generation",
            severity=2,
            node=node,
            what=f"the hub's memory is older than the node's: {facts.generation} < {applied}",
            cause="The hub was restored from an old copy. On the hub: chapiteau hub take-over.",
        )
    elif refused := wanted.get("refused"):
        yield FleetProblem(
            key=f"{node}/generation",
            kind="generation",
            severity=1,
            node=node,
            what="not followed",
            cause=refused,
        )
    elif applied < facts.generation:
        yield FleetProblem(
            key=f"{node}/generation",
            kind="generation",
            severity=1,
            node=node,
            what=f"behind: generation {applied} is applied, {facts.generation} is wanted",
            cause="The node has not taken it yet, or its supervisor does not answer.",
        )
    for line in wanted.get("drift", ()):
        service = str(line).partition(":")[0]
        yield FleetProblem(
            key=f"{node}/drift/{service}",
            kind="drift",
            severity=1,
            node=node,
            service=service,
            what="drift from what the hub wants",
            cause=str(line),
        )


def _clock(node: str, skew: float) -> Iterator[FleetProblem]:
    if abs(skew) < _SKEW:
        return
    side = "ahead of" if skew > 0 else "behind"
    breaks = abs(skew) > _SKEW_BREAKS / 2
    yield FleetProblem(
        key=f"{node}/clock",
        kind="clock",
        severity=1,
        node=node,
        what=f"clock {format_duration(round(abs(skew)))} {side} the hub's",
        cause="Times of its events and logs are wrong by as much."
        + (" At ten minutes certificates begin to fail." if breaks else "")
        + " Is a time service (chrony, systemd-timesyncd) running there?",
    )


def _certificate(node: str, facts: NodeFacts) -> Iterator[FleetProblem]:
    left = facts.expires - facts.now
    if facts.expires and left < min(_EXPIRES, facts.papers_life / 4):
        yield FleetProblem(
            key=f"{node}/certificate",
            kind="certificate",
            severity=2 if left <= 0 else 1,
            node=node,
            what=(
                f"certificate ends in {format_duration(max(1, round(left)))}"
                if left > 0
                else "certificate has expired"
            ),
            cause="It should have renewed itself; join again: chapiteau hub token.",
        )


# The hub's own certificates: when it is time to say that one of them ends.

_DAY: Final = 86_400.0
_SOON: Final = {"page": 14 * _DAY, "hub": 30 * _DAY, "ca": 180 * _DAY, "node": 7 * _DAY}
_WHAT: Final = {
    "page": "the page's certificate",
    "hub": "the hub's certificate for its nodes",
    "ca": "the hub's CA",
}
_CURE: Final = {
    "page": "Browsers refuse it then. Renew {where}: the hub takes the new file by itself.",
    "hub": "It should have renewed itself: is {where} writable? Nodes are locked out when it ends.",
    "ca": "Nodes are locked out when it ends. On the hub: chapiteau hub rotate.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate. Times are seconds since 1970; `error`: why the newest file is not used."""

    kind: str  # "page", "hub" or "ca"
    where: str
    begins: float
    ends: float
    error: str = ""


def expires_soon(kind: str, begins: float, ends: float, now: float) -> bool:
    """Whether so little of its time is left that it should have been renewed."""
    return ends - now < min(_SOON[kind], (ends - begins) / 4)


def certificate_problems(
    node: str, papers: Iterable[Certificate], now: float
) -> Iterator[FleetProblem]:
    """What is wrong with the hub's own, told at this node."""
    for paper in papers:
        called, left = _WHAT[paper.kind], paper.ends - now
        if paper.error:
            yield _trouble(
                node, paper, f"{called} can't be renewed", paper.error, 2 if left <= 0 else 1
            )
        elif expires_soon(paper.kind, paper.begins, paper.ends, now):
            what = (
                f"{called} ends in {format_duration(max(1, round(left)))}"
                if left > 0
                else f"{called} has expired"
            )
            cause = _CURE[paper.kind].format(where=paper.where)
            yield _trouble(node, paper, what, cause, 2 if left <= 0 else 1)


def _trouble(node: str, paper: Certificate, what: str, cause: str, severity: int) -> FleetProblem:
    return FleetProblem(
        key=f"{node}/certificate/{paper.kind}",
        kind="certificate",
        severity=severity,
        node=node,
        what=what,
        cause=cause,
    )
