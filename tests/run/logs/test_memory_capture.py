"""Output that no file keeps is still heard, and its last lines are there when a process dies."""

from __future__ import annotations

import os
from pathlib import Path

from chapiteau.io.clock import SystemClock
from chapiteau.run.config.spec import Logs
from chapiteau.run.logs.collector import LogCollector
from chapiteau.run.logs.messages import LogQuery, OutputStream
from tests.support import wait_for_async

NONE = Logs(file="none", max_size=1 << 20)


async def test_who_follows_hears_it_and_nothing_is_written(tmp_path: Path) -> None:
    output, stream = LogCollector(tmp_path, SystemClock()), OutputStream("web", 1, "stdout")
    heard: list[bytes] = []
    output.follow(LogQuery(services=("web",)), lambda _, data: heard.append(data))
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    output.attach("web.1", stream, reader, NONE)
    os.write(writer, b"hello\nready\n")
    await wait_for_async(lambda: b"".join(heard) == b"hello\nready\n")
    os.close(writer)
    await wait_for_async(lambda: not list(output.held()))
    output.close()
    assert list(tmp_path.iterdir()) == []


async def test_its_last_lines_are_those_of_this_life(tmp_path: Path) -> None:
    output, stream = LogCollector(tmp_path, SystemClock()), OutputStream("web", 1, "stderr")
    writers = []
    for life in ("one", "two"):
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        writers.append(writer)
        output.attach(f"web.1/{life}", stream, reader, NONE)
        for number in range(3000):  # more than is remembered
            os.write(writer, b"%s %d\n" % (life.encode(), number))
        output.drain(f"web.1/{life}")
    assert output.tail("web.1/two", 2) == ["two 2998", "two 2999"]
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    output.attach("web.1/three", stream, reader, NONE)
    assert output.tail("web.1/three") == [], "it has said nothing yet"
    os.write(writer, b"three\n")
    output.drain("web.1/three")
    assert output.tail("web.1/three") == ["three"]
    output.close()
    for fd in (*writers, writer):
        os.close(fd)
