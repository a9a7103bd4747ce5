"""Pipes are looked at when something comes; busy ones wait for a beat, and miss nothing."""

import asyncio
import fcntl
import os

import pytest

from chapiteau.run.engine.output.rhythm import Rhythm

_F_SETPIPE_SZ = 1031


class Looks:
    """Takes what is there and counts; `gone` hears of ends."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.ends: list[int] = []
        self.rhythm = Rhythm(self.take, self.ends.append)

    def take(self, pipe: int) -> int:
        try:
            data = os.read(pipe, 1 << 20)
        except BlockingIOError:
            return 0
        self.taken.append(len(data))
        return len(data) or -1

    async def until(self, size: int) -> None:
        async with asyncio.timeout(10):
            while sum(self.taken) < size:
                await asyncio.sleep(0)


@pytest.fixture
def pipe() -> tuple[int, int]:
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.fcntl(reader, _F_SETPIPE_SZ, 1 << 20)
    except PermissionError:
        pytest.skip("this user has no more pages for pipes")
    return reader, writer


async def test_a_busy_pipe_waits_for_its_beat_and_misses_nothing(pipe: tuple[int, int]) -> None:
    looks, (reader, writer) = Looks(), pipe
    looks.rhythm.add(reader)
    os.write(writer, bytes(100))
    await looks.until(100)
    os.write(writer, bytes(40_000))
    await looks.until(40_100)
    for _ in range(50):  # from now on it is busy: many writes, few looks
        os.write(writer, bytes(4000))
        await asyncio.sleep(0)
    await looks.until(240_100)
    assert len(looks.taken) < 25
    os.write(writer, b"x")
    os.close(writer)
    async with asyncio.timeout(10):
        while not looks.ends:
            await asyncio.sleep(0)
    assert sum(looks.taken) == 240_101
    assert looks.ends == [reader]
    os.close(reader)


async def test_a_full_pipe_is_looked_at_again_at_once(pipe: tuple[int, int]) -> None:
    looks, (reader, writer) = Looks(), pipe
    looks.rhythm.add(reader)
    for _ in range(5):
        before = sum(looks.taken)
        os.write(writer, bytes(1 << 20))
        await looks.until(before + (1 << 20))
    looks.rhythm.forget(reader)
    os.write(writer, b"x")
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert sum(looks.taken) == 5 << 20  # forgotten while it was busy: nobody looks any more
    os.close(reader)
    os.close(writer)


async def test_a_small_pipe_never_waits() -> None:
    looks = Looks()
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.fcntl(reader, _F_SETPIPE_SZ, 65536)
    looks.rhythm.add(reader)
    for number in range(1, 6):
        os.write(writer, bytes(60_000))
        await looks.until(number * 60_000)
        assert len(looks.taken) == number
    looks.rhythm.forget(reader)
    os.close(reader)
    os.close(writer)
