"""The file of lines: what can't be written is told where it is missing."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.run.config.spec import Logs
from chapiteau.run.logs.line_log import LineLog

GAP = re.compile(rb"\[chapiteau: (\d+) bytes of lines were dropped here\]")


class Disk:
    """Takes so many bytes more, then it is full."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def write(self, fd: int, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = self._write(fd, data[: self.room])
        self.room -= done
        return done


@pytest.mark.parametrize("form", ["text", "json"])
def test_lines_that_a_full_disk_did_not_take_are_told_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    clock, told = ManualClock(), []
    rule = Logs(mode="line", format=form, max_size=1 << 20)  # type: ignore[arg-type]
    on_drop = lambda count, why: told.append((count, why))  # noqa: E731
    log = LineLog("web", tmp_path / "web.log", rule, clock, on_drop)
    disk = Disk(25)
    monkeypatch.setattr(os, "write", disk.write)
    for _ in range(4):
        log.write(b"0123456789\n" * 2)
        clock.advance(2.0)
    disk.room = 10  # not even enough for the note
    log.write(b"0123456789\n")
    clock.advance(2.0)
    disk.room = 1 << 20
    log.write(b"and on\n")
    log.close()
    lines = (tmp_path / "web.log").read_bytes().splitlines()
    assert lines[:3] == [b"0123456789", b"0123456789", b"012"]
    [gap] = [found for line in lines if (found := GAP.search(line))]
    assert int(gap[1]) == sum(count for count, _ in told) == 4 * 22 + 11 - 25
    assert lines[-1] == b"and on"
    assert GAP.search(lines[-2])
