"""Requests as data: what a document (OpenAPI, HAR, Postman, curl, a list of URLs) turns into.

A Flow writes the requests of one session, step by step. It is immutable and shared by every
session; what a session has seen so far comes in as `Seen`, chance as a `random.Random`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import random

__all__ = ["Flow", "FlowRequest", "FlowResponse", "FlowState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRequest:
    """One request as it goes out. `url` is absolute, or a path below the base URL."""

    method: str = "GET"
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    name: str = ""  # row of the report it counts in; "" means method and path
    expect: frozenset[int] = frozenset()  # statuses that count as good; empty: every one below 400
    tags: tuple[str, ...] = ()
    think: float = 0.0  # seconds to wait before it goes out
    remember: bool = False  # keep the answer's JSON in Seen.memory under `name`


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowResponse:
    """What came back: the status and, where the request asked to remember it, JSON and headers.

    `headers` has lower-case names. Flows read `location` (ids of what was created) and `etag`
    (for If-Match of the next request) from it, so it is filled even when there is no JSON.
    """

    status: int
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class FlowState:
    """What one session knows. The flow may read all of it and write to `values`.

    `memory` outlives the session: the worker shares it among its sessions, so that ids from one
    session's list operation feed another's item operation. Only good answers get in.
    """

    memory: dict[str, Any] = field(default_factory=dict)  # request name → latest JSON
    values: dict[str, Any] = field(default_factory=dict)  # the flow's own notes of this session
    steps: int = 0  # requests answered so far in this session
    last: FlowResponse | None = None

    def take(self, request: FlowRequest, response: FlowResponse) -> None:
        """The answer to a request of this session."""
        self.last = response
        self.steps += 1
        if response.json is not None and response.status < 400:
            self.memory[request.name] = response.json


class Flow(Protocol):
    """Writes the requests of a session, one at a time."""

    @property
    def name(self) -> str:
        """What the report calls this scenario."""
        ...

    def next(self, chance: "random.Random", seen: FlowState) -> FlowRequest | None:
        """The next request; None when the session is over."""
        ...

    def outline(self) -> list[str]:
        """One line for each kind of request it may send, for `--dry-run`."""
        ...
