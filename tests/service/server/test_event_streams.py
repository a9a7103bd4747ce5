"""Event streams hold threads, but never the last one: other requests go on."""

from __future__ import annotations

import contextlib
import logging
from queue import Queue
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from pyramid.config import Configurator

from chapiteau.core.clock import ManualClock
from chapiteau.io.clock import SystemClock
from chapiteau.service import EventStream, Service
from chapiteau.service.pipeline.event_streams import EventStreams, StreamsBusyError
from chapiteau.service.server import ServeOptions, Worker, listen
from tests.service.server.conftest import Wire
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stage:
    """A worker of four threads in this process, with streams that a test feeds."""

    def __init__(self) -> None:
        self.queues: list[Queue[Any]] = []
        self.declared, self.plain = Service("events", "/events"), Service("untold", "/untold")
        self.declared.add("GET", self.events)
        self.plain.add("GET", self.untold)
        config = Configurator()
        config.include("chapiteau.service")
        config.add_metrics()
        config.add_service(self.declared)
        config.add_service(self.plain)
        listener = listen("127.0.0.1:0")
        self.port = listener.getsockname()[1]
        options = ServeOptions(threads=4, linger=0)
        self.worker = Worker(config.make_wsgi_app(), [listener], SystemClock(), options)
        self.worker.start()
        self.wires: list[Wire] = []

    def events(self) -> EventStream:
        queue: Queue[Any] = Queue()
        self.queues.append(queue)
        queue.put("first")
        return EventStream.from_queue(queue, heartbeat=0.05)

    def untold(self) -> Any:
        return self.events()

    def connect(self) -> Wire:
        wire = Wire(self.port)
        wire.sock.settimeout(0.02)
        self.wires.append(wire)
        return wire

    def read(self, wire: Wire, end: bytes) -> bytes:
        """Until something has come; meanwhile this thread is the watch."""

        def has_come() -> bool:
            self.worker.relieve()
            with contextlib.suppress(TimeoutError):
                wire._more()
            return end in wire.data

        wait_for(has_come)
        return wire.data

    def ask(self, path: str) -> bytes:
        wire = self.connect()
        wire.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return self.read(wire, {"/metrics": b"# EOF", "/live": b"}"}.get(path, b"first"))

    def refused(self, path: str) -> bytes:
        wire = self.connect()
        wire.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return self.read(wire, b"}")

    def close(self) -> None:
        for queue in self.queues:
            queue.put(EventStream.END)
        for wire in self.wires:
            wire.sock.close()
        self.worker.drain()
        wait_for(self._finished)

    def _finished(self) -> bool:
        self.worker.relieve()
        return self.worker.finished.is_set()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.mark.parametrize("path", ["/events", "/untold"])
def test_a_thread_is_kept_and_the_next_stream_is_told_to_come_later(
    stage: Stage, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert stage.ask(path).startswith(b"HTTP/1.1 200 ")
        head, _, body = stage.refused(path).partition(b"\r\n\r\n")
        stage.refused(path)
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 5\r\n" in head
    document = msgspec.json.decode(body)
    assert (document["status"], document["code"]) == (503, "streams-busy")
    assert f"X-Request-ID: {document['request_id']}".encode() in head
    # The handler of a stream that is declared was not even called.
    assert len(stage.queues) == (3 if path == "/events" else 5)
    (said,) = [r.message for r in caplog.records if "event streams" in r.message]
    assert said.startswith("3 event streams hold 3 of 4 threads: further ones get 503")
    assert stage.ask("/live").startswith(b"HTTP/1.1 200 ")
    figures = stage.ask("/metrics").decode()
    for word, number in (("", 3), ("_limit", 3), ("_refused_total", 2)):
        lines = [
            x for x in figures.splitlines() if x.startswith(f"chapiteau_event_streams{word}{{")
        ]
        assert [line.split()[-1] for line in lines] == [str(number)]


def test_a_stream_that_ends_makes_room_for_another(stage: Stage) -> None:
    for _ in range(3):
        stage.ask("/events")
    stage.refused("/events")
    stage.queues[0].put(EventStream.END)
    wait_for(lambda: not stage.worker._streams.full)
    assert stage.ask("/events").startswith(b"HTTP/1.1 200 ")


def test_a_client_that_goes_makes_room_too(stage: Stage) -> None:
    for _ in range(3):
        stage.ask("/events")
    stage.wires[0].sock.close()
    wait_for(lambda: not stage.worker._streams.full)


def test_the_log_warns_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    streams = EventStreams(1, clock.now)
    streams.enter()  # a single thread: a stream may take it
    for seconds, lines in ((0, 1), (59, 1), (1, 2)):
        clock.advance(seconds)
        with pytest.raises(StreamsBusyError):
            streams.enter()
        assert len(caplog.records) == lines
