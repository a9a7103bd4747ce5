"""All pipes of a supervisor: which go into which file, and who follows them."""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chapiteau.core.clock import Clock
from chapiteau.run.config.spec import Logs
from chapiteau.run.logs.capture import Capture, MemoryCapture, pipe_size
from chapiteau.run.logs.follower import LogFollower
from chapiteau.run.logs.messages import LogLine, LogQuery, OutputStream, PreviousPage
from chapiteau.run.logs.pipe_poller import PipePoller
from chapiteau.run.logs.rotation import Rotation

if TYPE_CHECKING:
    from chapiteau.run.logs.line_log import LineLog, RawLogReader

__all__ = ["DroppedOutput", "LogCollector", "OutputStream"]

_SPOOL: Final = 8 << 20  # bytes of raw output kept in line mode, twice
_SETTLE: Final = 1.0  # seconds between two looks whether a gap can be told
_QUICK: Final = 1_000  # lines: so many are read without waiting for searches
_SEARCHES: Final = 2  # at once: they take the processor from what moves the output
_REPORT_EVERY: Final = 60.0  # seconds between two events about one stream
STREAMS: Final = {"out": "stdout", "err": "stderr"}


class DroppedOutput:
    """Output that was lost: reported at once, then at most once a minute with the sum.

    `totals` are bytes per service since this brain began.
    """

    def __init__(self, emit: Callable[..., object]) -> None:
        self.totals: Counter[str] = Counter()
        self._emit = emit
        self._unreported: dict[OutputStream, tuple[int, str]] = {}
        self._timers: dict[OutputStream, asyncio.TimerHandle] = {}

    def add(self, stream: OutputStream, count: int, why: str) -> None:
        """So many bytes were lost."""
        self.totals[stream.service] += count
        before, _ = self._unreported.get(stream, (0, ""))
        self._unreported[stream] = (before + count, why)
        if stream not in self._timers:
            self._report(stream)

    def _report(self, stream: OutputStream) -> None:
        self._timers.pop(stream, None)
        count, why = self._unreported.pop(stream, (0, ""))
        if not why:
            return
        lost = f"{count} bytes of {stream.name}" if count else stream.name
        self._emit("log.dropped", f"{lost}: {why}", service=stream.service,
                   process=stream.process, data={"bytes": count, "why": why})  # fmt: skip
        loop = asyncio.get_running_loop()
        self._timers[stream] = loop.call_later(_REPORT_EVERY, self._report, stream)

    def close(self) -> None:
        """Report the rest now; nothing is reported afterwards."""
        for stream, timer in list(self._timers.items()):
            timer.cancel()
            self._report(stream)
        for timer in self._timers.values():
            timer.cancel()


