"""What the worker does with clients that take too long; time is that of a clock of the test's."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.io.sd_notify import Notifier
from chapiteau.service.server import ServeOptions, Worker, listen
from chapiteau.service.server import serve as serve_module
from chapiteau.service.server.http1 import Limits
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


def app(environ: dict[str, Any], start: Any) -> list[bytes]:
    body = b"x" * int(environ["QUERY_STRING"] or 2)
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class Hall:
    """A worker in this process, with a clock that moves only when told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.listener = listen("127.0.0.1:0")
        self.options = ServeOptions(
            threads=1, keep_alive=75, read_timeout=20, write_timeout=30, max_connections=2,
            limits=Limits(line=100, head=300, headers=5, body=10),
        )  # fmt: skip
        self.address = self.listener.getsockname()
        self.worker = Worker(app, [self.listener], self.clock, self.options)
        self.wires: list[socket.socket] = []
        self.worker.start()

    def connect(self, *sent: bytes) -> socket.socket:
        """A connection on which something was sent, and has been read."""
        wire = socket.create_connection(self.address, timeout=60)
        self.wires.append(wire)
        for piece in sent:
            wire.sendall(piece)
        return wire

    def pass_time(self, seconds: float) -> None:
        """Let time go by, and the worker look at it."""
        self.clock.advance(seconds)
        self.worker._wake()

    def state(self) -> list[str]:
        found = list(self.worker._conns.values())
        return sorted("busy" if conn.busy else conn.waiting for conn in found)

    def close(self) -> None:
        for wire in self.wires:
            wire.close()
        self.worker.drain()
        wait_for(self._ended)

    def _ended(self) -> bool:
        self.pass_time(2)
        return self.worker.finished.is_set()


@pytest.fixture
def hall() -> Iterator[Hall]:
    made = Hall()
    yield made
    made.close()


def everything(wire: socket.socket) -> bytes:
    told = b""
    while piece := wire.recv(65536):
        told += piece
    return told


