"""Requests per operation, read from a service while somebody looks at its API."""

import asyncio
import contextlib
import re
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypedDict

from yarl import URL

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.fleet.fetch import target
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.fleet.node import Node, ServiceRequest
from chapiteau.dash.fleet.request_rates import (
    RateWindow,
    RequestRates,
    RequestTotals,
    find_family,
    read_totals,
)
from chapiteau.dash.fleet.status import NodeStatus

__all__ = ["OperationFigures", "OperationStats", "by_operation", "path_shape"]


# Which operations a service's own figures tell apart: by method and path template.

Operation = tuple[str, str]  # "GET", "/items/{}"

_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# As usual exporters call them, the surest first.
_PATHS: Final = ("path", "http_route", "route", "handler", "path_template", "endpoint", "uri")
_METHODS: Final = ("method", "http_request_method", "http_method", "verb")
_PLACE: Final = re.compile(r"\{[^}]*\}|<[^>]*>|(?<=/):\w+")
_OPERATIONS_MOST: Final = 1_000  # operations; who puts whole addresses into a label has more


def path_shape(path: str) -> str:
    """A path template whatever its parameters are called and however they are marked."""
    return _PLACE.sub("{}", path)


def by_operation(text: str, family: str) -> dict[Operation, RequestTotals]:
    """The sums of a family for each operation; empty when its labels name no paths."""
    lines: dict[Operation, list[str]] = defaultdict(list)
    for line in text.splitlines():
        if not line.startswith(family):
            continue
        labels = dict(_LABEL.findall(line))
        path = next((labels[name] for name in _PATHS if name in labels), "")
        method = next((labels[name] for name in _METHODS if name in labels), "")
        if path.startswith("/") and method and len(lines) < _OPERATIONS_MOST:
            lines[method.upper(), path_shape(path)].append(line)
    aside = "\n".join(line for line in text.splitlines() if line.startswith("process_start_time"))
    return {
        operation: read_totals("\n".join([*its, aside]), family) for operation, its in lines.items()
    }


_FRESH: Final = 1.5  # seconds for which a look serves everybody who asks
_STALE: Final = 15.0  # seconds after which a look says nothing of now
_MOST: Final = 50  # services whose past is kept


class OperationFigures(TypedDict):
    """What an operation answers now; `path` has {} for each parameter."""

    method: str
    path: str
    rate: float  # requests a second
    p99: float | None  # seconds
    errors: float  # 5xx a second


class OperationStats:
    """Keeps the last looks; nothing is asked while nobody does."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], _Past] = OrderedDict()

    async def look(self, node: str, service: str) -> list[OperationFigures]:
        """[{"method", "path", "rate", "p99", "errors"}], the second look's onwards.

        `path` has {} for each parameter, `p99` is in seconds. Empty when the service measures
        nothing, or does not tell its operations apart. Raises NodeAwayError.
        """
        watch = self._fleet.watch(node)
        url = next(
            (s.get("metrics") for s in watch.status.get("services", ()) if s["name"] == service), ""
        )
        if not url or not _same_place(watch.status, service, str(url)):
            return []
        past = self._known.setdefault((node, service), _Past())
        self._known.move_to_end((node, service))
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        async with past.asking:
            if self._clock.now() - past.at >= _FRESH:
                await past.ask(watch.node, service, URL(str(url)), self._clock)
        return past.told()


def _same_place(status: NodeStatus, service: str, url: str) -> bool:
    """Whether the figures are where the service is: elsewhere nobody is asked for a page."""
    with contextlib.suppress(ChapiteauError):
        return str(URL(url).origin()) == str(URL(target(status, service).origin).origin())
    return False


@dataclass(slots=True)
class _Past:
    """One service's."""

    at: float = float("-inf")
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    rates: dict[Operation, RateWindow] = field(default_factory=dict)
    figures: dict[Operation, RequestRates | None] = field(default_factory=dict)

    async def ask(self, node: Node, service: str, url: URL, clock: Clock) -> None:
        request = ServiceRequest(service=service, path=url.with_fragment(None).raw_path_qs)
        answer = await node.fetch(request)
        text = answer.body if answer.status == 200 and not answer.cut else ""
        self.add(clock.now(), by_operation(text, find_family(text, url.fragment) or "\0"))

    def add(self, now: float, found: Mapping[Operation, RequestTotals]) -> None:
        """One look."""
        if now - self.at > _STALE:
            self.rates.clear()
        for operation, totals in found.items():
            if operation not in self.rates:
                rates = self.rates[operation] = RateWindow()
                if len(self.rates) > 1 and self.figures:
                    # Its first request came since the last look: then it had none.
                    zeros = tuple((bound, 0.0) for bound, _ in totals.buckets)
                    zero = RequestTotals(count=0.0, errors=0.0, buckets=zeros, origin=totals.origin)
                    rates.add(self.at, zero)
            self.figures[operation] = self.rates[operation].add(now, totals)
        self.figures = {op: self.figures.get(op) for op in found}
        self.at = now

    def told(self) -> list[OperationFigures]:
        return [
            {
                "method": method,
                "path": path,
                "rate": round(one.rate, 2),
                "p99": one.p99,
                "errors": round(one.errors, 2),
            }
            for (method, path), one in self.figures.items()
            if one is not None
        ]
