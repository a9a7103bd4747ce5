"""Connections are counted as they come, though others accept them at once."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.run.config.spec import Socket
from chapiteau.run.system.accept_counter import AcceptCounter
from chapiteau.run.system.sockets import accept_queue_length, bind_socket, connections_by_path
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def served(bound: socket.socket) -> Iterator[None]:
    """Somebody accepts, and hangs up at once."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                bound.accept()[0].close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    bound.shutdown(socket.SHUT_RDWR)
    thread.join(60)


def call(bound: socket.socket, times: int) -> None:
    for _ in range(times):
        with socket.socket(bound.family) as peer:
            peer.connect(bound.getsockname())
            peer.recv(1)


@pytest.fixture
def knocks() -> Iterator[AcceptCounter]:
    made = AcceptCounter(ManualClock())
    yield made
    made.close()


@pytest.mark.parametrize("wanted", [Socket(blocking=True), Socket(path="x.sock", blocking=True)])
def test_each_arrival_counts_however_fast_it_was_accepted(
    knocks: AcceptCounter, wanted: Socket, tmp_path: Path
) -> None:
    with (
        bind_socket("web", wanted, tmp_path) as bound,
        bind_socket("two", Socket(), tmp_path) as other,
    ):
        doors = {"web": [bound], "two": [other]}
        with served(bound):
            assert knocks.look(doors) == {}, "nothing is known yet"
            call(bound, 20)
            seen = {"web": 0.0, "two": 0.0}

            def counted() -> bool:
                for name, more in knocks.look(doors).items():
                    seen[name] += more * 0.001  # no time passes on this clock
                return seen["web"] >= 20

            wait_for(counted)
            assert {name: round(count) for name, count in seen.items()} == {"web": 20, "two": 0}


def test_other_sockets_begin_a_new_count_and_nobody_is_told_after_the_end(
    knocks: AcceptCounter, tmp_path: Path
) -> None:
    before = {thread.name for thread in threading.enumerate()}
    with (
        bind_socket("web", Socket(), tmp_path) as bound,
        bind_socket("two", Socket(), tmp_path) as other,
    ):
        knocks.look({"web": [bound]})
        assert knocks.look({"web": [bound], "two": [other]}) == {}
        assert knocks.look({"web": [bound], "two": [other]}) == {"web": 0, "two": 0}
        knocks.close()
        call_without_answer(bound)
    assert signal.sigpending() == set()
    assert {thread.name for thread in threading.enumerate()} == before


def call_without_answer(bound: socket.socket) -> None:
    with socket.socket(bound.family) as peer:
        peer.connect(bound.getsockname())


def test_datagrams_are_not_counted(knocks: AcceptCounter, tmp_path: Path) -> None:
    with bind_socket("udp", Socket(type="datagram"), tmp_path) as bound:
        assert knocks.look({"udp": [bound]}) == {}
        assert knocks.look({"udp": [bound]}) == {}


@pytest.mark.parametrize("wanted", [Socket(), Socket(path="x.sock")])
def test_what_waits_is_seen_at_sockets_of_both_kinds(wanted: Socket, tmp_path: Path) -> None:
    with bind_socket("web", wanted, tmp_path) as bound, contextlib.ExitStack() as peers:
        assert accept_queue_length(bound) == 0
        for _ in range(3):
            peers.enter_context(socket.socket(bound.family)).connect(bound.getsockname())
        assert accept_queue_length(bound) == 3
        wait_for(lambda: peers.enter_context(bound.accept()[0]))
        assert accept_queue_length(bound) == 2
        if wanted.path:
            assert connections_by_path()[bound.getsockname()] == 1
