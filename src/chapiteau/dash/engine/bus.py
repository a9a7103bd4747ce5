"""From what happens to whoever watches: topics, viewers, and how much each can take."""

import asyncio
import json
from typing import Any

from chapiteau.dash.logic.outbox import Outbox

__all__ = ["Bus", "Viewer", "encode"]


def encode(data: Any) -> str:
    """JSON, once for all viewers."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


class Viewer:
    """One open page: what it wants, and what waits for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.topics: set[str] = set()
        self.box = Outbox()
        self.wake = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Viewer {self.name} {sorted(self.topics)}>"

    def latest(self, topic: str, slot: str, data: str) -> None:
        """A value of which only the newest counts (already JSON)."""
        self.box.latest(topic, slot, data)
        self.wake.set()

    def every(self, topic: str, data: str) -> None:
        """A message that must arrive (already JSON)."""
        self.box.every(topic, data)
        self.wake.set()

    def lines(self, topic: str, lines: list[Any]) -> None:
        """Log lines; not yet JSON, since they are one viewer's own."""
        self.box.lines(topic, lines)
        self.wake.set()


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
