"""What needs attention: each problem with its place, its cause, and the buttons that cure it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from chapiteau.dash.fleet.host_problems import NodeFacts, host_problems
from chapiteau.dash.fleet.problem import FleetProblem, actor_name, remedy

__all__ = ["FleetProblem", "node_problems", "with_mutes", "with_since"]

Status = Mapping[str, Any]

_QUEUE_FULL: Final = 0.8  # of the backlog
_LOOPING: Final = 3  # restarts in a row that make a loop
_KEPT_LINES: Final = 20
_SLOW_START: Final = 15.0  # seconds in which nobody worries that a process is not ready yet
_SIGNALS: Final = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    15: "SIGTERM",
    31: "SIGSYS",
}


def node_problems(
    node: str, status: Status, *, away_since: float = 0.0, facts: NodeFacts | None = None
) -> list[FleetProblem]:
    """Everything wrong on one node, worst first.

    `status`: the last SupervisorStatus seen, may be empty; `away_since`: when it fell silent.
    """
    if away_since:
        late = facts is not None and 0 < facts.expires < facts.now
        return [
            FleetProblem(
                key=f"{node}/away",
                kind="away",
                severity=2,
                node=node,
                what="unreachable",
                since=away_since,
                cause=(
                    "Its certificate has expired: it can't come back by itself. Join again with a"
                    " new token (chapiteau hub token)."
                    if late
                    else "The supervisor does not answer; values below are the last ones seen."
                ),
            )
        ]
    now = facts.now if facts is not None else 0.0
    found = [t for service in status.get("services", ()) for t in _of_service(node, service, now)]
    found += [t for socket in status.get("sockets", ()) for t in _of_socket(node, socket)]
    found += _of_drain(node, status.get("drained") or {})
    named = {t.service for t in found}
    if facts is not None:
        found += [_with_output(t, status) for t in host_problems(node, facts, named)]
    found += [
        _of_problem(node, problem)
        for problem in status.get("problems", ())
        if problem["where"] not in named  # told already, with its output and its cures
    ]
    return sorted(found, key=lambda t: (-t.severity, t.service, t.process))


def with_since(
    found: Iterable[FleetProblem], known: dict[str, float], now: float
) -> list[FleetProblem]:
    """Each with the time since when it is so: its own, or when it was first seen.

    `known`: that time by key, kept from call to call; what is over is forgotten.
    """
    told = [t if t.since else replace(t, since=known.get(t.key, now)) for t in found]
    known.clear()
    known.update((t.key, t.since) for t in told)
    return told


def with_mutes(
    found: Iterable[FleetProblem], mutes: Mapping[str, tuple[float, str]], now: float
) -> list[FleetProblem]:
    """Each with until when, and by whom, it was muted; `mutes` by the trouble's key."""
    return [
        replace(t, muted_until=mutes[t.key][0], muted_by=mutes[t.key][1])
        if t.key in mutes and mutes[t.key][0] > now
        else t
        for t in found
    ]


def _with_output(trouble: FleetProblem, status: Status) -> FleetProblem:
    """A loop with how it ended last, and what it said then."""
    if trouble.kind != "loop":
        return trouble
    last = next(
        (_last_exit(s) for s in status.get("services", ()) if s["name"] == trouble.service), {}
    )
    words = _exit_words(last)
    return replace(
        trouble,
        what=f"{trouble.what}{': ' + words if words else ''}",
        cause=_cause(last) or trouble.cause,
        lines=tuple(last.get("lines", ()))[-_KEPT_LINES:],
    )


def _of_service(node: str, service: Status, now: float) -> Iterable[FleetProblem]:
    name, state = service["name"], service["state"]
    if state in ("stopped", "stopping"):
        return  # somebody wanted it so: that it crashed before is over
    sick = [p for p in service.get("processes", ()) if _is_sick(p)]
    if state in ("failed", "backoff"):
        yield _down(node, service)
        return
    for process in sick:
        yield _sick_process(node, name, process)
    late = [p for p in service.get("processes", ()) if _is_late(p, now)]
    if late and not sick:
        yield _unready(node, service, late)
        return
    if not sick and state == "running" and service["ready"] < service["wanted"]:
        yield FleetProblem(
            key=f"{node}/{name}/unready",
            kind="unready",
            severity=1,
            node=node,
            service=name,
            what=f"{service['ready']} of {service['wanted']} processes ready",
            cause=service.get("reason", "") or "The others have not passed their ready check.",
            cures=(remedy("restart", name),),
        )
    elif state == "running" and service.get("reason"):
        yield FleetProblem(
            key=f"{node}/{name}/reason",
            kind="reason",
            severity=1,
            node=node,
            service=name,
            what="running, but",
            cause=service["reason"],
            cures=(remedy("reload", name),),
        )


