"""What needs attention on a node: rules that derive problems from its status and health."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypedDict

from msgspec.structs import replace

from chapiteau.core.units import format_duration, format_size
from chapiteau.dash.fleet.node import DiskUsage, NodeHealth
from chapiteau.dash.fleet.problem import FleetProblem, actor_name, make_problem, remedy
from chapiteau.dash.fleet.status import (
    DrainReport,
    LastExit,
    NodeStatus,
    ProcessEntry,
    ServiceEntry,
    SocketEntry,
    SupervisorProblem,
)
from chapiteau.run.events import EventMessage

__all__ = [
    "LOOP_WINDOW",
    "Certificate",
    "FleetProblem",
    "NodeFacts",
    "certificate_problems",
    "expires_soon",
    "node_problems",
    "restart_loops",
    "with_mutes",
    "with_since",
]

_DAY: Final = 86_400.0
_QUEUE_FULL: Final = 0.8  # of the backlog
_LOOPING: Final = 3  # restarts in a row that make a loop …
LOOP_WINDOW: Final = 60.0  # … or exits within so many seconds
_KEPT_LINES: Final = 20
_SLOW_START: Final = 15.0  # seconds that a process may take to be ready
_DISK_FULL: Final = 0.05  # share of a disk below which it counts as nearly full …
_DISK_FREE: Final = 2 << 30  # … unless so many bytes are free
_DISK_GONE: Final = 64 << 20  # bytes below which writing fails soon
_SKEW: Final = 5.0  # seconds by which clocks may differ unnoticed
_SKEW_BREAKS: Final = 600.0  # seconds that certificates allow for
_SIGNALS: Final = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM", 31: "SIGSYS",
}  # fmt: skip


class _ReadyCount(TypedDict):
    service: str
    ready: int
    wanted: int


class _Output(TypedDict):
    since: float
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What is known of a node beside its status. Times are seconds since 1970."""

    now: float = 0.0
    health: NodeHealth = field(default_factory=lambda: NodeHealth())  # noqa: PLW0108
    skew: float = 0.0  # seconds by which its clock is ahead of the hub's
    expires: float = 0.0  # when its certificate ends; 0: it has none
    certificate_lifetime: float = 30 * _DAY  # seconds for which such a certificate is valid
    generation: int = 0  # of the desired state at the hub
    looping: Mapping[str, int] = field(default_factory=dict)  # service → exits in the last minute
    overruled: str = ""  # why the node does not do what this hub says


def node_problems(
    node: str, status: NodeStatus, *, away_since: float = 0.0, facts: NodeFacts | None = None
) -> list[FleetProblem]:
    """Everything wrong on one node, worst first.

    `status`: the last one seen, may be empty; `away_since`: when the node fell silent.
    """
    if away_since:
        return [_away(node, away_since, facts)]
    now = facts.now if facts is not None else 0.0
    found = [p for service in status.get("services", ()) for p in _of_service(node, service, now)]
    found += [p for socket in status.get("sockets", ()) for p in _of_socket(node, socket)]
    found += _of_drain(node, status.get("drained") or {})
    named = {p.service for p in found}
    if facts is not None:
        found += _of_loops(node, status, facts, named)
        found += _of_host(node, facts)
    found += [
        _of_supervisor(node, problem)
        for problem in status.get("problems", ())
        if problem["where"] not in named  # told already, with its output and its remedies
    ]
    return sorted(found, key=lambda p: (-p.severity, p.service, p.process))


def with_since(
    found: Iterable[FleetProblem], known: dict[str, float], now: float
) -> list[FleetProblem]:
    """Each with the time since when it is so: its own, or when it was first seen.

    `known`: that time by key, kept from call to call; what is over is forgotten.
    """
    dated = [p if p.since else replace(p, since=known.get(p.key, now)) for p in found]
    known.clear()
    known.update((p.key, p.since) for p in dated)
    return dated


