"""Numbers of a service that is not supervised here: what Prometheus is asked, and what it says.

The HTTP API: https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.load.logic.export.address import parts_of
from chapiteau.load.logic.inputs.quoting import quote

__all__ = ["asked_address", "busiest", "question", "scarce"]

_FULL: Final = 0.85  # share of a resource from which it counts as used up
_NO_SHARE: Final = 1.5  # more than this can't be a share
_MOST: Final = 600  # points that an answer may have
_HINT: Final = "for example http://prometheus.example.org:9090"


def asked_address(text: str) -> tuple[str, str, str]:
    """The server's URL without credentials, user, password. Raises UsageError."""
    parts = parts_of(text, "prometheus", _HINT)
    if parts.scheme not in {"http", "https"}:
        raise UsageError(f"prometheus {text!r}: neither http:// nor https://", hint=_HINT)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}", parts.user, parts.password


def question(server: str, query: str, start: float, end: float) -> str:
    """The URL of a range query between two moments, in seconds since 1970."""
    step = max(1, math.ceil((end - start) / _MOST))
    return (
        f"{server}/api/v1/query_range?query={quote(query)}"
        f"&start={start:.3f}&end={end:.3f}&step={step}"
    )


def busiest(answer: str | bytes, started: float) -> list[list[float]]:
    """(seconds since the start, value) of an answer: at each moment its highest series.

    Raises ValueError with what is wrong with it.
    """
    told = json.loads(answer)
    if not isinstance(told, dict) or told.get("status") != "success":
        why = (
            told.get("error", "no answer of Prometheus") if isinstance(told, dict) else "no object"
        )
        raise ValueError(str(why))
    data = told.get("data") or {}
    if data.get("resultType") != "matrix":
        raise ValueError(f"a {data.get('resultType')} came, and a matrix was asked for")
    highest: dict[float, float] = {}
    for series in data.get("result", []):
        for moment, text in series.get("values", []):
            value = float(text)
            if math.isfinite(value):
                at = round(float(moment) - started, 3)
                highest[at] = max(value, highest.get(at, -math.inf))
    if not highest:
        raise ValueError("it has no data for this time")
    return [[at, highest[at]] for at in sorted(highest)]


def scarce(asked: Sequence[Mapping[str, Any]], first: float, last: float) -> str:
    """Which resource was used up between two moments; "" when nothing was asked or told.

    Each value is a share of what there is: 1 is all of it.
    """
    means: dict[str, float] = {}
    for one in asked:
        values = [value for at, value in one["points"] if first <= at <= last]
        if values and (mean := sum(values) / len(values)) <= _NO_SHARE:
            means[one["name"]] = mean
    if not means:
        return ""
    top = max(means, key=lambda name: means[name])
    if means[top] >= _FULL:
        return f"{top}: {means[top] * 100:.0f}% in use"
    return f"nothing that was asked for: most is {top}, {means[top] * 100:.0f}% in use"
