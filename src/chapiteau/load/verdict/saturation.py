"""What gave out: the supervised service's own numbers, at the rate that it just kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Sample", "TargetService", "describe_saturation"]

Sample = Mapping[str, Any]  # a stats message of the supervisor (docs/reference/control-api.md)

_BUSY: Final = 85.0  # percent of a core from which a process counts as busy
_HOST: Final = 90.0
_WAITING: Final = 8  # connections, on average, that wait to be accepted
_FULL: Final = 0.9  # share of memory in use from which it counts as used up
_OPEN: Final = 0.8  # … and of descriptors: who has none left drops some, and is seen in between


@dataclass(frozen=True, slots=True)
class TargetService:
    """Which of a supervisor's services is the one under load; "" means all of them."""

    service: str = ""
    sockets: tuple[str, ...] = ()


def describe_saturation(
    kept: Sequence[Sample], missed: Sequence[Sample] = (), place: TargetService | None = None
) -> str:
    """One sentence on the stats messages of a hold (docs/reference/control-api.md); "" without.

    What is not short yet at the rate that was kept may be so at the next one, which was missed.
    """
    place = place or TargetService()
    cpu = _by_process(kept, "cpu", place)
    if not cpu:
        return ""
    found, above = _short(kept, place), _short(missed, place)
    more = "; ".join(text for kind, text in above.items() if kind not in found)
    if found:
        return "; ".join(found.values()) + (f"; just above, {more}" if more else "")
    if more:
        return f"nothing yet; just above, {more}"
    top = max(cpu, key=lambda name: cpu[name])
    return (
        f"none of CPU (busiest {cpu[top]:.0f}%), descriptors, accept queue or memory: look at what "
        "the service waits for (database, locks, threads)"
    )


def _short(samples: Sequence[Sample], place: TargetService) -> dict[str, str]:
    """All that is used up, by its kind. A queue in front of busy processes is theirs."""
    busy = _processors(samples, place)
    found = {
        "descriptors": _descriptors(samples, place),
        "cpu": busy or _queue(samples, place),
        "memory": _memory(samples, place),
    }
    return {kind: text for kind, text in found.items() if text}


def _processors(samples: Sequence[Sample], place: TargetService) -> str:
    cpu = _by_process(samples, "cpu", place)
    if not cpu:
        return ""
    host = _mean([s.get("host", {}).get("cpu") for s in samples])
    busy = {name: value for name, value in cpu.items() if value >= _BUSY}
    top = max(cpu, key=lambda name: cpu[name])
    if len(busy) == len(cpu):
        return f"CPU: every process is busy ({_mean(list(cpu.values())):.0f}% of a core each)"
    if busy:
        return f"CPU of one process: {top} is at {cpu[top]:.0f}% of a core, others wait"
    if host >= _HOST:
        return f"CPU of the machine: {host:.0f}% in use (is the load generator on it?)"
    return ""


def _descriptors(samples: Sequence[Sample], place: TargetService) -> str:
    """A process that has no descriptor left accepts nobody, and is not even busy."""
    for sample in samples:
        limits = dict(zip(sample.get("ids", []), sample.get("fd_limits", []), strict=False))
        for name, used in zip(sample.get("ids", []), sample.get("fds", []), strict=False):
            most = limits.get(name)
            if most and used and _belongs(name, place) and used >= _OPEN * most:
                return f"descriptors: {name} has {used} of {most} open"
    return ""


def _queue(samples: Sequence[Sample], place: TargetService) -> str:
    names = {n for s in samples for n in s.get("sockets", {})}
    if place.sockets:
        names &= set(place.sockets)
    queued = max(
        (
            _mean([(s.get("sockets", {}).get(n) or {}).get("queued") for s in samples])
            for n in names
        ),
        default=0.0,
    )
    if queued < _WAITING:
        return ""
    return f"workers: {queued:.0f} connections wait to be accepted while no CPU is short"


def _memory(samples: Sequence[Sample], place: TargetService) -> str:
    """Memory at its limit; or it went up by a tenth during one hold, and won't last the day."""
    used = _by_process(samples[-5:], "rss", place)
    limits = {
        name: most
        for sample in samples
        for name, most in zip(sample.get("ids", []), sample.get("memory_limits", []), strict=False)
    }
    for name, value in used.items():
        if (most := limits.get(name)) and value >= _FULL * most:
            return f"memory: {name} uses {value / most * 100:.0f}% of its limit"
    shares = [
        s["host"]["mem_used"] / s["host"]["mem_total"]
        for s in samples
        if s.get("host", {}).get("mem_used") and s["host"].get("mem_total")
    ]
    if shares and _mean(shares) >= _FULL:
        return f"memory of the machine: {_mean(shares) * 100:.0f}% in use"
    rss = [
        sum(v or 0 for n, v in zip(s["ids"], s["rss"], strict=False) if _belongs(n, place))
        for s in samples
        if s.get("rss") and s.get("ids")
    ]
    if len(rss) < 10 or not rss[0] or rss[-1] < 1.1 * rss[0]:
        return ""
    return f"memory: the processes grew by {(rss[-1] / rss[0] - 1) * 100:.0f}% during the hold"


def _belongs(name: str, place: TargetService) -> bool:
    return not place.service or name.rpartition("/")[0] == place.service


def _by_process(samples: Sequence[Sample], key: str, place: TargetService) -> dict[str, float]:
    """Mean of a figure for each process."""
    values: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in zip(sample.get("ids", []), sample.get(key, []), strict=False):
            if value is not None and _belongs(name, place):
                values.setdefault(name, []).append(float(value))
    return {name: _mean(found) for name, found in values.items()}


def _mean(values: Sequence[float | None]) -> float:
    known = [float(v) for v in values if v is not None]
    return sum(known) / len(known) if known else 0.0
