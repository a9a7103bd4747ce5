"""InfluxDB's line protocol (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/)."""

from collections.abc import Sequence

from chapiteau.load.logic.export.metrics import Labels, Metric

__all__ = ["influx_lines"]


def influx_lines(metrics: Sequence[Metric], common: Labels, nanoseconds: int) -> bytes:
    """One line for each set of labels, with a field for each of its numbers."""
    grouped: dict[Labels, list[Metric]] = {}
    for metric in metrics:
        grouped.setdefault(metric.labels, []).append(metric)
    lines = []
    for labels, group in grouped.items():
        tags = "".join(f",{_key(k)}={_key(v)}" for k, v in (*common, *labels) if v)
        fields = ",".join(f"{_key(m.name)}={m.value!r}" for m in group)
        lines.append(f"chapiteau_load{tags} {fields} {nanoseconds}")
    return "\n".join(lines).encode()


def _key(text: str) -> str:
    """Commas, equal signs and spaces stand behind a backslash; a line's end can't be said."""
    text = " ".join(text.splitlines()) or "_"
    for sign in ("\\", ",", "=", " "):
        text = text.replace(sign, "\\" + sign)
    return text
