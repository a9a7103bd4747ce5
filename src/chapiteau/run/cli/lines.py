"""Lines of output and events as people read them on a terminal."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, TypeVar

from chapiteau.core.text import escape_control
from chapiteau.io.clock import SystemClock
from chapiteau.io.console import styled
from chapiteau.run.api.client import Client
from chapiteau.run.api.status import StatsMessage
from chapiteau.run.errors import NotRunningError
from chapiteau.run.events import TONES, Event
from chapiteau.run.logs.messages import Gap, LogLine, LogQuery

__all__ = ["LinePrinter", "event_line", "follow_events", "follow_logs", "follow_stats"]


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


def follow_stats(client: Client) -> Iterator[StatsMessage]:
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


_PALETTE: Final = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green")
_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")  # colours (SGR); every other escape is shown as text
_COLOURS: Final = {"good": "green", "warn": "yellow", "bad": "red"}


class LinePrinter:
    """`web.1 | line`, with one colour for each service and the names aligned."""

    def __init__(self, *, colour: bool, width: int = 0) -> None:
        self._colour = colour
        self._width = width
        self._colours: dict[str, str] = {}

    def line(self, item: LogLine | Gap) -> str:
        """One line of output."""
        if isinstance(item, Gap):
            return f"… {item.count} lines lost: this reader was too slow"
        name = f"{item.service}.{item.process}" if item.process else item.service
        self._width = max(self._width, len(name))
        head = f"{name:<{self._width}} |"
        if not self._colour:
            return f"{head} {escape_control(_STYLE.sub('', item.text))}"
        chosen = self._colours.setdefault(
            item.service, _PALETTE[len(self._colours) % len(_PALETTE)]
        )
        text = _coloured(item.text)
        if item.stream == "stderr" and text == item.text:
            text = styled(text, "dim")
        return f"{styled(head, chosen)} {text}"


def _coloured(text: str) -> str:
    """The program's own colours, and nothing else that a terminal would obey."""
    if "\x1b" not in text:
        return escape_control(text)
    pieces = _STYLE.split(text)
    styles = _STYLE.findall(text)
    made = escape_control(pieces[0])
    for style, piece in zip(styles, pieces[1:], strict=True):
        made += style + escape_control(piece)
    return made + "\x1b[0m"


def event_line(event: Event, *, colour: bool, wall: bool = True) -> str:
    """`12:30:05 web.1 process.exited  ended with code 1`."""
    from datetime import UTC, datetime  # who prints lines needs none

    when = datetime.fromtimestamp(event.time, UTC).astimezone().strftime("%H:%M:%S ")
    who = f"{event.service}.{event.process}" if event.process else event.service
    kind = event.kind
    if colour:
        kind = styled(kind, _COLOURS.get(TONES.get(kind, ""), "cyan"))
    text = escape_control(event.text).replace("\n", "\n    ")
    return " ".join(p for p in (when.strip() if wall else "", kind, who, text) if p)
