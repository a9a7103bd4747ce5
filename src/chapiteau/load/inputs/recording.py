"""Requests that are known beforehand, as sessions: all in order, or one of them at a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from chapiteau.core.problems import Problem
from chapiteau.load.inputs.url_encoding import url_origin
from chapiteau.load.scenario.flow import Flow, FlowRequest, FlowState

if TYPE_CHECKING:
    import random

__all__ = [
    "ParsedInput",
    "RandomFlow",
    "RebasedFlow",
    "SequenceFlow",
    "accepted_statuses",
    "filter_host",
    "kept_headers",
]

_GOOD: Final = frozenset(range(100, 400))
# Headers of a recording that belong to its connection or its caches, not to the request.
_OF_THE_CONNECTION: Final = frozenset(
    "host connection content-length transfer-encoding accept-encoding keep-alive upgrade te "
    "proxy-connection proxy-authorization if-none-match if-modified-since cookie2".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedInput:
    """What a document, recording or command line turned into."""

    flow: Flow
    base_url: str = ""  # where it says the service is; "" when it does not say
    problems: tuple[Problem, ...] = ()  # what was left out, and why


@dataclass(frozen=True, slots=True)
class SequenceFlow:
    """Each session sends all the requests, one after the other."""

    name: str
    requests: tuple[FlowRequest, ...]

    def next(self, _chance: "random.Random", seen: FlowState) -> FlowRequest | None:
        """The request after those that were answered."""
        return self.requests[seen.steps] if seen.steps < len(self.requests) else None

    def outline(self) -> list[str]:
        """The requests in their order."""
        return [_line(request) for request in self.requests]


@dataclass(frozen=True, slots=True)
class RandomFlow:
    """Each session sends one of the requests, by chance."""

    name: str
    requests: tuple[FlowRequest, ...]

    def next(self, chance: "random.Random", seen: FlowState) -> FlowRequest | None:
        """Any one, and then nothing."""
        return chance.choice(self.requests) if seen.steps == 0 and self.requests else None

    def outline(self) -> list[str]:
        """The requests that may be sent."""
        return [_line(request) for request in self.requests]


@dataclass(frozen=True, slots=True)
class RebasedFlow:
    """A flow whose service is elsewhere now: what went to `home` is relative to the base URL."""

    flow: Flow
    home: str  # scheme and authority

    @property
    def name(self) -> str:
        """As it was."""
        return self.flow.name

    def next(self, chance: "random.Random", seen: FlowState) -> FlowRequest | None:
        """The next request, moved."""
        request = self.flow.next(chance, seen)
        if request is None or url_origin(request.url) != self.home:
            return request
        path = request.url[len(self.home) :]
        return replace(request, url=path if path.startswith("/") else f"/{path}")

    def outline(self) -> list[str]:
        """As it was, without the host."""
        return [line.replace(self.home, "", 1) for line in self.flow.outline()]


def _line(request: FlowRequest) -> str:
    pause = f"  (after {request.think:.1f} s)" if request.think else ""
    size = f"  ({len(request.body)} bytes)" if request.body else ""
    return f"{request.method} {request.url}{size}{pause}"


def accepted_statuses(status: Any) -> frozenset[int]:
    """What a request that was refused when it was recorded may get: that again, or a good answer.

    Empty, as usual, for all others.
    """
    refused = isinstance(status, int) and 400 <= status < 500
    return _GOOD | {status} if refused else frozenset()


def kept_headers(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The headers worth sending again, in one line each."""
    return tuple(
        (name, _one_line(value))
        for name, value in pairs
        if name
        and not name.startswith(":")
        and name.lower() not in _OF_THE_CONNECTION
        and name.isascii()
        and all(c > " " and c not in ':"(),/' for c in name)
    )


def _one_line(value: str) -> str:
    return "".join(c if c == "\t" or (c >= " " and c != "\x7f") else " " for c in value).strip()


def filter_host(
    requests: Iterable[FlowRequest], home: str = ""
) -> tuple[tuple[FlowRequest, ...], Mapping[str, int]]:
    """The requests to one host (the first's, unless said), and how many went to which others."""
    kept: list[FlowRequest] = []
    others: dict[str, int] = {}
    for request in requests:
        base = url_origin(request.url)
        home = home or base
        if not base or base == home:
            kept.append(request)
        else:
            others[base] = others.get(base, 0) + 1
    return tuple(kept), others
