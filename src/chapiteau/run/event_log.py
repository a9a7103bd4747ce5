"""What happened, numbered; the newest in memory, all in RUN_DIR/events.jsonl."""

import asyncio
import contextlib
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.run.events import KINDS, Event, event_fields

__all__ = ["EventLog"]

_KEPT: Final = 10_000
_FILE_LIMIT: Final = 16 << 20
_RETRY: Final = 1.0  # seconds before a file that could not be opened is tried again
_WAITING: Final = 5_000  # events that a slow listener may be behind
_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class EventLog:
    """`emit` records; `stream` replays from a number and goes on.

    The file is written at once (one write per line), so that a brain that is killed leaves the
    numbers and the past to the next. A file that can't be written costs only the past.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=_KEPT)  # (number, its line)
        self._listeners: list[Callable[[Event], None]] = []
        self.seq = 0
        self._file, self._retry_at = -1, 0.0
        self._load()

    def _load(self) -> None:
        self._open()
        with contextlib.suppress(OSError), self._path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            start = max(0, size - (1 << 20))
            data = os.pread(stream.fileno(), size - start, start)
            if data and not data.endswith(b"\n") and self._file >= 0:
                os.write(self._file, b"\n")  # the machine went down in the middle of a line
            for line in data.splitlines()[1 if start else 0 :]:
                self._remember(line)

    def _open(self) -> None:
        """Open it for writing; where that can't be, again after a while."""
        self._retry_at = self._clock.now() + _RETRY
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o640)

    def _remember(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            seq = int(json.loads(line)["seq"])
            self._kept.append((seq, line))
            self.seq = max(self.seq, seq)

    def emit(self, kind: str, text: str = "", **facts: Any) -> None:
        """Record that something happened. `facts` as in Event."""
        if kind not in KINDS:
            raise ValueError(f"no such kind of event: {kind}")
        self.seq += 1
        facts |= {"seq": self.seq, "time": self._clock.wall(), "kind": kind, "text": text}
        # As text it takes a fifth of the memory, and is rarely asked for again.
        line = _encode(event_fields(facts)).encode("utf-8", "replace")
        self._kept.append((self.seq, line))
        self._write(self.seq, line)
        if self._listeners:
            made = Event(**facts)
            for listener in tuple(self._listeners):
                listener(made)

    def _write(self, seq: int, line: bytes) -> None:
        if self._file < 0 and self._clock.now() >= self._retry_at:
            self._open()
        if self._file < 0:
            return
        with contextlib.suppress(OSError):
            os.write(self._file, line + b"\n")
            if seq % 1000 == 0 and os.fstat(self._file).st_size > _FILE_LIMIT:
                self._path.rename(self._path.with_name(self._path.name + ".1"))
                os.close(self._file)
                self._file = -1
                self._open()

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with everything new; the answer stops that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def after(self, seq: int) -> list[Event]:
        """What is kept with a greater number."""
        return [Event.from_dict(json.loads(line)) for at, line in self._kept if at > seq]

    async def stream(self, after: int, *, follow: bool) -> AsyncIterator[Event]:
        """Kept ones, then new ones. Who is far too slow jumps ahead: numbers show it."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_WAITING)

        def deliver(made: Event) -> None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(made)

        stop = self.listen(deliver) if follow else (lambda: None)
        try:
            last = after
            for made in self.after(after):
                last = made.seq
                yield made
            while follow:
                made = await queue.get()
                if made.seq > last:
                    yield made
        finally:
            stop()

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
