"""Lines of StatsD (https://github.com/statsd/statsd/blob/master/docs/metric_types.md)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from chapiteau.load.logic.export.metrics import Labels, Metric

__all__ = ["statsd_packets"]

_LARGEST: Final = 1400  # bytes that fit a packet on any network
_NOT_NAME: Final = re.compile(r"[^\w.-]+")


def statsd_packets(
    metrics: Sequence[Metric], before: Mapping[tuple[str, Labels], float], common: Labels,
    *, tags: bool,
) -> Iterator[bytes]:  # fmt: skip
    """Packets of lines. Counters are sent as what came since `before`, as StatsD wants them.

    Without `tags`, labels become part of the name; with them, they are DogStatsD's.
    """
    packet = b""
    for metric in metrics:
        line = _line(metric, before, common, tags=tags)
        if packet and len(packet) + len(line) + 1 > _LARGEST:
            yield packet
            packet = b""
        packet = packet + b"\n" + line if packet else line
    if packet:
        yield packet


def _line(
    metric: Metric, before: Mapping[tuple[str, Labels], float], common: Labels, *, tags: bool
) -> bytes:
    value, sign = metric.value, "g"
    if metric.kind == "counter":
        known = before.get((metric.name, metric.labels), 0.0)
        # A capacity's next step counts from 0 again.
        value, sign = metric.value - (known if known <= metric.value else 0.0), "c"
    name = f"chapiteau.load.{metric.name}"
    if tags:
        pairs = ",".join(f"{k}:{_tag(v)}" for k, v in (*common, *metric.labels))
        return f"{name}:{value:.10g}|{sign}|#{pairs}".encode()
    for _, label in metric.labels:
        name += "." + _NOT_NAME.sub("_", label.replace(".", "_")).strip("_")
    return f"{name}:{value:.10g}|{sign}".encode()


def _tag(text: str) -> str:
    return re.sub(r"[,|#\s]", "_", text)
