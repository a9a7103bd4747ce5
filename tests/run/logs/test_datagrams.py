"""Lines for syslog and journald: none waits for them, none is lost unsaid."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest

from chapiteau.io.clock import SystemClock
from chapiteau.run.logs import datagrams
from chapiteau.run.logs.datagrams import DatagramSender
from tests.support import wait_for_async

if TYPE_CHECKING:
    from pathlib import Path


class Receiver:
    """Takes what comes when it is asked to."""

    def __init__(self, path: Path) -> None:
        self.path, self.got = path, [b""]
        self.got.clear()
        self.open()

    def open(self) -> None:
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)

    def take(self) -> None:
        while True:
            try:
                data, sent, *_ = self.socket.recvmsg(1 << 18, 1024)
            except BlockingIOError:
                return
            if sent:  # journald's way for a message that is too long
                [fd] = array.array("i", sent[0][2])
                data = os.pread(fd, 1 << 20, 0)
                os.close(fd)
            self.got.append(data)


class Lost(list[tuple[int, str]]):
    def __call__(self, count: int, why: str) -> None:
        self.append((count, why))


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return Receiver(tmp_path / "socket")


async def taken(receiver: Receiver, count: int) -> None:
    def all_here() -> bool:
        receiver.take()
        return len(receiver.got) >= count

    await wait_for_async(all_here)


def test_many_more_than_it_takes_at_once_all_come_in_order(receiver: Receiver) -> None:
    async def send() -> None:
        lost = Lost()
        out = DatagramSender(str(receiver.path), SystemClock(), lost, journal=False)
        wanted = [b"%d" % n for n in range(2000)]
        for message in wanted:
            out.send(message)  # nobody reads meanwhile
        await taken(receiver, 2000)
        assert receiver.got == wanted
        out.close()
        assert lost == []

    asyncio.run(send())
    receiver.socket.close()


def test_what_comes_while_nobody_listens_is_sent_later(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagrams, "_RETRY", 0.01)

    async def send() -> None:
        lost = Lost()
        out = DatagramSender(str(receiver.path), SystemClock(), lost, journal=False)
        out.send(b"1")
        await taken(receiver, 1)
        receiver.socket.close()
        for message in (b"2", b"3"):
            out.send(message)
            tried = out._timer
            await wait_for_async(lambda tried=tried: out._timer is not tried)  # in vain again
        receiver.open()
        await taken(receiver, 3)
        assert receiver.got == [b"1", b"2", b"3"]
        out.close()
        assert lost == []

    asyncio.run(send())
    receiver.socket.close()


def test_what_has_no_room_and_what_is_left_at_the_end_is_counted(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagrams, "BUFFER_SIZE", 1000)
    monkeypatch.setattr(datagrams, "_LAST", 0.01)

    async def send() -> None:
        lost = Lost()
        out = DatagramSender(str(receiver.path), SystemClock(), lost, journal=False)
        for _ in range(100):
            out.send(b"x" * 100)
        out.close()
        receiver.take()
        assert sum(count for count, _ in lost) == 100 * (100 - len(receiver.got))
        assert {why.removeprefix(str(receiver.path)) for _, why in lost} == {
            " does not take it",
            " did not take it before the end",
        }

    asyncio.run(send())
    receiver.socket.close()


def test_what_is_too_long_goes_to_journald_as_a_file_and_to_syslog_in_part(
    receiver: Receiver,
) -> None:
    long = b"MESSAGE=" + b"x" * 300_000 + b"\n"

    async def send(lost: Lost, *, journal: bool) -> None:
        out = DatagramSender(str(receiver.path), SystemClock(), lost, journal=journal)
        out.send(long)
        await taken(receiver, 1)
        out.close()

    lost = Lost()
    asyncio.run(send(lost, journal=True))
    assert (receiver.got, lost) == ([long], [])
    receiver.got.clear()
    asyncio.run(send(lost, journal=False))
    assert receiver.got == [long[:60_000]]
    assert lost == [(len(long) - 60_000, f"too long for {receiver.path}")]
    receiver.socket.close()


def test_a_name_is_looked_up_aside_and_one_that_is_unknown_is_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lookup may take seconds: nothing waits for it but the lines that go there."""
    monkeypatch.setattr(datagrams, "_RETRY", 0.01)
    monkeypatch.setattr(datagrams, "_FAILING_FOR", 0.0)
    lost = Lost()
    asked: list[str] = []

    async def go() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
            listening.bind(("127.0.0.1", 0))
            listening.setblocking(False)
            address = listening.getsockname()

            async def getaddrinfo(host: str, _port: int, **_rest: object) -> list[object]:
                asked.append(host)
                if len(asked) < 3:
                    raise socket.gaierror(-2, "Name or service not known")
                return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", address)]

            loop = asyncio.get_running_loop()
            monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
            out = DatagramSender(
                f"logs.example.org:{address[1]}", SystemClock(), lost, journal=False
            )
            out.send(b"one")
            out.send(b"two")
            async with asyncio.timeout(60):
                assert await loop.sock_recv(listening, 99) == b"one"
                assert await loop.sock_recv(listening, 99) == b"two"
            out.close()

    asyncio.run(go())
    assert asked == ["logs.example.org"] * 3
    [(count, why)] = lost
    assert count == 0
    assert "takes nothing: Name or service not known; what comes waits" in why
