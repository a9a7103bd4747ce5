"""What a service says of its requests, out of its OpenMetrics or Prometheus text."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Totals", "family_of", "read_totals"]

_TYPE: Final = re.compile(r"# TYPE (\S+?)(?:_total)? (histogram|summary|counter)\s*$", re.MULTILINE)
_MEANT: Final = re.compile(
    r"(?:request|http).*(?:seconds|duration|latency)|grpc_server_handling", re.IGNORECASE
)
_COUNTED: Final = re.compile(r"requests?$", re.IGNORECASE)
_ASIDE: Final = re.compile(  # of others, of something else, or of the scraper itself
    r"client|outgoing|upstream|queue|size|bytes|metric_handler|_created$", re.IGNORECASE
)
_SAMPLE: Final = re.compile(
    r'(_bucket|_count|_total)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? +(\S+)'
)
_BOUND: Final = re.compile(r'(?:^|,) *le="([^"]*)"')
_STATUS: Final = re.compile(r'(?:^|[,_ ])(?:status|code|class)="')
_FAILED: Final = re.compile(r'(?:^|[,_ ])(?:status|code|class)="5')
_BEGAN: Final = re.compile(r"^process_start_time_seconds(?:\{[^}]*\})? +(\S+)", re.MULTILINE)
_PROCESS: Final = re.compile(r'process="(\d+)"')
_OURS: Final = "chapiteau_request_duration_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Since the service began, all operations together."""

    count: float
    errors: float  # of them, answered with 5xx
    # Upper bound in seconds, and how many took at most so long; the last bound is infinite.
    buckets: tuple[tuple[float, float], ...]
    origin: str = ""  # who counted: another one begins anew


def family_of(text: str, wanted: str = "") -> str:
    """The family that tells of requests that are served; "" when there is none.

    `wanted`, else ours, else the first histogram whose name speaks of requests or HTTP and of how
    long they took; a summary or a counter, which have no buckets, only where nothing is better.
    """
    kinds = _kinds(text)
    if wanted:
        return wanted if wanted in kinds else ""
    if _OURS in kinds:
        return _OURS
    for kind, meant in (("histogram", _MEANT), ("summary", _MEANT), ("counter", _COUNTED)):
        if found := _first(kinds, kind, meant):
            return found
    return ""


def _kinds(text: str) -> dict[str, str]:
    return dict(_TYPE.findall(text))


def _first(kinds: Mapping[str, str], kind: str, meant: re.Pattern[str]) -> str:
    for name, its in kinds.items():
        if its == kind and meant.search(name) and not _ASIDE.search(name):
            return name
    return ""


def read_totals(text: str, family: str, own_path: str = "") -> Totals:
    """The sums of a family.

    Left out are the scraper's own requests: what names `own_path`, and our service `metrics`.
    Where a family does not tell statuses, failures are those of the text's counter of requests.
    """
    scale = 0.001 if "millisecond" in family else 1.0
    own = (f'="{own_path}"' if own_path else "", 'service="metrics"' if family == _OURS else "")
    count = errors = 0.0
    told = False  # which status the answers had
    buckets: dict[float, float] = defaultdict(float)
    for line in text.splitlines():
        if not line.startswith(family):
            continue
        match = _SAMPLE.match(line, len(family))
        if match is None:
            continue
        kind, labels, value = match[1], match[2] or "", _number(match[3])
        if any(mark and mark in labels for mark in own):
            continue
        if kind == "_bucket":
            if bound := _BOUND.search(labels):
                buckets[_number(bound[1]) * scale] += value
            continue
        count += value
        told = told or _STATUS.search(labels) is not None
        if _FAILED.search(labels):
            errors += value
    other = "" if told else _first(_kinds(text), "counter", _COUNTED)
    if other and other != family:
        errors = read_totals(text, other, own_path).errors
    return Totals(
        count=count,
        errors=errors,
        buckets=tuple(sorted(buckets.items())),
        origin=_origin(text, family),
    )


def _origin(text: str, family: str) -> str:
    """One process of many that share a port, or all of them together: whose sums these are."""
    began = _BEGAN.search(text)
    alone = sorted(set(_PROCESS.findall(text))) if family == _OURS else []
    return " ".join([began[1] if began else "", *alone]).strip()


def _number(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return 0.0 if math.isnan(found) else found
