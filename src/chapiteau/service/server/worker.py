"""The loop of a worker.

One thread leads: it waits for sockets, reads, and runs the application itself, so that a short
request costs no hand-over between threads. The main thread watches. When a request takes longer
than a blink, the watch lets another thread lead; the slow one finishes, sends its answer and
queues up behind. So all threads can be inside slow requests, while fast ones cost one thread only.

Laws: a connection belongs to the leader, but for the time in which a thread runs its request.
Only the leader accepts, and only one connection per turn: what this worker can't serve soon stays
in the shared queue for its siblings, where a kill of this process can't hurt it. Losing the lead
is decided by who pops the request's token first: its own thread, or the watch.
"""

import contextlib
import heapq
import logging
import os
import socket
import threading
from collections import deque
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.service.pipeline.event_streams import EventStreams
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.server.connection import Connection, IncomingRequest
from chapiteau.service.server.http1 import HeadParser, RefusedRequestError
from chapiteau.service.server.options import ServeOptions
from chapiteau.service.server.sockets import READ, WRITE, Acceptor, new_poller
from chapiteau.service.server.wsgi import (
    Application,
    DateHeader,
    ResponseWriter,
    environ_for,
    error_response,
)

__all__ = ["Worker"]

_log = logging.getLogger("chapiteau.service.worker")

_BLINK: Final = 0.005  # seconds in one request after which another thread may lead
_SLOW: Final = 0.002  # mean seconds per request above which the lead is given away beforehand
_SWEEP: Final = 1.0  # seconds between two looks at timeouts
_LOOK_AHEAD: Final = 64  # idle connections that one look at all of them finds
_LINGER_READ: Final = 2.0  # seconds in which a refused client may still send into the void


