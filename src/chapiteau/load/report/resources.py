"""The service's own numbers during a test, on the test's clock."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any, Final

from chapiteau.core.units import format_size
from chapiteau.load.report.charts import Line, TimeAxis, chart, minutes

__all__ = ["asked_charts", "resource_charts", "resources"]

_COLOURS: Final = ("c1", "c2", "c3", "c5")
_MOST_POINTS: Final = 600
_MOST_SERVICES: Final = 12


def resources(
    samples: Sequence[dict[str, Any]], started: float, seconds: float
) -> dict[str, Any] | None:
    """CPU, memory and processes of each service, the accept queues, and the host's CPU over time.

    `samples` are stats messages of the supervisor (docs/reference/control-api.md); `t` counts
    from the test's start. CPU in percent of a core, memory in bytes. None without samples.
    """
    points = [_point(s, started) for s in samples if 0 <= s.get("time", 0.0) - started <= seconds]
    if not points:
        return None
    step = math.ceil(len(points) / _MOST_POINTS)
    points = points[::step]
    busiest: dict[str, float] = {}
    for point in points:
        for name, one in point["services"].items():
            busiest[name] = busiest.get(name, 0.0) + one["cpu"]
    kept = set(sorted(busiest, key=lambda name: -busiest[name])[:_MOST_SERVICES])
    for point in points:
        point["services"] = {n: v for n, v in point["services"].items() if n in kept}
    return {"points": points, "events": _changes(samples, started, seconds)}


def resource_charts(
    found: dict[str, Any] | None, seconds: float, told: Sequence[tuple[float, str]] = ()
) -> str:
    """The charts of it, on the same axis as the latency's; "" without."""
    if not found:
        return ""
    points = found["points"]
    names = sorted({name for point in points for name in point["services"]})

    def lines(key: str) -> list[Line]:
        return [
            Line(name, _COLOURS[i % len(_COLOURS)], [(p["t"], _of(p, name, key)) for p in points])
            for i, name in enumerate(names)
        ]

    host = Line("whole machine", "c4 dots", [(p["t"], p["host_cpu"]) for p in points])
    queues = sorted({name for point in points for name in point["queued"]})
    waiting = [
        Line(name, _COLOURS[i % len(_COLOURS)], [(p["t"], p["queued"].get(name)) for p in points])
        for i, name in enumerate(queues)
    ]
    changes = [(e["t"], f"{', '.join(e['processes'])} came or went") for e in found["events"]]
    end = max(1.0, seconds - 1, *(point["t"] for point in points))
    span = TimeAxis(0.0, end, [*changes, *told])
    marks = "".join(
        f"<li>{minutes(event['t'])}: {escape(', '.join(event['processes']))} came or went</li>"
        for event in found["events"]
    )
    return "<h2>What the service used meanwhile</h2>" + "".join(
        [
            chart("CPU, % of a core", [*lines("cpu"), host], x_text=minutes, y_text=_plain, x=span),
            chart("Memory", lines("rss"), x_text=minutes, y_text=format_size, x=span),
            chart("Waiting to be accepted", waiting, x_text=minutes, y_text=_plain, x=span),
            f"<ul>{marks}</ul>" if marks else "",
        ]
    )


def asked_charts(asked: Sequence[dict[str, Any]], seconds: float) -> str:
    """What Prometheus was asked for, one curve each; "" when it was not asked."""
    if not asked:
        return ""
    lines = [
        Line(one["name"], _COLOURS[i % len(_COLOURS)], [(at, value) for at, value in one["points"]])
        for i, one in enumerate(asked)
    ]
    drawn = chart(
        "In use, as a share",
        lines,
        x_text=minutes,
        y_text=_plain,
        x=TimeAxis(0.0, max(1.0, seconds - 1)),
    )
    return f"<h2>What Prometheus says of the service</h2>{drawn}"


def _of(point: dict[str, Any], name: str, key: str) -> float | None:
    service = point["services"].get(name)
    return None if service is None else float(service[key])


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _point(sample: dict[str, Any], started: float) -> dict[str, Any]:
    services: dict[str, dict[str, float]] = {}
    ids = sample.get("ids", [])
    for name, cpu, rss in zip(ids, sample.get("cpu", []), sample.get("rss", []), strict=False):
        one = services.setdefault(name.split("/")[0], {"cpu": 0.0, "rss": 0, "processes": 0})
        one["cpu"] = round(one["cpu"] + (cpu or 0.0), 2)
        one["rss"] += rss or 0
        one["processes"] += 1
    sockets = sample.get("sockets", {})
    return {
        "t": round(sample["time"] - started, 3),
        "services": services,
        "queued": {name: (one or {}).get("queued") or 0 for name, one in sockets.items()},
        "host_cpu": sample.get("host", {}).get("cpu"),
    }


def _changes(
    samples: Sequence[dict[str, Any]], started: float, seconds: float
) -> list[dict[str, Any]]:
    """Processes that came and went: a restart or a deploy shows in the latency, too."""
    found: list[dict[str, Any]] = []
    before: dict[str, int] | None = None
    for sample in samples:
        at = sample.get("time", 0.0) - started
        now = dict(zip(sample.get("ids", []), sample.get("pid", []), strict=False))
        if before is not None and 0 <= at <= seconds:
            changed = sorted(n for n in now.keys() | before.keys() if now.get(n) != before.get(n))
            if changed:
                found.append({"t": round(at, 1), "processes": changed[:20]})
        before = now
    return found[:50]
