"""Asks Prometheus for the numbers of a service that no supervisor of ours runs."""

import base64
import contextlib
import http.client
import json
import math
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Final

from chapiteau.core.errors import UsageError
from chapiteau.load.inputs.url_encoding import quote
from chapiteau.load.report.result import PrometheusSeries
from chapiteau.load.telemetry.addresses import parse_url_parts

__all__ = [
    "parse_prometheus_url",
    "parse_range_answer",
    "query_prometheus",
    "range_query_url",
    "scarce_resource",
]


# Numbers of a service that is not supervised here: what Prometheus is asked, and what it says.
#
# The HTTP API: https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries

_FULL: Final = 0.85  # share of a resource from which it counts as used up
_NO_SHARE: Final = 1.5  # more than this can't be a share
_ASKED_MOST: Final = 600  # points that an answer may have
_HINT: Final = "for example http://prometheus.example.org:9090"


def parse_prometheus_url(text: str) -> tuple[str, str, str]:
    """The server's URL without credentials, user, password. Raises UsageError."""
    parts = parse_url_parts(text, "prometheus", _HINT)
    if parts.scheme not in {"http", "https"}:
        raise UsageError(f"prometheus {text!r}: neither http:// nor https://", hint=_HINT)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}", parts.user, parts.password


def range_query_url(server: str, query: str, start: float, end: float) -> str:
    """The URL of a range query between two moments, in seconds since 1970."""
    step = max(1, math.ceil((end - start) / _ASKED_MOST))
    return (
        f"{server}/api/v1/query_range?query={quote(query)}"
        f"&start={start:.3f}&end={end:.3f}&step={step}"
    )


def parse_range_answer(answer: str | bytes, started: float) -> list[tuple[float, float]]:
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
    return [(at, highest[at]) for at in sorted(highest)]


def scarce_resource(asked: Sequence[PrometheusSeries], first: float, last: float) -> str:
    """Which resource was used up between two moments; "" when nothing was asked or told.

    Each value is a share of what there is: 1 is all of it.
    """
    means: dict[str, float] = {}
    for one in asked:
        values = [value for at, value in one.points if first <= at <= last]
        if values and (mean := sum(values) / len(values)) <= _NO_SHARE:
            means[one.name] = mean
    if not means:
        return ""
    top = max(means, key=lambda name: means[name])
    if means[top] >= _FULL:
        return f"{top}: {means[top] * 100:.0f}% in use"
    return f"nothing that was asked for: most is {top}, {means[top] * 100:.0f}% in use"


_TIMEOUT: Final = 10.0
_MOST: Final = 16 << 20  # bytes of an answer


def query_prometheus(
    server: str, queries: Mapping[str, str], started: float, ended: float
) -> tuple[list[PrometheusSeries], list[str]]:
    """Each query's name and points over a test, and a line for each that got no answer.

    A server that is gone costs its numbers, never the test.
    """
    asked: list[PrometheusSeries] = []
    problems: list[str] = []
    url, user, password = parse_prometheus_url(server)
    for name, query in queries.items():
        try:
            answer = _get(range_query_url(url, query, started, ended), user, password)
            asked.append(PrometheusSeries(name, query, parse_range_answer(answer, started)))
        except urllib.error.HTTPError as exc:
            problems.append(f"{name} was not told by {url}: {_why(exc)}")
        except (OSError, http.client.HTTPException, ValueError) as exc:
            problems.append(f"{name} was not told by {url}: {getattr(exc, 'reason', exc)}")
    return asked, problems


def _get(url: str, user: str, password: str) -> bytes:
    headers = {"Accept": "application/json", "User-Agent": "chapiteau"}
    if user:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 — http and https only
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
        body: bytes = answer.read(_MOST)
        return body


def _why(exc: urllib.error.HTTPError) -> str:
    """What Prometheus says of a query that it can't read, or the status."""
    with contextlib.suppress(ValueError, OSError, AttributeError):
        if told := json.loads(exc.read(65_536)).get("error"):
            return str(told)[:300]
    return f"it answered {exc.code}"