class LogCollector:
    """Owns the pipes (`attach`), the files below `folder`, and the followers.

    `emit` records an event.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        emit: Callable[..., object] = lambda kind, text, **facts: None,
    ) -> None:
        self._folder, self._clock = folder, clock
        self.dropped = DroppedOutput(emit)
        self._captures: dict[OutputStream, Capture] = {}
        self._pipes: dict[int, tuple[str, OutputStream, Capture]] = {}
        self._open: dict[str, list[int]] = {}  # the same by process
        self._poller = PipePoller(self._take, self._end)
        self._followers: dict[Callable[[OutputStream, bytes], None], LogQuery] = {}
        self._line_logs: dict[str, LineLog] = {}
        self._readers: list[RawLogReader] = []
        self._gaps: set[OutputStream] = set()  # streams that lack something which no file tells yet
        self._gate = asyncio.Semaphore(_SEARCHES)
        self._begun: dict[str, dict[OutputStream, int]] = {}  # where in its files a process began

    def attach(self, key: str, stream: OutputStream, pipe: int, rule: Logs) -> None:
        """Take over a pipe of process `key`."""
        capture = self._captures.get(stream) or self._new(stream, rule)
        os.set_blocking(pipe, False)
        self._begun.setdefault(key, {})[stream] = capture.size
        self._pipes[pipe] = (key, stream, capture)
        self._open.setdefault(key, []).append(pipe)
        self._poller.add(pipe)

    def _new(self, stream: OutputStream, rule: Logs) -> Capture:
        made = self._captures[stream] = self._capture(stream, rule)
        if rule.mode == "line":
            self._read_lines(stream, made, rule)
        for deliver, query in self._followers.items():
            if _wanted(stream, query):
                made.follow(deliver, partial(deliver, stream))
        return made

    def _capture(self, stream: OutputStream, rule: Logs) -> Capture:
        if rule.mode == "line":  # the raw file is then only what the lines are made from
            rule = replace(rule, max_size=_SPOOL, max_age=0.0, keep=1, compress="none")
        elif rule.file == "none":
            return MemoryCapture(self._clock)
        path = self._folder / f"{stream.service}/{stream.process}.{stream.name}.log"
        on_drop = partial(self._lost, stream)
        if not rule.rate:
            return Capture(path, Rotation(rule), self._clock, on_drop)
        from chapiteau.run.logs.rate_limit import RateLimitedCapture

        return RateLimitedCapture(path, Rotation(rule), self._clock, rule.rate, on_drop)

    def _read_lines(self, stream: OutputStream, capture: Capture, rule: Logs) -> None:
        from chapiteau.run.logs.line_log import LineLog, RawLogReader

        log = self._line_logs.get(stream.service)
        if log is None:
            named = rule.file if rule.file not in ("", "none") else f"{stream.service}.log"
            on_drop = partial(self.dropped.add, stream)
            log = LineLog(stream.service, self._folder / named, rule, self._clock, on_drop)
            self._line_logs[stream.service] = log
        capture.path.parent.mkdir(parents=True, exist_ok=True)
        reader = RawLogReader(log, stream, capture.path, self._clock)
        self._readers.append(reader)
        capture.follow(reader, reader.feed)

    def _lost(self, stream: OutputStream, count: int, why: str) -> None:
        if stream not in self._gaps:
            self._gaps.add(stream)
            asyncio.get_running_loop().call_later(_SETTLE, self._settle, stream)
        self.dropped.add(stream, count, why)

    def _settle(self, stream: OutputStream) -> None:
        """A gap at the end of a stream is told too, not only when output follows it."""
        if self._captures[stream].settle():
            self._gaps.discard(stream)
        else:
            asyncio.get_running_loop().call_later(_SETTLE, self._settle, stream)

    def _take(self, pipe: int) -> int:
        return self._pipes[pipe][2].move(pipe)

    def _end(self, pipe: int) -> None:
        if (entry := self._pipes.pop(pipe, None)) is not None:
            self._poller.forget(pipe)
            os.close(pipe)
            of_process = self._open[entry[0]]
            of_process.remove(pipe)
            if not of_process:
                del self._open[entry[0]]

    def held(self) -> Iterator[tuple[str, str, int]]:
        """(process key, "out" or "err", pipe) of every pipe that is open."""
        for pipe, (key, stream, _) in self._pipes.items():
            yield key, "out" if stream.name == "stdout" else "err", pipe

    def drain(self, key: str) -> None:
        """A process has ended: take what its pipes still hold, without waiting for more."""
        for pipe in tuple(self._open.get(key, ())):
            with contextlib.suppress(OSError):
                while pipe_size(pipe) and self._take(pipe) >= 0:
                    pass

    def tail(self, key: str, lines: int = 20) -> list[str]:
        """The last lines of one process: of its stderr, and when that is silent of stdout."""
        begun = self._begun.get(key, {})
        for stream in sorted(begun, key=lambda stream: stream.name):
            capture = self._captures[stream]
            if capture.size and (found := capture.tail(lines, begun[stream])):
                return found
        return []

    def output_of(self, key: str) -> Iterator[tuple[OutputStream, bytes]]:
        """What a process has written so far: the end of each of its streams."""
        for stream, begun in self._begun.get(key, {}).items():
            yield stream, self._captures[stream].read_since(begun)

    def forget(self, key: str) -> None:
        """Nobody will ask for the last lines of this process again."""
        self._begun.pop(key, None)

    def follow(self, query: LogQuery, deliver: Callable[[OutputStream, bytes], None]) -> None:
        """Hand new output to `deliver` until `unfollow`."""
        self._followers[deliver] = query
        for stream, capture in self._captures.items():
            if _wanted(stream, query):
                capture.follow(deliver, partial(deliver, stream))

    def unfollow(self, deliver: Callable[[OutputStream, bytes], None]) -> None:
        """Stop handing output."""
        self._followers.pop(deliver, None)
        for capture in self._captures.values():
            capture.unfollow(deliver)

    async def lines(self, query: LogQuery) -> AsyncIterator[LogLine | PreviousPage]:
        """Kept lines that match, oldest first; then new ones when following.

        With `pages`, a PreviousPage comes after the kept ones.
        """
        follower = LogFollower(query)

        def deliver(stream: OutputStream, data: bytes) -> None:
            follower.add(stream, data, self._clock.wall(), self._captures[stream].size)

        follow = query.follow and not query.until and not query.whole
        if follow:  # before reading what is kept, so that nothing falls in between
            self.follow(query, deliver)
        try:
            if query.last or query.after or query.pages or query.whole:
                async for item in self._kept(query):
                    yield item
            while follow:
                yield await follower.queue.get()
                if lost := follower.take_lost():
                    text = f"[chapiteau: {lost} lines not shown: this reader is too slow]"
                    yield LogLine(
                        time=self._clock.wall(), service="", process=0, stream="", text=text
                    )
        finally:
            self.unfollow(deliver)

    def _kept(self, query: LogQuery) -> AsyncIterator[LogLine | PreviousPage]:
        """The files are fixed before anything waits, since followers take what comes now."""
        from chapiteau.run.logs.archive_search import kept_lines

        archives, elsewhere = {}, set()
        for stream, capture in self._captures.items():
            if not _wanted(stream, query) or isinstance(capture, MemoryCapture):
                continue
            archives[stream] = capture.archive()
            log = self._line_logs.get(stream.service)
            # Of the raw output two files are kept; that of lines may reach further back.
            rotated = capture.history.rotations > 1 and not query.after
            if log is not None and log.rule.file != "none" and rotated:
                what = f"lines of {stream.service} that are older than its raw output"
                elsewhere.add(f"{log.path}: {what}")
        # What only some lines match is looked for far back.
        picky = query.grep or query.level or query.since or query.until or query.last > _QUICK
        far = query.whole or query.pages or query.before or (picky and not query.after)
        gate = self._gate if far else contextlib.nullcontext()
        return kept_lines(
            query, archives, clock=self._clock, gate=gate, elsewhere=sorted(elsewhere)
        )

    def reopen(self) -> None:
        """Open every file anew (after an outside logrotate)."""
        for capture in self._captures.values():
            capture.reopen()
        for log in self._line_logs.values():
            log.reopen()

    def close(self) -> None:
        """Let go of pipes and files."""
        for pipe in list(self._pipes):
            self._end(pipe)
        self._poller.close()
        for reader in self._readers:
            reader.close()
        for log in self._line_logs.values():
            log.close()
        for capture in self._captures.values():
            capture.settle(end=True)
            capture.close()


def _wanted(stream: OutputStream, query: LogQuery) -> bool:
    return (
        (not query.services or stream.service in query.services)
        and query.process in (0, stream.process)
        and query.stream in ("", stream.name)
    )