def with_mutes(
    found: Iterable[FleetProblem], mutes: Mapping[str, tuple[float, str]], now: float
) -> list[FleetProblem]:
    """Each with until when, and by whom, it was muted; `mutes` by the problem's key."""
    return [
        replace(p, muted_until=mutes[p.key][0], muted_by=mutes[p.key][1])
        if p.key in mutes and mutes[p.key][0] > now
        else p
        for p in found
    ]


# ── services ──


def _away(node: str, since: float, facts: NodeFacts | None) -> FleetProblem:
    expired = facts is not None and 0 < facts.expires < facts.now
    cause = (
        "Its certificate has expired: it can't come back by itself. Join again with a new token"
        " (chapiteau hub token)."
    )
    return make_problem("away", node, cause=cause if expired else "", since=since)


def _of_service(node: str, service: ServiceEntry, now: float) -> Iterable[FleetProblem]:
    name, state, processes = service["name"], service["state"], service.get("processes", ())
    if state in ("stopped", "stopping"):
        return  # as somebody asked: that it crashed before is over
    if state in ("failed", "backoff"):
        yield _down(node, service)
        return
    sick = [p for p in processes if p["state"] in ("backoff", "failed", "unhealthy", "stuck")]
    for process in sick:
        yield _sick_process(node, name, process)
    late = [p for p in processes if _is_late(p, now)]
    ready: _ReadyCount = {"service": name, "ready": service["ready"], "wanted": service["wanted"]}
    if late and not sick:
        yield _unready(node, service, late, ready)
    elif not sick and state == "running" and service["ready"] < service["wanted"]:
        cause = service.get("reason", "") or "The others have not passed their ready check."
        yield make_problem("unready", node, f"{name}/unready", cause=cause, again="", **ready)
    elif state == "running" and (reason := service.get("reason")):
        yield make_problem("reason", node, f"{name}/reason", service=name, cause=reason)


def _down(node: str, service: ServiceEntry) -> FleetProblem:
    name, last, failed = service["name"], _last_exit(service), service["state"] == "failed"
    return make_problem(
        "down",
        node,
        f"{name}/down",
        service=name,
        state="failed" if failed else "backing off",
        exit=_exit_text(last),
        cause=_cause(last) or service.get("reason", ""),
        remedies=("start" if failed else "restart", "stop"),
        **_output(last),
    )


def _unready(
    node: str, service: ServiceEntry, late: list[ProcessEntry], ready: _ReadyCount
) -> FleetProblem:
    """Alive, but its ready check never passes: told before, and while, it is restarted."""
    restarts = sum(p.get("restarts", 0) for p in late)
    why = str(late[0].get("status_text", "")).removeprefix("not ready: ")
    lines = _output(late[0].get("last_exit") or {})["lines"]
    return make_problem(
        "unready",
        node,
        f"{service['name']}/unready",
        severity=1 if service["ready"] else 2,
        again=f", restarted {restarts} times" if restarts else "",
        cause=f"The ready check fails: {why}" if why else "The ready check has not been passed.",
        remedies=("restart", "stop"),
        lines=lines,
        **ready,
    )


def _is_late(process: ProcessEntry, now: float) -> bool:
    """Whether it should be ready by now. A second try is late from its beginning."""
    if process["state"] != "starting" or not process.get("pid"):
        return False
    failed = process.get("restarts", 0) and "not ready" in process.get("status_text", "")
    return bool(failed) or 0 < process.get("started_at", 0.0) < now - _SLOW_START


def _sick_process(node: str, name: str, process: ProcessEntry) -> FleetProblem:
    last, number, restarts = (
        process.get("last_exit") or {},
        process["number"],
        process.get("restarts", 0),
    )
    return make_problem(
        "process",
        node,
        f"{name}/{number}",
        service=name,
        severity=2 if process["state"] == "failed" else 1,
        number=number,
        state=process["state"],
        exit=_exit_text(last),
        restarts=f", {restarts} restarts" if restarts >= _LOOPING else "",
        cause=_cause(last) or process.get("reason", ""),
        process=number,
        **_output(last),
    )


