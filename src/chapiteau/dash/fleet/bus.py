"""From what happens to whoever watches: topics, viewers, and how much each can take."""

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Bus", "Outbox", "OutboxMessage", "Viewer", "encode"]


# What waits to be sent to one browser: numbers may be skipped, events and log lines are counted.
#
# A slow reader must cost the hub neither memory nor time. A message with a `slot` replaces the one
# that still waits in the same slot (states and statistics: only the newest matters). Lists of lines
# are cut at `most_lines`, oldest first, and the gap is told.

_MOST_EVENTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One message for a page: `data` is JSON text, or a value that is not JSON yet."""

    topic: str
    seq: int
    data: Any


class Outbox:
    """Messages for one browser, in order."""

    def __init__(self, most_lines: int = 5_000) -> None:
        self._slots: dict[tuple[str, str], str] = {}
        self._queue: deque[tuple[str, str]] = deque()
        self._lines: dict[str, list[Any]] = {}
        self._gaps: dict[str, int] = {}
        self._seq: dict[str, int] = {}
        self._most_lines = most_lines
        self.wake = asyncio.Event()  # set when something waits
        self.replaced = 0  # messages skipped because a newer one came
        self.overflown = False  # the reader is hopeless: too many events wait

    def __bool__(self) -> bool:
        return bool(self._slots or self._queue or self._lines)

    def latest(self, topic: str, slot: str, data: str) -> None:
        """A value of which only the newest counts (already JSON)."""
        self.wake.set()
        if (topic, slot) in self._slots:
            self.replaced += 1
        self._slots[topic, slot] = data

    def every(self, topic: str, data: str) -> None:
        """A message that must arrive (already JSON)."""
        self.wake.set()
        if len(self._queue) >= _MOST_EVENTS:
            self.overflown = True
            return
        self._queue.append((topic, data))

    def lines(self, topic: str, lines: list[Any]) -> None:
        """Log lines: collected into one message; the oldest go when too many wait."""
        self.wake.set()
        waiting = self._lines.setdefault(topic, [])
        waiting.extend(lines)
        if (excess := len(waiting) - self._most_lines) > 0:
            del waiting[:excess]
            self._gaps[topic] = self._gaps.get(topic, 0) + excess

    def forget(self, topic: str) -> None:
        """Nothing of this topic is wanted any more."""
        self._lines.pop(topic, None)
        self._gaps.pop(topic, None)
        for key in [key for key in self._slots if key[0] == topic]:
            del self._slots[key]

    def take(self) -> list[OutboxMessage]:
        """Everything that waits, numbered per topic; the box is empty afterwards."""
        found: list[tuple[str, Any]] = [*self._queue]
        found += [(topic, data) for (topic, _), data in self._slots.items()]
        for topic, lines in self._lines.items():
            gap = self._gaps.pop(topic, 0)
            found.append((topic, {"lines": lines, "gap": gap}))
        self._queue.clear()
        self._slots.clear()
        self._lines.clear()
        return [self._numbered(topic, data) for topic, data in found]

    def _numbered(self, topic: str, data: Any) -> OutboxMessage:
        self._seq[topic] = self._seq.get(topic, 0) + 1
        return OutboxMessage(topic, self._seq[topic], data)


def encode(data: Any) -> str:
    """JSON, once for all viewers."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


class Viewer(Outbox):
    """One open page: what it wants, and what waits for it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.topics: set[str] = set()

    def __repr__(self) -> str:
        return f"<Viewer {self.name} {sorted(self.topics)}>"


class Bus:
    """Hands each message to the viewers that want its topic."""

    def __init__(self) -> None:
        self.viewers: set[Viewer] = set()

    def wanted(self, topic: str) -> bool:
        """Whether anybody watches this topic."""
        return any(topic in viewer.topics for viewer in self.viewers)

    def latest(self, topic: str, slot: str, data: Any) -> None:
        """Publish a value of which only the newest counts."""
        targets = [v for v in self.viewers if topic in v.topics]
        if targets:
            text = encode(data)
            for viewer in targets:
                viewer.latest(topic, slot, text)

    def every(self, topic: str, data: Any) -> None:
        """Publish a message that must arrive."""
        targets = [v for v in self.viewers if topic in v.topics]
        if targets:
            text = encode(data)
            for viewer in targets:
                viewer.every(topic, text)
