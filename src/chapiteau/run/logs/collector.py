"""All pipes of a supervisor: which go into which file, and who follows them."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chapiteau.core.clock import Clock
from chapiteau.run.config.spec import Logs
from chapiteau.run.logs.archive import LogArchive
from chapiteau.run.logs.capture import Capture, pipe_size
from chapiteau.run.logs.follower import MAX_PENDING, LogFollower, matches_query
from chapiteau.run.logs.messages import LogLine, LogQuery, OutputStream, PreviousPage
from chapiteau.run.logs.pipe_poller import PipePoller
from chapiteau.run.logs.recent_lines import KeptLine, last_lines, lines_after
from chapiteau.run.logs.rotation import Rotation

if TYPE_CHECKING:
    from chapiteau.run.logs.line_log import LineLog, RawLogReader

__all__ = ["LogCollector", "OutputStream"]

_SPOOL: Final = 8 << 20  # bytes of raw output kept in line mode, twice
_SETTLE: Final = 1.0  # seconds between two looks whether a gap can be told
_QUICK: Final = 1_000  # lines: so many stand in the newest file and the one before it
_SEARCHES: Final = 2  # at once: they take the processor from what moves the output
STREAMS: Final = {"out": "stdout", "err": "stderr"}


class LogCollector:
    """Owns the pipes (`attach`), the files below `folder`, and the followers."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._captures: dict[OutputStream, Capture] = {}
        self._pipes: dict[int, tuple[str, Capture]] = {}
        self._open: dict[str, list[int]] = {}  # the same by process
        self._rhythm = PipePoller(self._take, self._end)
        self._followers: dict[Callable[[OutputStream, bytes], None], LogQuery] = {}
        self._linelogs: dict[str, LineLog] = {}
        self._readers: list[RawLogReader] = []
        self._gaps: set[OutputStream] = set()  # streams that lack something which no file tells yet
        self._gate = asyncio.Semaphore(_SEARCHES)
        self._begun: dict[str, dict[OutputStream, int]] = {}  # where in its files a process began
        self.on_drop: Callable[[OutputStream, int, str], None] = lambda stream, count, why: None

    def attach(self, key: str, stream: OutputStream, pipe: int, rule: Logs) -> None:
        """Take over a pipe of process `key`."""
        capture = self._captures.get(stream) or self._new(stream, rule)
        os.set_blocking(pipe, False)
        self._begun.setdefault(key, {})[stream] = capture.size
        self._pipes[pipe] = (key, capture)
        self._open.setdefault(key, []).append(pipe)
        self._rhythm.add(pipe)

    def _new(self, stream: OutputStream, given: Logs) -> Capture:
        rule = given
        path = self._folder / f"{stream.service}/{stream.process}.{stream.name}.log"
        if rule.mode == "line":  # the raw file is then only what the lines are made from
            rule = replace(rule, max_size=_SPOOL, max_age=0.0, keep=1, compress="none")
        made = self._capture(path, rule)
        made.on_drop = lambda count, why: self._dropped(stream, count, why)
        if given.mode == "line":
            self._read_lines(stream, made, given)
        for follower, query in self._followers.items():
            if _wanted(stream, query):
                made.followers.append(_bound(follower, stream))
        self._captures[stream] = made
        return made

    def _capture(self, path: Path, rule: Logs) -> Capture:
        if rule.file == "none" and rule.mode != "line":
            from chapiteau.run.logs.capture import MemoryCapture

            return MemoryCapture(self._clock)
        if not rule.rate:
            return Capture(path, Rotation(rule), self._clock)
        from chapiteau.run.logs.rate_limit import RateLimitedCapture

        return RateLimitedCapture(path, Rotation(rule), self._clock, rule.rate)

    def _read_lines(self, stream: OutputStream, capture: Capture, rule: Logs) -> None:
        from chapiteau.run.logs.line_log import LineLog, RawLogReader

        log = self._linelogs.get(stream.service)
        if log is None:
            named = rule.file if rule.file not in ("", "none") else f"{stream.service}.log"
            log = LineLog(stream.service, self._folder / named, rule, self._clock)
            log.on_drop = lambda count, why: self.on_drop(stream, count, why)
            self._linelogs[stream.service] = log
        capture.path.parent.mkdir(parents=True, exist_ok=True)
        facts = (stream.service, stream.process, stream.name)
        reader = RawLogReader(log, facts, capture.path, self._clock)
        self._readers.append(reader)
        capture.followers.append(reader.feed)

    def _dropped(self, stream: OutputStream, count: int, why: str) -> None:
        if stream not in self._gaps:
            self._gaps.add(stream)
            asyncio.get_running_loop().call_later(_SETTLE, self._settle, stream)
        self.on_drop(stream, count, why)

    def _settle(self, stream: OutputStream) -> None:
        """A gap at the end of a stream is told too, not only when output follows it."""
        if self._captures[stream].settle():
            self._gaps.discard(stream)
        else:
            asyncio.get_running_loop().call_later(_SETTLE, self._settle, stream)

    def _take(self, pipe: int) -> int:
        return self._pipes[pipe][1].move(pipe)

    def _end(self, pipe: int) -> None:
        if (entry := self._pipes.pop(pipe, None)) is not None:
            self._rhythm.forget(pipe)
            os.close(pipe)
            of_process = self._open[entry[0]]
            of_process.remove(pipe)
            if not of_process:
                del self._open[entry[0]]

    def held(self) -> Iterator[tuple[str, str, int]]:
        """(process key, "out" or "err", pipe) of every pipe that is open."""
        for pipe, (key, capture) in self._pipes.items():
            stream = next(s for s, one in self._captures.items() if one is capture)
            yield key, "out" if stream.name == "stdout" else "err", pipe

    def drain(self, key: str) -> None:
        """A process has ended: take what its pipes still hold, without waiting for more."""
        for pipe in tuple(self._open.get(key, ())):
            capture = self._pipes[pipe][1]
            with contextlib.suppress(OSError):
                while pipe_size(pipe) and capture.move(pipe) >= 0:
                    pass

    def tail(self, key: str, lines: int = 20) -> list[str]:
        """The last lines of one process: of its stderr, and when that is silent of stdout."""
        begun = self._begun.get(key, {})
        for stream in sorted(begun, key=lambda stream: stream.name):
            capture = self._captures[stream]
            if capture.size and (found := capture.tail(lines, begun[stream])):
                return found
        return []

    def forget(self, key: str) -> None:
        """Nobody will ask for the last lines of this process again."""
        self._begun.pop(key, None)

    def follow(self, query: LogQuery, deliver: Callable[[OutputStream, bytes], None]) -> None:
        """Hand new output to `deliver` until `unfollow`."""
        self._followers[deliver] = query
        for stream, capture in self._captures.items():
            if _wanted(stream, query):
                capture.followers.append(_bound(deliver, stream))

    def unfollow(self, deliver: Callable[[OutputStream, bytes], None]) -> None:
        """Stop handing output."""
        self._followers.pop(deliver, None)
        for capture in self._captures.values():
            capture.followers = [
                f for f in capture.followers if getattr(f, "deliver", None) is not deliver
            ]

    async def lines(self, query: LogQuery) -> AsyncIterator[LogLine | PreviousPage]:
        """Kept lines that match, oldest first; then new ones when following.

        With `pages`, an Older comes after the kept ones.
        """
        pattern = re.compile(query.grep) if query.grep else None
        following = LogFollower(query, pattern)

        def deliver(stream: OutputStream, data: bytes) -> None:
            following.heard(stream, data, self._clock.wall(), self._captures[stream].size)

        follow = query.follow and not query.until and not query.whole
        if follow:  # before reading the past, so that nothing falls in between
            self.follow(query, deliver)
        try:
            async for item in self._past(query, pattern):
                yield item
            while follow:
                yield await following.queue.get()
                if lost := following.told():
                    text = f"[chapiteau: {lost} lines not shown: this reader is too slow]"
                    yield LogLine(
                        time=self._clock.wall(), service="", process=0, stream="", text=text
                    )
        finally:
            self.unfollow(deliver)

    def _beyond(self, query: LogQuery) -> set[str]:
        """Files of lines that reach further back than the raw output that is kept beside them."""
        return {
            f"{log.path}: lines of {stream.service} that are older than its raw output"
            for stream, capture in self._captures.items()
            if _wanted(stream, query)
            and (log := self._linelogs.get(stream.service)) is not None
            and log.rule.file != "none"
            and capture.past.turned > 1  # of the raw output two files are kept
        }

    async def _past(
        self, query: LogQuery, pattern: re.Pattern[str] | None
    ) -> AsyncIterator[LogLine | PreviousPage]:
        """What is kept: fixed before anything waits, since followers take what comes now."""
        # What only some lines match is looked for far back; else the last ones will do.
        picky = bool(pattern or query.level or query.since or query.until)
        far = picky or query.last > _QUICK
        if query.whole or query.before or query.pages or (far and not query.after):
            from chapiteau.run.logs.archive_query import ArchiveQuery

            reading = ArchiveQuery(query, pattern, self._clock, self._gate)
            shelves = {
                _source(stream): LogArchive(capture.path, capture.past, capture.size, capture.marks)
                for stream, capture in self._captures.items()
                if _wanted(stream, query) and capture.path != Path(os.devnull)
            }
            async for item in reading.of(shelves, sorted(self._beyond(query))):
                yield item
            return
        kept = [
            _line(stream, line)
            for stream, capture in self._captures.items()
            if _wanted(stream, query)
            for line in self._newest(stream, capture, query)
            if matches_query(query, pattern, line.time, line.text)
        ]
        kept.sort(key=lambda line: line.time)
        if not query.after:
            kept = kept[-query.last :] if query.last else []
        for line in kept:
            yield line

    def _newest(
        self, stream: OutputStream, capture: Capture, query: LogQuery
    ) -> Iterator[KeptLine]:
        been = query.after.get(_source(stream))
        if been is None:
            past = capture.past
            return last_lines(capture.path, capture.marks, query.last, past.marks(past.turned - 1))
        return lines_after(capture.path, capture.marks, MAX_PENDING, been)

    def reopen(self) -> None:
        """Open every file anew (after an outside logrotate)."""
        for capture in self._captures.values():
            capture.reopen()
        for log in self._linelogs.values():
            log.reopen()

    def close(self) -> None:
        """Let go of pipes and files."""
        for pipe in list(self._pipes):
            self._end(pipe)
        self._rhythm.close()
        for reader in self._readers:
            reader.close()
        for log in self._linelogs.values():
            log.close()
        for capture in self._captures.values():
            capture.settle(end=True)
            capture.close()


def _source(stream: OutputStream) -> str:
    return f"{stream.service}/{stream.process}/{stream.name}"


def _line(stream: OutputStream, kept: KeptLine) -> LogLine:
    return LogLine(
        time=kept.time,
        service=stream.service,
        process=stream.process,
        stream=stream.name,
        text=kept.text,
        at=kept.end,
    )


def _wanted(stream: OutputStream, query: LogQuery) -> bool:
    return (
        (not query.services or stream.service in query.services)
        and query.process in (0, stream.process)
        and query.stream in ("", stream.name)
    )


def _bound(
    deliver: Callable[[OutputStream, bytes], None], stream: OutputStream
) -> Callable[[bytes], None]:
    def hand(data: bytes) -> None:
        deliver(stream, data)

    hand.deliver = deliver  # type: ignore[attr-defined]  # how `unfollow` finds it again
    return hand