def _down(node: str, service: Status) -> FleetProblem:
    name = service["name"]
    last = _last_exit(service)
    gave_up = service["state"] == "failed"
    return FleetProblem(
        key=f"{node}/{name}/down",
        kind="down",
        severity=2,
        node=node,
        service=name,
        what=f"{'failed' if gave_up else 'backing off'}: {_exit_words(last)}".rstrip(": "),
        since=float(last.get("time", 0.0)),
        cause=_cause(last) or service.get("reason", ""),
        lines=tuple(last.get("lines", ()))[-_KEPT_LINES:],
        cures=(remedy("start", name) if gave_up else remedy("restart", name), remedy("stop", name)),
    )


def _unready(node: str, service: Status, late: list[Status]) -> FleetProblem:
    """Alive, but its ready check is never passed: told before, and while, it is tried anew."""
    name, process = service["name"], late[0]
    last = process.get("last_exit") or {}
    ends = sum(p.get("restarts", 0) for p in late)
    again = f", restarted {ends} times" if ends else ""
    why = str(process.get("status_text", "")).removeprefix("not ready: ")
    return FleetProblem(
        key=f"{node}/{name}/unready",
        kind="unready",
        severity=1 if service["ready"] else 2,
        node=node,
        service=name,
        what=f"{service['ready']} of {service['wanted']} processes ready{again}",
        cause=f"The ready check fails: {why}" if why else "The ready check has not been passed.",
        lines=tuple(last.get("lines", ()))[-_KEPT_LINES:],
        cures=(remedy("restart", name), remedy("stop", name)),
    )


def _is_late(process: Status, now: float) -> bool:
    """Whether it should be ready by now. A second try is late from its beginning."""
    if process["state"] != "starting" or not process.get("pid"):
        return False
    failed = process.get("restarts", 0) and "not ready" in process.get("status_text", "")
    began = process.get("started_at", 0.0)
    return bool(failed) or 0 < began < now - _SLOW_START


def _sick_process(node: str, name: str, process: Status) -> FleetProblem:
    last = process.get("last_exit") or {}
    number = process["number"]
    again = process.get("restarts", 0)
    looping = f", {again} restarts" if again >= _LOOPING else ""
    words = _exit_words(last)
    return FleetProblem(
        key=f"{node}/{name}/{number}",
        kind="process",
        severity=2 if process["state"] == "failed" else 1,
        node=node,
        service=name,
        process=number,
        what=f"process {number} {process['state']}{': ' + words if words else ''}{looping}",
        since=float(last.get("time", 0.0)),
        cause=_cause(last) or process.get("reason", ""),
        lines=tuple(last.get("lines", ()))[-_KEPT_LINES:],
        cures=(remedy("restart", name), remedy("stop", name)),
    )


def _is_sick(process: Status) -> bool:
    return process["state"] in ("backoff", "failed", "unhealthy", "stuck")


def _last_exit(service: Status) -> Status:
    exits = [p["last_exit"] for p in service.get("processes", ()) if p.get("last_exit")]
    return max(exits, key=lambda e: e.get("time", 0.0), default={})


def _cause(last: Status) -> str:
    cause, hint = str(last.get("cause", "")), str(last.get("hint", ""))
    return f"{cause} — {hint}" if cause and hint else cause


def _exit_words(last: Status) -> str:
    if last.get("oom"):
        return "out of memory"
    if signal := last.get("signal"):
        return f"killed by {_SIGNALS.get(signal, f'signal {signal}')}"
    code = last.get("code")
    return "" if code is None else f"exit {code}"


def _of_socket(node: str, socket: Status) -> Iterable[FleetProblem]:
    backlog, queued = socket.get("backlog", 0), socket.get("queued", 0)
    if backlog and queued >= backlog * _QUEUE_FULL:
        services = socket.get("services", ())
        yield FleetProblem(
            key=f"{node}/socket/{socket['name']}",
            kind="backlog",
            severity=2,
            node=node,
            service=services[0] if services else "",
            what=f"socket {socket['name']}: {queued} of {backlog} connections wait",
            cause="Nobody accepts fast enough: the service is stuck, or has too few processes.",
            cures=tuple(remedy("scale", name, by=1) for name in services[:1]),
        )


def _of_drain(node: str, drained: Status) -> Iterable[FleetProblem]:
    """Meant so, and easily forgotten: it stays in sight until it is undone."""
    if drained:
        left, who = drained.get("left", ()), actor_name(str(drained["who"]))
        yield FleetProblem(
            key=f"{node}/drained",
            kind="drained",
            severity=1,
            node=node,
            what="is being drained" if left else "drained",
            since=float(drained["since"]),
            cause=(
                f"By {who}. Still at work: {', '.join(left)}."
                if left
                else f"By {who}. Nothing starts on it, and nobody is let in."
            ),
            cures=(remedy("undrain", "all"),),
        )


def _of_problem(node: str, problem: Status) -> FleetProblem:
    return FleetProblem(
        key=f"{node}/problem/{problem['where']}/{problem['what']}",
        kind="problem",
        severity=1,
        node=node,
        what=f"{problem['where']}: {problem['what']}" if problem["where"] else problem["what"],
        cause=problem.get("hint", ""),
    )
