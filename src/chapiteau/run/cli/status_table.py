"""The state of a supervisor as people read it: problems first, then a line for each service."""

from typing import Any, Final

from chapiteau.core.text import escape_control, format_table
from chapiteau.core.units import format_duration, format_size
from chapiteau.io.console import styled
from chapiteau.run.api.status import ProcessStatus, ServiceStatus, SupervisorStatus

__all__ = ["problem_lines", "status_table"]

_COLOURS: Final = {
    "running": "green",
    "completed": "green",
    "starting": "yellow",
    "waiting": "yellow",
    "reloading": "cyan",
    "stopping": "yellow",
    "backoff": "red",
    "failed": "red",
}
_PASSING: Final = frozenset({"starting", "stopping", "reloading", "waiting"})
_FINE: Final = _PASSING | {"running", "completed", "stopped"}


def status_table(
    status: SupervisorStatus, now: float, *, wide: bool = False, colour: bool = False
) -> str:
    """The state for people. `now` in seconds since 1970."""
    pieces = [_headline(status, now)]
    pieces += [
        _paint(line if line.startswith(" ") else f"! {line}", "red", colour)
        for line in problem_lines(status)
    ]
    rows = [row for service in status.services for row in _rows(service, now, wide=wide)]
    head = ["SERVICE", "STATE", "READY", "PID", "RESTARTS", "CPU%", "MEMORY", "UP"]
    lines = format_table(rows, head).splitlines()
    pieces += ["", lines[0], *(_paint_state(line, colour) for line in lines[1:])]
    drift = [f"{s.name}: {line}" for s in status.services for line in s.drift]
    if drift:
        pieces += ["", "otherwise than in the file (`chapiteau reload` follows it):"]
        pieces += [f"  {escape_control(line)}" for line in drift]
    if status.sockets:
        sockets = [
            [s.name, s.address, s.type, s.queued, ", ".join(s.services)] for s in status.sockets
        ]
        pieces += ["", format_table(sockets, ["SOCKET", "ADDRESS", "TYPE", "QUEUED", "SERVICES"])]
    return "\n".join(pieces)


def _headline(status: SupervisorStatus, now: float) -> str:
    counted = [s for s in status.services if not s.one_shot and s.state != "stopped"]
    wanted, ready = sum(s.wanted for s in counted), sum(s.ready for s in counted)
    line = (
        f"{status.project} on {status.node}: {ready} of {wanted} processes ready, "
        f"up {format_duration(max(0.0, now - status.started_at))}"
    )
    if status.brain_restarts:
        line += f", brain restarted {status.brain_restarts}×"
    if status.dashboard:  # anybody may look over a shoulder: the link that logs in is asked for
        line += f"\ndashboard {status.dashboard} (log in: `chapiteau dash url`)"
    return line


def problem_lines(status: SupervisorStatus) -> list[str]:
    """Everything that is wrong, each with the last words of who died of it."""
    services = {service.name: service for service in status.services}
    found: list[str] = []
    for problem in status.problems:
        found.append(str(problem))
        told = services.pop(problem.where, None)
        found += _last_words(told, brief=True) if told else []
    for service in services.values():
        slow = service.reason and service.state in _PASSING
        if slow or service.state not in _FINE:
            found.append(f"{service.name} is {service.state}{_because(service.reason)}")
        if service.state not in {"completed", "stopped"}:
            found += _last_words(service)
    return found


def _last_words(service: ServiceStatus, *, brief: bool = False) -> list[str]:
    """How its processes ended, and the end of what they said."""
    found: list[str] = []
    for process in service.processes:
        end = process.last_exit
        is_job = service.schedule or service.one_shot
        if not end or process.ready or (is_job and (process.pid or _good(end))):
            continue
        how = escape_control(str(end.get("text") or end.get("cause") or _ending(end)))
        found += [] if brief else [f"{service.name}.{process.number}: {how}"]
        found += [f"    | {escape_control(str(line))}" for line in end.get("lines", ())[-5:]]
    return found


def _good(end: dict[str, Any]) -> bool:
    return end.get("code") == 0 and not end.get("signal")


def _ending(exit_: dict[str, Any]) -> str:
    if exit_.get("signal"):
        return f"killed by {exit_['signal']}" + (" (out of memory)" if exit_.get("oom") else "")
    return f"ended with code {exit_.get('code')}"


def _because(reason: str) -> str:
    return f": {escape_control(reason)}" if reason else ""


def _rows(service: ServiceStatus, now: float, *, wide: bool) -> list[list[object]]:
    alive = [p for p in service.processes if p.pid]
    first = min((p.started_at for p in alive if p.started_at), default=0.0)
    row: list[object] = [
        service.name,
        service.state,
        "" if service.one_shot or service.schedule else f"{service.ready}/{service.wanted}",
        alive[0].pid if len(alive) == 1 else "",
        service.restarts,
        f"{sum(p.cpu_percent for p in alive):.1f}" if alive else "",
        format_size(sum(p.rss_bytes for p in alive)) if alive else "",
        _up_or_next(service, first, now),
    ]
    return [row, *(_process_row(p, now) for p in service.processes)] if wide else [row]


def _up_or_next(service: ServiceStatus, first: float, now: float) -> str:
    """How long it is up; of one that waits for its time: when that comes."""
    if first:
        return format_duration(now - first)
    if service.next_run > now:
        return f"next in {format_duration(service.next_run - now)}"
    return ""


def _process_row(process: ProcessStatus, now: float) -> list[object]:
    return [
        f"  .{process.number}",
        process.state,
        "yes" if process.ready else "no",
        process.pid or "",
        process.restarts,
        f"{process.cpu_percent:.1f}" if process.pid else "",
        format_size(process.rss_bytes) if process.pid else "",
        format_duration(now - process.started_at) if process.pid and process.started_at else "",
    ]


def _paint(text: str, colour_name: str, colour: bool) -> str:
    return styled(text, colour_name) if colour else text


def _paint_state(line: str, colour: bool) -> str:
    if not colour:
        return line
    for state, name in _COLOURS.items():
        if f" {state} " in f"{line} ":
            return line.replace(state, styled(state, name), 1)
    return line