def restart_loops(events: Iterable[EventMessage], status: NodeStatus) -> dict[str, int]:
    """Services whose processes exited unexpectedly again and again, and how often they did.

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
    exits = Counter(
        str(event.get("service", ""))
        for event in events
        if event["kind"] == "process.exited"
        and event.get("service") in lasting
        and not event.get("data", {}).get("asked")
    )
    return {service: count for service, count in exits.items() if count >= _LOOPING}


def _of_loops(
    node: str, status: NodeStatus, facts: NodeFacts, named: set[str]
) -> Iterator[FleetProblem]:
    """Loops of services that have no problem yet, with how they exited last."""
    services = {service["name"]: service for service in status.get("services", ())}
    for name, count in sorted(facts.looping.items()):
        if name not in named:
            last = _last_exit(services.get(name, {}))
            yield make_problem(
                "loop",
                node,
                f"{name}/loop",
                service=name,
                count=count,
                exit=_exit_text(last),
                cause=_cause(last),
                lines=_output(last)["lines"],
            )


def _last_exit(service: ServiceEntry) -> LastExit:
    exits = [p["last_exit"] for p in service.get("processes", ()) if p.get("last_exit")]
    return max(exits, key=lambda e: e.get("time", 0.0), default=LastExit())


def _output(last: LastExit) -> _Output:
    lines = tuple(last.get("lines", ()))[-_KEPT_LINES:]
    return {"since": float(last.get("time", 0.0)), "lines": lines}


def _cause(last: LastExit) -> str:
    cause, hint = str(last.get("cause", "")), str(last.get("hint", ""))
    return f"{cause} — {hint}" if cause and hint else cause


def _exit_text(last: LastExit) -> str:
    if last.get("oom"):
        return ": out of memory"
    if signal := last.get("signal"):
        return f": killed by {_SIGNALS.get(signal, f'signal {signal}')}"
    code = last.get("code")
    return "" if code is None else f": exit {code}"


# ── sockets, drains, the supervisor's own ──


def _of_socket(node: str, socket: SocketEntry) -> Iterable[FleetProblem]:
    backlog, queued, name = socket.get("backlog", 0), socket.get("queued", 0), socket["name"]
    if backlog and queued >= backlog * _QUEUE_FULL:
        services = socket.get("services", ())
        yield make_problem(
            "backlog",
            node,
            f"socket/{name}",
            service=services[0] if services else "",
            name=name,
            queued=queued,
            backlog=backlog,
            remedies=[remedy("scale", service, by=1) for service in services[:1]],
        )


def _of_drain(node: str, drained: DrainReport) -> Iterable[FleetProblem]:
    """Meant so, and easily forgotten: it stays in sight until it is undone."""
    if drained:
        left = ", ".join(drained.get("left", ()))
        yield make_problem(
            "drained",
            node,
            state="draining" if left else "drained",
            who=actor_name(str(drained["who"])),
            left=f"Still running: {left}."
            if left
            else "No service starts; connections are refused.",
            remedies=(remedy("undrain", "all"),),
            since=float(drained["since"]),
        )


def _of_supervisor(node: str, problem: SupervisorProblem) -> FleetProblem:
    where, what = problem["where"], problem["what"]
    return make_problem(
        "problem",
        node,
        f"problem/{where}/{what}",
        what=f"{where}: {what}" if where else what,
        cause=problem.get("hint", ""),
    )


# ── the host, the clock, the desired state ──


def _of_host(node: str, facts: NodeFacts) -> Iterator[FleetProblem]:
    health = facts.health
    if facts.overruled:
        yield make_problem("lease", node, why=facts.overruled)
    for disk in health.get("disks", ()):
        yield from _of_disk(node, disk)
    if error := health.get("config_error"):
        yield make_problem("config", node, how="can't be applied", cause=str(error))
    elif changes := health.get("changes"):
        cause = f"{changes} {'change is' if changes == 1 else 'changes are'} not applied."
        hint = " On the server: chapiteau plan, then chapiteau reload."
        yield make_problem("config", node, how="differs from what runs", cause=cause + hint)
    yield from _of_desired(node, facts)
    yield from _of_clock(node, facts.skew)
    left = facts.expires - facts.now
    if facts.expires and left < min(_SOON["node"], facts.certificate_lifetime / 4):
        yield make_problem(
            "certificate", node, severity=_late(left), what=f"certificate {_ends(left)}"
        )


def _of_disk(node: str, disk: DiskUsage) -> Iterator[FleetProblem]:
    total, free, inodes = disk["total"], disk["free"], disk.get("inodes_free", 1.0)
    low = free < total * _DISK_FULL
    if total and ((low and free < _DISK_FREE) or inodes < _DISK_FULL / 5):
        full = free < _DISK_GONE or inodes <= 0
        yield make_problem(
            "disk",
            node,
            f"disk/{disk['path']}",
            severity=2 if full else 1,
            full="full" if full else "nearly full",
            free=format_size(free),
            path=disk["path"],
            cause=f"{100 * (1 - free / total):.0f} % of {format_size(total)} are used."
            if low
            else "No more files can be made: it has run out of inodes.",
        )


def _of_desired(node: str, facts: NodeFacts) -> Iterator[FleetProblem]:
    report = facts.health.get("wanted")
    applied = int(report.get("generation", 0)) if report else 0
    if applied > facts.generation:
        yield make_problem(
            "generation",
            node,
            severity=2,
            what=f"the hub's copy is older than the node's: {facts.generation} < {applied}",
            cause="The hub was restored from an old copy. On the hub: chapiteau hub take-over.",
        )
    elif report and (refused := report.get("refused")):
        yield make_problem("generation", node, what="desired state not applied", cause=refused)
    elif applied < facts.generation:
        yield make_problem(
            "generation",
            node,
            what=f"behind: generation {applied} of the desired state is applied,"
            f" {facts.generation} is set",
            cause="The node has not applied it yet, or its supervisor does not answer.",
        )
    for line in report.get("drift", ()) if report else ():
        service = str(line).partition(":")[0]
        yield make_problem("drift", node, f"drift/{service}", service=service, cause=str(line))


def _of_clock(node: str, skew: float) -> Iterator[FleetProblem]:
    if abs(skew) >= _SKEW:
        breaks = abs(skew) > _SKEW_BREAKS / 2
        yield make_problem(
            "clock",
            node,
            amount=format_duration(round(abs(skew))),
            side="ahead of" if skew > 0 else "behind",
            breaks=" At ten minutes certificates begin to fail." if breaks else "",
        )


# ── certificates of the hub and its page ──

_SOON: Final = {"page": 14 * _DAY, "hub": 30 * _DAY, "ca": 180 * _DAY, "node": 7 * _DAY}
_CERTIFICATES: Final = {
    "page": (
        "the page's certificate",
        "Browsers refuse it then. Renew {where}: the hub reads the new file by itself.",
    ),
    "hub": (
        "the hub's certificate for its nodes",
        "It should have renewed itself: is {where} writable? Nodes are locked out when it ends.",
    ),
    "ca": (
        "the hub's CA",
        "Nodes are locked out when it ends. On the hub: chapiteau hub rotate.",
    ),
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
    node: str, certificates: Iterable[Certificate], now: float
) -> Iterator[FleetProblem]:
    """What is wrong with the hub's own, told at this node."""
    for one in certificates:
        (name, remedy_text), left = _CERTIFICATES[one.kind], one.ends - now
        if one.error:
            what, cause = f"{name} can't be renewed", one.error
        elif expires_soon(one.kind, one.begins, one.ends, now):
            what, cause = f"{name} {_ends(left)}", remedy_text.format(where=one.where)
        else:
            continue
        key, severity = f"certificate/{one.kind}", _late(left)
        yield make_problem("certificate", node, key, severity=severity, what=what, cause=cause)


def _late(left: float) -> int:
    return 2 if left <= 0 else 1


def _ends(left: float) -> str:
    return f"ends in {format_duration(max(1, round(left)))}" if left > 0 else "has expired"