class Worker:
    """Serves one application on listening sockets until `drain` is called."""

    def __init__(
        self,
        app: Application,
        listeners: list[socket.socket],
        clock: Clock,
        options: ServeOptions | None = None,
    ) -> None:
        self.options = options or ServeOptions()
        self._app = app
        self._now = clock.now
        self._dates = DateHeader(clock.wall)
        self._parser = HeadParser(self.options.limits)
        self._poller = new_poller()
        threads = self.options.threads > 1
        self._streams = EventStreams(self.options.threads, clock.now)
        self._acceptor = Acceptor(
            listeners, self._poller, clock.now, threads=threads, streams=self._streams
        )
        self._conns: dict[int, Connection] = {}
        self._returned: deque[Connection] = deque()
        self._longest_idle: deque[tuple[float, int]] = deque()  # since when, which
        self._all_busy = False  # as many as may be, and none idle: newcomers wait
        self._lead = threading.Lock()
        self._token: list[float] = []
        self._mean = 0.0
        self._threads: list[threading.Thread] = []
        self._drain_asked = False
        self._draining = False
        self._linger_until = 0.0
        self._next_sweep = self._now() + _SWEEP
        self.finished = threading.Event()
        self.asleep = False
        self.alarm = threading.Lock()  # released: something for the watch to look at
        self.alarm.acquire()
        self.last_turn = self._now()
        self._wake_out, self._wake_in = os.pipe()
        for end in (self._wake_out, self._wake_in):
            os.set_blocking(end, False)
        self._poller.register(self._wake_out, READ)

    # ── from outside ─────────────────────────────────────────────────────────────────────────
    def start(self) -> None:
        """Begin to accept."""
        self._acceptor.open()
        for number in range(self.options.threads):
            thread = threading.Thread(target=self._work, name=f"worker {number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def drain(self) -> None:
        """Accept no more, answer what has been asked, then finish. Safe in a signal handler."""
        self._drain_asked = True
        self._wake()

    def relieve(self) -> bool:
        """Let another thread lead when the leader is stuck in one request; the watch calls it.

        Returns whether a request is running at all.
        """
        token = self._token  # of this very request: a later one has another
        try:
            if self._now() - token[0] > _BLINK:
                token.pop()
                self._lead.release()
        except IndexError:
            return False  # no request, or it ended in this very moment
        return True

    def ring(self) -> None:
        """Wake the watch; ringing twice is ringing once."""
        with contextlib.suppress(RuntimeError):
            self.alarm.release()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_in, b"!")

    # ── threads ──────────────────────────────────────────────────────────────────────────────
    def _work(self) -> None:
        while not self.finished.is_set():
            self._lead.acquire()
            try:
                kept = self.finished.is_set() or self._turns()
            except BaseException:  # noqa: BLE001 — whatever it is, the process must not go on
                _log.exception("a defect in the worker; this process ends")
                os._exit(70)  # half a loop must not go on: the supervisor starts a new process
            if kept:
                self._lead.release()

    def _turns(self) -> bool:
        """Lead until finished (True) or until the lead is lost (False)."""
        while True:
            self.last_turn = self._now()
            if not self._serve_ready() or not self._serve_returned():
                return False
            if self._drain_asked and not self._draining:
                self._start_drain()
            if self._now() >= self._next_sweep and not self._sweep():
                return False
            if self._draining and not self._conns and self._acceptor.gone:
                self.finished.set()
                self.ring()
                return True

    def _serve_ready(self) -> bool:
        ready = self._poller.poll(self._patience())
        for fd, events in ready:
            # Who is full leaves a newcomer to its siblings, too, before it closes an idle one.
            if fd in self._acceptor and self._acceptor.leave(len(ready), full=self._is_full):
                continue
            if not self._event(fd, events):
                return False
        return True

    def _serve_returned(self) -> bool:
        while self._returned:
            conn = self._returned.popleft()
            conn.take_back()
            if not self._advance(conn):
                return False
        return True

    def _patience(self) -> float:
        return 0.05 if self._draining else _SWEEP

    def _event(self, fd: int, events: int) -> bool:
        """Handle one ready descriptor; False when the lead was lost meanwhile."""
        conn = self._conns.get(fd)
        if conn is not None:
            return self._ready(conn, events)
        if fd in self._acceptor:
            return self._accept(fd)
        if fd == self._wake_out:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_out, 4096)
        return True

    def _accept(self, fd: int) -> bool:
        if self._is_full and not self._make_room():
            self._all_busy = True
            self._acceptor.shut()
            return True
        conn = self._acceptor.take(fd)
        if conn is None:
            return True
        self._conns[conn.fd] = conn
        # Mostly the request is there already: no need to ask the poller first.
        return self._ready(conn, READ)

    @property
    def _is_full(self) -> bool:
        return len(self._conns) >= self.options.max_connections

    def _make_room(self) -> bool:
        """Close the connection that has been idle longest; False when all are at work."""
        if self._close_longest_idle():
            return True
        found = ((c.since, c.fd) for c in self._conns.values() if c.idle)
        self._longest_idle.extend(heapq.nsmallest(_LOOK_AHEAD, found))
        return self._close_longest_idle()

    def _close_longest_idle(self) -> bool:
        """The first of those that were found, as long as there is one that still is so."""
        while self._longest_idle:
            since, fd = self._longest_idle.popleft()
            conn = self._conns.get(fd)
            # Meanwhile it may have asked something; whoever is idle since has waited less.
            if conn is not None and conn.idle and conn.since == since and conn.is_silent():
                self._close(conn)
                return True
        return False

    # ── one connection ───────────────────────────────────────────────────────────────────────
    def _ready(self, conn: Connection, events: int) -> bool:
        if conn.busy:
            # Its request runs in another thread, and more bytes (or the end) have come: look
            # again when the request is done.
            self._watch(conn, 0)
            return True
        if events & WRITE:
            conn.flush()
        if events & ~WRITE and not conn.receive():
            self._close(conn)
            return True
        return self._advance(conn)

    def _advance(self, conn: Connection) -> bool:
        """Run every whole request that is there; False when the lead was lost."""
        while not conn.broken and not conn.out and conn.waiting != "linger":
            if conn.closing:
                self._close(conn)
                return True
            try:
                incoming = conn.next(self._parser, self._now)
                if incoming is None:
                    break
                environ = environ_for(conn.base, incoming)
            except RefusedRequestError as exc:
                self._refuse(conn, exc.status, exc.what)
                break
            except Exception:  # noqa: BLE001 — one client's bytes must not end everybody's process
                _log.exception("a request from %s can't be read", conn.base["REMOTE_ADDR"])
                self._refuse(conn, 400, "the request can't be read")
                break
            if not self._run(conn, incoming, environ):
                return False
        if conn.broken:
            self._close(conn)
        else:
            self._watch(conn, WRITE if conn.out else READ)
            if self._all_busy and conn.idle:
                self._reopen()
        return True

    def _reopen(self) -> None:
        """Somebody is idle again, or has gone: newcomers may come."""
        if not self._draining:
            self._all_busy = False
            self._acceptor.open()

    def _refuse(self, conn: Connection, status: int, what: str) -> None:
        """Answer what no application may see, and listen no more."""
        answer, own = error_response(status, what, self._dates)
        conn.write(answer)
        conn.half_close(self._now())
        if self.options.access_log is not None:
            self.options.access_log.refused(
                conn.base["REMOTE_ADDR"], status, own, self._dates.wall()
            )

    def _run(self, conn: Connection, incoming: IncomingRequest, environ: Environ) -> bool:
        """Run a request; False when the lead was lost, the connection then comes back by itself."""
        leaving = self._drained if conn.begin() < self.options.requests_per_connection else _yes
        head = incoming.head
        writer = ResponseWriter(conn, head, leaving, self._dates, self._streams, head.keep)
        started = self._now()
        leading = not (self._mean > _SLOW and self.options.threads > 1)
        token = [started]
        if leading:
            self._token = token
            if self.asleep:
                self.ring()
        else:
            self._lead.release()
        writer.run(self._app, environ)
        incoming.close()
        ended = self._now()
        if self.options.access_log is not None:
            self.options.access_log.write(
                environ, writer.status, ended - started, self._dates.wall()
            )
        if leading:
            try:
                token.pop()
            except IndexError:
                leading = False  # the watch was faster: another thread leads now
        self._mean += (ended - started - self._mean) * 0.1
        conn.end(ended, writer.keep, not leading)
        if leading:
            return True
        self._returned.append(conn)
        self._wake()
        return False

    def _drained(self) -> bool:
        return self._drain_asked

    def _watch(self, conn: Connection, mask: int) -> None:
        if mask == conn.mask:
            return
        if not conn.mask:
            self._poller.register(conn.fd, mask)
        elif mask:
            self._poller.modify(conn.fd, mask)
        else:
            self._poller.unregister(conn.fd)
        conn.note_mask(mask)

    def _close(self, conn: Connection) -> None:
        self._watch(conn, 0)
        del self._conns[conn.fd]
        conn.close()
        if not self._is_full:
            self._reopen()

    # ── time ─────────────────────────────────────────────────────────────────────────────────
    def _sweep(self) -> bool:
        now = self._now()
        self._next_sweep = now + self._patience()
        if not self._all_busy or not self._is_full:
            self._reopen()
        for conn in [c for c in self._conns.values() if not c.busy]:
            if not self._overdue(conn, now):
                return False
        return True

    def _overdue(self, conn: Connection, now: float) -> bool:
        """Close a connection that has waited too long; False when the lead was lost."""
        options = self.options
        age = now - conn.since
        if conn.waiting == "request":
            if self._draining and now >= self._linger_until:
                # The last look: a request that has come in this moment is still answered.
                if conn.receive() and conn.data:
                    return self._advance(conn)
                self._close(conn)
            elif age > options.keep_alive:
                self._close(conn)
        elif conn.waiting in ("head", "body") and age > options.read_timeout + conn.grace:
            self._refuse(conn, 408, "the request did not come in time")
            self._watch(conn, READ)
        elif (conn.waiting == "flush" and age > options.write_timeout) or (
            conn.waiting == "linger" and age > _LINGER_READ
        ):
            self._close(conn)
        return True

    # ── the end ──────────────────────────────────────────────────────────────────────────────
    def _start_drain(self) -> None:
        """Take what is in the queue because of us, then leave it to the siblings."""
        self._draining = True
        self._linger_until = self._now() + self.options.linger
        for conn in self._acceptor.close(self.options.max_connections):
            self._conns[conn.fd] = conn
            self._watch(conn, READ)


def _yes() -> bool:
    """The last request of a connection that has had many.

    Connections live long and belong to whichever worker was awake when they came. Ending each
    after a while lets them spread over the siblings again.
    """
    return True
