"""How many requests a second, and how long they take: differences of sums that only grow."""

import math
import re
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["RateWindow", "RequestRates", "RequestTotals", "find_family", "quantile", "read_totals"]


# What a service says of its requests, out of its OpenMetrics or Prometheus text.

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
class RequestTotals:
    """Since the service began, all operations together."""

    count: float
    errors: float  # of them, answered with 5xx
    # Upper bound in seconds, and how many took at most so long; the last bound is infinite.
    buckets: tuple[tuple[float, float], ...]
    origin: str = ""  # who counted: another one begins anew


def find_family(text: str, wanted: str = "") -> str:
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


def read_totals(text: str, family: str, own_path: str = "") -> RequestTotals:
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
    return RequestTotals(
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


_WINDOW: Final = 10.0  # seconds over which the slowest are looked for: a few requests tell little


@dataclass(frozen=True, slots=True)
class RequestRates:
    """Of one service, now."""

    rate: float  # requests a second
    p99: float | None  # seconds; None when there was none, or its text has no buckets
    errors: float  # answers with 5xx a second

    def to_list(self) -> list[float | None]:
        """As in a statistics message."""
        p99 = None if self.p99 is None else round(self.p99, 5)
        return [round(self.rate, 2), p99, round(self.errors, 2)]


@dataclass(slots=True)
class RateWindow:
    """One service's past of a few seconds."""

    _seen: "deque[tuple[float, RequestTotals]]" = field(default_factory=deque)

    def add(self, now: float, totals: RequestTotals) -> RequestRates | None:
        """Take what was read at `now` (any clock that runs evenly).

        None at first, and again after a restart: then its sums began anew.
        """
        if self._seen and _anew(self._seen[-1][1], totals):
            self._seen.clear()
        self._seen.append((now, totals))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW:
            self._seen.popleft()
        if len(self._seen) < 2:
            return None
        began, before = self._seen[-2]
        elapsed = now - began
        if elapsed <= 0:
            return None
        return RequestRates(
            rate=(totals.count - before.count) / elapsed,
            p99=quantile(self._seen[0][1], totals, 0.99),
            errors=(totals.errors - before.errors) / elapsed,
        )


def _anew(before: RequestTotals, after: RequestTotals) -> bool:
    return after.count < before.count or after.origin != before.origin


def quantile(before: RequestTotals, after: RequestTotals, share: float) -> float | None:
    """Seconds that this share of the requests between the two took at most.

    Between a bucket's bounds it is guessed along a line, as Prometheus does; what is beyond the
    last finite bound counts as that bound.
    """
    earlier = dict(before.buckets)
    grown = [(bound, count - earlier.get(bound, 0.0)) for bound, count in after.buckets]
    if not grown or grown[-1][1] <= 0:
        return None
    rank = share * grown[-1][1]
    low, below = 0.0, 0.0
    for bound, count in grown:
        if count >= rank and count > below:
            if bound == float("inf"):
                return low
            # Not above the bound, though rounding may say so.
            return min(bound, low + (bound - low) * (rank - below) / (count - below))
        low, below = bound, max(below, count)
    return low
