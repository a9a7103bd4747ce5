"""The frames of several processes as one: what a machine sends once a second."""

from collections.abc import Mapping, Sequence
from typing import Any

from chapiteau.load.logic.tally import Frame, histogram_text, text_histogram

__all__ = ["merged"]

_SUMS = ("started", "ended", "dropped", "retried", "cut", "running", "connections", "looks")


def merged(frames: Sequence[Frame]) -> Frame:
    """One frame whose totals are those of all; `cpus` keeps the CPU seconds of each process.

    `Totals.add` of the result counts the same as of each, but for samples, of which the first of
    a kind is kept as always.
    """
    made: Frame = {
        "rows": {},
        "lag": _histograms(frame["lag"] for frame in frames),
        "unread": _histograms(frame.get("unread", "") for frame in frames),
        "iterations": _pairs(frame["iterations"] for frame in frames),
        "checks": _pairs(frame["checks"] for frame in frames),
        "crashes": _counts(frame["crashes"] for frame in frames),
        "blocked": _counts(frame.get("blocked", {}) for frame in frames),
        "blocked_ms": _largest(frame.get("blocked_ms", {}) for frame in frames),
        "samples": {},
        "metrics": {},
        "cpus": [cpu for frame in frames for cpu in _cpus(frame)],
    }
    made["users"] = max((frame.get("users", 0) for frame in frames), default=0)
    made["used_up"] = next((f["used_up"] for f in frames if f.get("used_up")), "")
    for key in _SUMS:
        made[key] = sum(frame.get(key, 0) for frame in frames)
    for frame in frames:
        for what, text in frame["samples"].items():
            made["samples"].setdefault(what, text)
    for name in _names(frame["rows"] for frame in frames):
        made["rows"][name] = _row([f["rows"][name] for f in frames if name in f["rows"]])
    for name in _names(frame["metrics"] for frame in frames):
        made["metrics"][name] = _metric(
            [f["metrics"][name] for f in frames if name in f["metrics"]]
        )
    return made


def _cpus(frame: Frame) -> list[float]:
    return list(frame["cpus"]) if "cpus" in frame else [frame.get("cpu", 0.0)]


def _row(rows: Sequence[Frame]) -> Frame:
    seconds = {}
    for second in _names(row["seconds"] for row in rows):
        parts = [row["seconds"][second] for row in rows if second in row["seconds"]]
        seconds[second] = [_histograms(text for text, _ in parts), sum(bad for _, bad in parts)]
    made: Frame = {
        "seconds": seconds,
        "service": _histograms(row["service"] for row in rows),
        "statuses": _counts(row["statuses"] for row in rows),
        "failures": _counts(row["failures"] for row in rows),
        "received": sum(row["received"] for row in rows),
        "cut": sum(row.get("cut", 0) for row in rows),
    }
    if tags := next((row["tags"] for row in rows if row.get("tags")), None):
        made["tags"] = tags
    return made


def _metric(metrics: Sequence[Frame]) -> Frame:
    kind = metrics[0]["kind"]
    if kind == "trend":
        return {"kind": kind, "values": _histograms(metric["values"] for metric in metrics)}
    if kind == "counter":
        return {"kind": kind, "value": sum(metric["value"] for metric in metrics)}
    return {"kind": kind, "value": metrics[-1]["value"]}


def _histograms(texts: Any) -> str:
    given = [text for text in texts if text]
    if len(given) < 2:
        return given[0] if given else ""
    whole = text_histogram(given[0])
    for text in given[1:]:
        whole.merge(text_histogram(text))
    return histogram_text(whole)


def _counts(parts: Any) -> dict[str, int]:
    made: dict[str, int] = {}
    for part in parts:
        for key, count in part.items():
            made[key] = made.get(key, 0) + count
    return made


def _largest(parts: Any) -> dict[str, int]:
    made: dict[str, int] = {}
    for part in parts:
        for key, value in part.items():
            made[key] = max(made.get(key, 0), value)
    return made


def _pairs(parts: Any) -> dict[str, list[int]]:
    made: dict[str, list[int]] = {}
    for part in parts:
        for key, (good, bad) in part.items():
            have = made.setdefault(key, [0, 0])
            have[0] += good
            have[1] += bad
    return made


def _names(parts: Any) -> list[str]:
    names: dict[str, None] = {}
    for part in parts:
        mapping: Mapping[str, Any] = part
        names.update(dict.fromkeys(mapping))
    return list(names)
