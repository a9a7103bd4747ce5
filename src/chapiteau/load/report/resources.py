"""The service's own numbers during a test, on the test's clock."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from msgspec.structs import replace

from chapiteau.core.units import format_size
from chapiteau.load.report.charts import Line, TimeAxis, chart, minutes
from chapiteau.load.report.result import (
    ProcessChange,
    PrometheusSeries,
    ResourcePoint,
    Resources,
    ServiceUsage,
)
from chapiteau.load.verdict.saturation import Sample

__all__ = ["asked_charts", "resource_charts", "resources"]

_COLOURS: Final = ("c1", "c2", "c3", "c5")
_MOST_POINTS: Final = 600
_MOST_SERVICES: Final = 12


def resources(samples: Sequence[Sample], started: float, seconds: float) -> Resources | None:
    """CPU, memory and processes of each service, the accept queues, and the host's CPU over time.

    `samples` are stats messages of the supervisor (docs/reference/control-api.md); `t` counts
    from the test's start. CPU in percent of a core, memory in bytes. None without samples.
    """
    points = [_point(s, started) for s in samples if 0 <= s.get("time", 0.0) - started <= seconds]
    if not points:
        return None
    points = points[:: math.ceil(len(points) / _MOST_POINTS)]
    busiest: dict[str, float] = defaultdict(float)
    for point in points:
        for name, usage in point.services.items():
            busiest[name] += usage.cpu
    kept = sorted(busiest, key=lambda name: -busiest[name])[:_MOST_SERVICES]
    points = [
        replace(p, services={n: usage for n, usage in p.services.items() if n in kept})
        for p in points
    ]
    return Resources(points, _changes(samples, started, seconds))


def resource_charts(
    found: Resources | None, seconds: float, told: Sequence[tuple[float, str]] = ()
) -> str:
    """The charts of it, on the same axis as the latency's; "" without."""
    if not found:
        return ""
    points = found.points

    def lines(names: set[str], of: Callable[[ResourcePoint, str], float | None]) -> list[Line]:
        return [
            Line(name, _COLOURS[i % len(_COLOURS)], [(p.t, of(p, name)) for p in points])
            for i, name in enumerate(sorted(names))
        ]

    def usage(key: str) -> list[Line]:
        names = {name for point in points for name in point.services}
        return lines(names, lambda p, name: getattr(p.services.get(name), key, None))

    host = Line("whole machine", "c4 dots", [(p.t, p.host_cpu) for p in points])
    queues = {name for point in points for name in point.queued}
    waiting = lines(queues, lambda p, name: p.queued.get(name))
    changes = [(event.t, f"{', '.join(event.processes)} came or went") for event in found.events]
    end = max(1.0, seconds - 1, *(point.t for point in points))
    span = TimeAxis(0.0, end, [*changes, *told])
    marks = "".join(f"<li>{minutes(t)}: {escape(text)}</li>" for t, text in changes)
    return "<h2>What the service used meanwhile</h2>" + "".join(
        [
            chart("CPU, % of a core", [*usage("cpu"), host], x_text=minutes, y_text=_plain, x=span),
            chart("Memory", usage("rss"), x_text=minutes, y_text=format_size, x=span),
            chart("Waiting to be accepted", waiting, x_text=minutes, y_text=_plain, x=span),
            f"<ul>{marks}</ul>" if marks else "",
        ]
    )


def asked_charts(asked: Sequence[PrometheusSeries], seconds: float) -> str:
    """What Prometheus was asked for, one curve each; "" when it was not asked."""
    if not asked:
        return ""
    lines = [Line(one.name, _COLOURS[i % len(_COLOURS)], one.points) for i, one in enumerate(asked)]
    drawn = chart(
        "In use, as a share",
        lines,
        x_text=minutes,
        y_text=_plain,
        x=TimeAxis(0.0, max(1.0, seconds - 1)),
    )
    return f"<h2>What Prometheus says of the service</h2>{drawn}"


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _point(sample: Sample, started: float) -> ResourcePoint:
    services: dict[str, ServiceUsage] = {}
    columns = (sample.get(key, []) for key in ("ids", "cpu", "rss"))
    for name, cpu, rss in zip(*columns, strict=False):
        service = name.split("/")[0]
        before = services.get(service, ServiceUsage())
        services[service] = ServiceUsage(
            round(before.cpu + (cpu or 0.0), 2), before.rss + (rss or 0), before.processes + 1
        )
    return ResourcePoint(
        t=round(sample["time"] - started, 3),
        services=services,
        queued={n: (one or {}).get("queued") or 0 for n, one in sample.get("sockets", {}).items()},
        host_cpu=sample.get("host", {}).get("cpu"),
    )


def _changes(samples: Sequence[Sample], started: float, seconds: float) -> list[ProcessChange]:
    """Processes that came and went: a restart or a deploy shows in the latency, too."""
    found: list[ProcessChange] = []
    before: dict[str, int] | None = None
    for sample in samples:
        at = sample.get("time", 0.0) - started
        now = dict(zip(sample.get("ids", []), sample.get("pid", []), strict=False))
        if before is not None and 0 <= at <= seconds:
            changed = sorted(n for n in now.keys() | before.keys() if now.get(n) != before.get(n))
            if changed:
                found.append(ProcessChange(round(at, 1), changed[:20]))
        before = now
    return found[:50]