@pytest.mark.parametrize(
    ("sent", "waiting"),
    [(HEAD, "head"), (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", "body")],
)
def test_a_request_that_does_not_come_is_told_so_and_let_go(
    hall: Hall, sent: bytes, waiting: str
) -> None:
    wire = hall.connect(sent)
    wait_for(lambda: hall.state() == [waiting])
    hall.pass_time(19)
    other = hall.connect(HEAD + b"\r\n")  # the worker has had its turn
    assert other.recv(9) == b"HTTP/1.1 "
    assert waiting in hall.state()
    hall.pass_time(2)
    told = everything(wire)
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in told
    wire.close()
    wait_for(lambda: hall.state() == ["request"])


def test_a_large_body_may_take_its_time_but_not_for_ever(hall: Hall) -> None:
    conn = next(iter(_after(hall)))
    conn._total = 160 * 1024  # as much has come
    hall.pass_time(29)
    other = hall.connect(HEAD + b"\r\n")
    assert other.recv(9) == b"HTTP/1.1 "
    assert "body" in hall.state()
    hall.pass_time(2)
    wait_for(lambda: "body" not in hall.state())


def _after(hall: Hall) -> list[Any]:
    hall.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    wait_for(lambda: hall.state() == ["body"])
    return list(hall.worker._conns.values())


def test_a_refused_client_that_does_not_close_is_closed(hall: Hall) -> None:
    wire = hall.connect(b"BROKEN\r\n\r\n")
    assert b"400" in wire.recv(65536)
    wait_for(lambda: hall.state() == ["linger"])
    hall.pass_time(3)
    wait_for(lambda: hall.state() == [])


def test_an_idle_connection_is_closed_without_a_word(hall: Hall) -> None:
    wire = hall.connect(HEAD + b"\r\n")
    assert wire.recv(9) == b"HTTP/1.1 "
    wait_for(lambda: hall.state() == ["request"])
    hall.pass_time(76)
    assert b"408" not in everything(wire)


def test_who_takes_nothing_of_an_answer_is_closed_and_holds_no_thread(hall: Hall) -> None:
    hall.connect(b"GET /?20000000 HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: hall.state() == ["flush"])
    other = hall.connect(HEAD + b"\r\n")  # with the only thread
    assert other.recv(9) == b"HTTP/1.1 "
    hall.pass_time(31)
    wait_for(lambda: "flush" not in hall.state())


def served(hall: Hall, wire: socket.socket) -> None:
    """The worker leaves a newcomer to its siblings for a moment: let that go by.

    The client has its answer before the worker notes since when the connection is idle.
    """
    wire.settimeout(0.02)

    def answered() -> bool:
        hall.pass_time(0.002)
        return wire.recv(9) == b"HTTP/1.1 "

    wait_for(answered)
    wire.settimeout(60)
    wait_for(lambda: "busy" not in hall.state())


def test_beyond_the_most_connections_the_longest_idle_makes_room(hall: Hall) -> None:
    wires = []
    for number in range(6):
        wires.append(hall.connect(HEAD + b"\r\n"))
        served(hall, wires[-1])
        idle = ["request"] * min(number + 1, 2)
        wait_for(lambda idle=idle: hall.state() == idle)  # type: ignore[misc]
        if number > 1:
            assert everything(wires[-3]).endswith(b"xx")
    wires[-2].recv(65536)
    wires[-2].sendall(HEAD + b"\r\n")
    served(hall, wires[-2])


def test_who_is_idle_is_closed_and_who_has_asked_meanwhile_is_not(hall: Hall) -> None:
    first, second = (hall.connect(HEAD + b"\r\n") for _ in range(2))
    for wire in (first, second):
        served(hall, wire)
        hall.pass_time(1)
    wait_for(lambda: hall.state() == ["request"] * 2)
    first.recv(65536)
    first.sendall(HEAD + b"\r\n")  # first is no longer the longest
    served(hall, first)
    third = hall.connect(HEAD + b"\r\n")
    served(hall, third)
    assert everything(second).endswith(b"xx")


def test_a_head_that_is_half_there_makes_room_too(hall: Hall) -> None:
    slow = hall.connect(HEAD)
    wait_for(lambda: hall.state() == ["head"])
    hall.pass_time(1)
    for _ in range(2):
        served(hall, hall.connect(HEAD + b"\r\n"))
    assert everything(slow) == b""


def test_beyond_the_most_connections_at_work_the_next_waits_until_one_goes(hall: Hall) -> None:
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"
    first, second = (hall.connect(body) for _ in range(2))
    wait_for(lambda: hall.state() == ["body"] * 2)
    third = hall.connect(HEAD + b"\r\n")
    third.settimeout(0.05)
    hall.pass_time(0.002)
    hall.pass_time(0.002)
    with pytest.raises(TimeoutError):
        third.recv(1)
    first.close()
    served(hall, third)
    fourth = hall.connect(HEAD + b"\r\n")
    served(hall, fourth)
    second.sendall(b"cde")
    assert second.recv(9) == b"HTTP/1.1 "


def test_who_waits_comes_in_when_work_is_done(hall: Hall) -> None:
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"
    first, _second = (hall.connect(body) for _ in range(2))
    wait_for(lambda: hall.state() == ["body"] * 2)
    third = hall.connect(HEAD + b"\r\n")

    def waits() -> bool:
        hall.pass_time(0.002)
        return hall.worker._all_busy

    wait_for(waits)
    first.sendall(b"cde")
    served(hall, third)
    assert everything(first).endswith(b"xx")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 120 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        (HEAD + b"X: " + b"a" * 400 + b"\r\n\r\n", b"431"),
        (HEAD + b"A: b\r\n" * 6 + b"\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", b"413"),
    ],
)
def test_limits_are_those_that_were_given(hall: Hall, sent: bytes, status: bytes) -> None:
    assert hall.connect(sent).recv(65536).startswith(b"HTTP/1.1 " + status)


def test_a_worker_that_is_stuck_says_nothing_to_the_watchdog(tmp_path: Path) -> None:
    """All threads inside requests that never end: the supervisor shall start a new process."""
    said: list[tuple[str, ...]] = []

    class Words(Notifier):
        def send(self, *states: str) -> bool:
            said.append(states)
            return True

    class Stuck:
        """A worker whose loop has not turned since it began."""

        def __init__(self, clock: ManualClock) -> None:
            self.clock, self.last_turn, self.asleep = clock, clock.now(), False
            self.finished, self.alarm = threading.Event(), self

        def acquire(self, timeout: float) -> bool:
            self.clock.advance(1.0)
            if self.clock.now() >= 20:
                self.finished.set()
            return False

        def relieve(self) -> bool:
            return True

    environ = {"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "2000000"}
    clock = ManualClock()
    watch: Callable[..., int] = serve_module._watch
    signals: list[int] = []
    assert watch(Stuck(clock), clock, ServeOptions(), Words(environ), signals) == 0
    assert said.count(("WATCHDOG=1",)) == 5  # as long as five seconds without a turn are no sign
