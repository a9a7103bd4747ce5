"""What gave out: the supervised service's own numbers, at the rate that it just kept."""

from collections.abc import Sequence
from typing import Any, Final

__all__ = ["what_saturates"]

_BUSY: Final = 85.0  # percent of a core from which a process counts as busy
_HOST: Final = 90.0
_WAITING: Final = 8


def what_saturates(samples: Sequence[dict[str, Any]], service: str = "") -> str:
    """One sentence on the stats messages of a hold (docs/reference/control-api.md); "" without.

    `service` narrows it to one service's processes.
    """
    if not samples:
        return ""
    cpu = _by_process(samples, service)
    if not cpu:
        return ""
    host = _mean([s.get("host", {}).get("cpu") for s in samples])
    queued = _queued(samples)
    busy = {name: value for name, value in cpu.items() if value >= _BUSY}
    top = max(cpu, key=lambda name: cpu[name])
    if len(busy) == len(cpu):
        return f"CPU: every process is busy ({_mean(list(cpu.values())):.0f}% of a core each)"
    if busy:
        return f"CPU of one process: {top} is at {cpu[top]:.0f}% of a core, others wait"
    if host >= _HOST:
        return f"CPU of the machine: {host:.0f}% in use (is the load generator on it?)"
    if queued >= _WAITING:
        return f"workers: {queued:.0f} connections wait to be accepted while no CPU is short"
    grown = _growth(samples)
    if grown:
        return grown
    return (
        f"none of CPU (busiest {cpu[top]:.0f}%), accept queue or memory: look at what the service "
        "waits for (database, locks, threads)"
    )


def _by_process(samples: Sequence[dict[str, Any]], service: str) -> dict[str, float]:
    """Mean CPU of each process, in percent of a core; ids are sent only when they change."""
    values: dict[str, list[float]] = {}
    ids: list[str] = []
    for sample in samples:
        ids = sample.get("ids", ids)
        for name, cpu in zip(ids, sample.get("cpu", []), strict=False):
            if cpu is not None and (not service or name.split("/")[0] == service):
                values.setdefault(name, []).append(float(cpu))
    return {name: _mean(found) for name, found in values.items()}


def _queued(samples: Sequence[dict[str, Any]]) -> float:
    return max(
        (
            _mean([s.get("sockets", {}).get(name, {}).get("queued") for s in samples])
            for name in {n for s in samples for n in s.get("sockets", {})}
        ),
        default=0.0,
    )


def _growth(samples: Sequence[dict[str, Any]]) -> str:
    """Memory that went up by a tenth during one hold will not last the day."""
    rss = [sum(v for v in s["rss"] if v) for s in samples if s.get("rss")]
    if len(rss) < 10 or not rss[0] or rss[-1] < 1.1 * rss[0]:
        return ""
    return f"memory: the processes grew by {(rss[-1] / rss[0] - 1) * 100:.0f}% during the hold"


def _mean(values: Sequence[float | None]) -> float:
    known = [float(v) for v in values if v is not None]
    return sum(known) / len(known) if known else 0.0
