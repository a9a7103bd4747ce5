"""A rate cap holds no writer back, and says to the byte what it dropped."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.run.config.spec import Logs
from chapiteau.run.logs.rate_limit import RateLimitedCapture
from chapiteau.run.logs.rotation import Rotation

LINES = [b"line %04d\n" % number for number in range(5000)]
GAP = re.compile(rb"\[chapiteau: (\d+) bytes of output were dropped here\]\n")


class Stream:
    """A pipe, and its capture with a cap of 1,000 bytes a second."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.told: list[tuple[int, str]] = []
        self.capture = RateLimitedCapture(
            folder / "1.log", Rotation(Logs(max_size=1 << 20)), self.clock, 1000, self._drop
        )
        self.followed = b""
        self.capture.follow(self, self._follow)

    @property
    def dropped(self) -> int:
        return sum(count for count, _ in self.told)

    def _drop(self, count: int, why: str) -> None:
        self.told.append((count, why))

    def _follow(self, data: bytes) -> None:
        self.followed += data

    def say(self, data: bytes) -> None:
        assert os.write(self.writer, data) == len(data)
        while self.capture.move(self.reader) > 0:
            pass

    @property
    def kept(self) -> bytes:
        return self.capture.path.read_bytes()


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    made = Stream(tmp_path)
    yield made
    made.capture.close()
    os.close(made.reader)
    os.close(made.writer)


def test_what_is_above_the_cap_is_taken_at_once_counted_and_marked(stream: Stream) -> None:
    for begin in range(0, 5000, 500):  # 5 kB each half second: ten times what may be kept
        stream.say(b"".join(LINES[begin : begin + 500]))
        stream.clock.advance(0.5)
    kept = stream.kept
    whole = set(LINES)
    assert all(line in whole for line in GAP.sub(b"", kept).splitlines(keepends=True))
    gaps = [int(found) for found in GAP.findall(kept)]
    assert len(gaps) == 9, "one for each batch but the first"
    assert len(GAP.sub(b"", kept)) + stream.dropped == 50_000
    assert 5000 <= len(GAP.sub(b"", kept)) <= 6000
    assert stream.followed == kept, "who follows sees what the file holds"
    assert sum(count for count, _ in stream.told) == stream.dropped
    assert {why for _, why in stream.told} == {"more than the rate cap"}


def test_a_gap_at_the_end_is_told_though_nothing_follows_it(stream: Stream) -> None:
    stream.say(b"".join(LINES[:500]))
    assert not GAP.findall(stream.kept)
    assert not stream.capture.settle(), "more may be dropped at any moment: one gap, not many"
    stream.clock.advance(1.0)
    assert stream.capture.settle()
    [gap] = GAP.findall(stream.kept)
    assert int(gap) == stream.dropped > 0
    assert stream.followed == stream.kept
    stream.say(b"".join(LINES[500:1000]))
    assert stream.capture.settle(end=True), "nothing will follow"
    assert sum(map(int, GAP.findall(stream.kept))) == stream.dropped


def test_below_the_cap_every_byte_is_kept(stream: Stream) -> None:
    for line in LINES[:400]:
        stream.say(line)
        stream.clock.advance(0.01)
    assert stream.kept == b"".join(LINES[:400])
    os.close(stream.writer)
    assert stream.capture.move(stream.reader) == -1
    stream.writer = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def test_an_empty_pipe_is_no_end(stream: Stream) -> None:
    assert stream.capture.move(stream.reader) == 0
    stream.say(b"".join(LINES[:500]))
    assert stream.capture.move(stream.reader) == 0


def test_a_disk_that_is_full_meanwhile_is_told_to_the_byte(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    stream.say(b"".join(LINES[:500]))
    assert stream.dropped == 5000
    monkeypatch.undo()
    stream.clock.advance(2)
    stream.say(LINES[500])
    assert stream.kept == b"[chapiteau: 5000 bytes of output were dropped here]\n" + LINES[500]
