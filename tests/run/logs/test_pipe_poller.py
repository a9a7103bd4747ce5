"""Pipes are looked at when something comes; busy ones wait for a beat, and miss nothing."""

import asyncio
import fcntl
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.run.logs import pipe_poller as module
from chapiteau.run.logs.pipe_poller import PipePoller, next_pause
from tests.support import wait_for_async

_F_SETPIPE_SZ, _F_GETPIPE_SZ = 1031, 1032


class Looks:
    """Takes what is there and counts; `gone` hears of ends."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.ends: list[int] = []
        self.rhythm = PipePoller(self.take, self.ends.append)

    def take(self, pipe: int) -> int:
        try:
            data = os.read(pipe, 1 << 20)
        except BlockingIOError:
            return 0
        self.taken.append(len(data))
        return len(data) or -1

    async def until(self, size: int) -> None:
        await wait_for_async(lambda: sum(self.taken) >= size)


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
    await wait_for_async(lambda: looks.ends)
    assert sum(looks.taken) == 240_101
    assert looks.ends == [reader]
    os.close(reader)


async def test_a_writer_of_single_lines_is_busy_too(pipe: tuple[int, int]) -> None:
    looks, (reader, writer) = Looks(), pipe
    looks.rhythm.add(reader)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(3000):
        os.write(writer, b"a line\n")
        await asyncio.sleep(0)
    took = loop.time() - begun
    await looks.until(21_000)
    assert len(looks.taken) < 20 + took / 0.0009, "about one look in a millisecond, not one a line"
    looks.rhythm.forget(reader)
    os.close(reader)
    os.close(writer)


async def test_a_full_pipe_is_looked_at_again_at_once(pipe: tuple[int, int]) -> None:
    looks, (reader, writer) = Looks(), pipe
    looks.rhythm.add(reader)
    for _ in range(5):
        before = sum(looks.taken)
        os.write(writer, bytes(1 << 20))
        await looks.until(before + (1 << 20))
    looks.rhythm.forget(reader)
    os.write(writer, b"x")
    another = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    looks.rhythm.add(another[0])
    for size in (40_000, 4000):  # the second one is read at the next beat
        before = sum(looks.taken)
        os.write(another[1], bytes(size))
        await looks.until(before + size)
    # Forgotten while it was busy: nobody looks any more.
    assert sum(looks.taken) == (5 << 20) + 44_000
    looks.rhythm.forget(another[0])
    for end in (reader, writer, *another):
        os.close(end)


async def test_a_defect_in_one_look_does_not_stop_the_beat(pipe: tuple[int, int]) -> None:
    looks, (reader, writer), told = Looks(), pipe, []
    asyncio.get_running_loop().set_exception_handler(lambda _, facts: told.append(facts))
    looks.rhythm.add(reader)
    os.write(writer, bytes(40_000))
    await looks.until(40_000)

    def fails(number: int) -> int:
        looks.rhythm._take = looks.take
        raise ZeroDivisionError(number)

    looks.rhythm._take = fails
    os.write(writer, bytes(4000))
    await looks.until(44_000)
    assert len(told) == 1
    looks.rhythm.forget(reader)
    os.close(reader)
    os.close(writer)


async def test_a_pipe_that_fills_quickly_grows() -> None:
    looks = Looks()
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.fcntl(reader, _F_SETPIPE_SZ, 65536)
    looks.rhythm.add(reader)
    os.write(writer, b"a line\n")
    await looks.until(7)
    assert fcntl.fcntl(reader, _F_GETPIPE_SZ) == 65536, "a line is no reason"
    os.write(writer, bytes(60_000))
    await looks.until(60_007)
    if fcntl.fcntl(reader, _F_GETPIPE_SZ) == 65536:
        pytest.skip("this user has no more pages for pipes")
    assert fcntl.fcntl(reader, _F_GETPIPE_SZ) == 1 << 20
    looks.rhythm.forget(reader)
    os.close(reader)
    os.close(writer)


async def test_a_pipe_that_may_not_grow_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the kernel says to a user who has no more pages for pipes.
    monkeypatch.setattr(module, "_pipe_capacity", lambda pipe, call, size=0: 0 if size else 65536)
    looks = Looks()
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    looks.rhythm.add(reader)
    for number in range(1, 6):
        os.write(writer, bytes(60_000))
        await looks.until(number * 60_000)
        assert len(looks.taken) == number
    looks.rhythm.forget(reader)
    os.close(reader)
    os.close(writer)


@given(st.floats(0, 1), st.floats(0.001, 0.004))
def test_a_pause_stays_within_its_bounds_and_follows_the_flow(full: float, pause: float) -> None:
    then = next_pause(pause, full)
    assert 0.001 <= then <= 0.004
    assert then <= pause or full < 0.25
    assert then >= pause or full > 0.25


def test_a_steady_flow_finds_the_pause_that_leaves_its_pipe_a_quarter_full() -> None:
    pause = 0.001
    for _ in range(10):
        pause = next_pause(pause, fullest=pause * 100)  # a tenth of the pipe per millisecond
    assert pause == pytest.approx(0.0025)


async def test_what_is_forgotten_twice_or_has_ended_is_no_matter() -> None:
    looks = Looks()
    pipes = [os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) for _ in range(70)]  # more than one turn takes
    for reader, writer in pipes:
        looks.rhythm.add(reader)
        os.write(writer, b"x")
    await looks.until(70)
    for _, writer in pipes:
        os.close(writer)
    await wait_for_async(lambda: len(looks.ends) >= 70)
    assert sorted(looks.ends) == sorted(reader for reader, _ in pipes)
    for reader, _ in pipes:
        looks.rhythm.forget(reader)
        os.close(reader)
    looks.rhythm.close()
