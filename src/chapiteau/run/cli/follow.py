"""Following goes on when the brain is replaced: it comes back, and so do we."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, TypeVar

from chapiteau.io.clock import SystemClock
from chapiteau.run.api.client import Client
from chapiteau.run.errors import NotRunningError
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import Gap, LogLine, LogQuery

__all__ = ["follow_events", "follow_logs", "follow_stats"]

T = TypeVar("T")
_PATIENCE: Final = 10.0  # seconds in which a new brain must answer
_PAUSE: Final = 0.05


def follow_events(client: Client, after: int = 0) -> Iterator[Event | Gap]:
    """Events without end; after a new brain from where we were. Ends when nobody comes back."""
    last = after

    def again() -> Iterator[Event | Gap]:
        return client.events(last, follow=True)

    for item in _endless(again):
        if isinstance(item, Event):
            last = item.seq
        yield item


def follow_logs(client: Client, query: LogQuery) -> Iterator[LogLine | Gap]:
    """Lines without end; after a new brain from where we were, none twice and none missing."""
    current = replace(query, follow=True)
    places = dict(query.after)

    def again() -> Iterator[LogLine | Gap]:
        return client.logs(replace(current, after=dict(places)))

    for item in _endless(again):
        if isinstance(item, LogLine):
            places[item.source] = item.at
        yield item


def follow_stats(client: Client) -> Iterator[dict[str, Any]]:
    """Stats messages without end, whichever brain sends them."""
    return _endless(client.stats)


def _endless(again: Callable[[], Iterator[T]]) -> Iterator[T]:
    clock = SystemClock()
    silent_since: float | None = None
    first = True
    while True:
        try:
            for item in again():
                silent_since, first = None, False
                yield item
        except NotRunningError:
            if first:
                raise
        first = False
        now = clock.now()
        silent_since = now if silent_since is None else silent_since
        if now - silent_since > _PATIENCE:
            return
        clock.sleep(_PAUSE)
