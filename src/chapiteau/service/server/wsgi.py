"""WSGI (PEP 3333): a request as an environ, an application's answer as bytes."""

import logging
import os
import select
import sys
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from chapiteau.service.pipeline.event_streams import (
    EVENT_STREAM,
    EventStreams,
    StreamsBusyError,
)
from chapiteau.service.pipeline.reply import RawHeaderWriter
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.problem import (
    MEDIA_TYPE,
    problem_document,
    problem_for,
    reason_phrase,
)
from chapiteau.service.server.connection import Connection, IncomingRequest
from chapiteau.service.server.http1 import RefusedRequestError, RequestHead, is_host

__all__ = ["DateHeader", "ResponseWriter", "base_environ", "environ_for", "error_response"]

_log = logging.getLogger("chapiteau.service.worker")

Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

# What a header says to the worker itself, by its name as it is mostly written.
_PASSED: Final = "passed"
_LENGTH: Final = "length"
_CONNECTION: Final = "connection"
_MEANINGS: Final = {
    **dict.fromkeys(
        "Content-Type X-Request-ID X-Content-Type-Options ETag Vary Link Location Cache-Control"
        " Access-Control-Allow-Origin Content-Encoding Last-Modified Set-Cookie".split(),
        _PASSED,
    ),
    "Content-Length": _LENGTH,
    "content-length": _LENGTH,
    "connection": _CONNECTION,
    **dict.fromkeys(("transfer-encoding", "date", "keep-alive"), "dropped"),
}
_STATUS_LINES: Final[dict[str, tuple[str, bool]]] = {}
_MOST_STATUSES: Final = 200  # an application that makes up its reasons must not fill the memory
_BUFFERED: Final = 256 * 1024  # a stream waits for its reader above this
_WRITE_TIMEOUT: Final = 30_000  # milliseconds in which a reader must take something


def base_environ(host: str, port: str, *, threads: bool) -> dict[str, Any]:
    """What is the same for all requests of a listener."""
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": threads,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


def environ_for(base: dict[str, Any], incoming: IncomingRequest) -> dict[str, Any]:
    """The environ of one request. Raises RefusedRequestError for a target that can't be."""
    head = incoming.head
    path, _, query = head.target.partition("?")
    host = ""
    if not path.startswith("/"):
        path, host = _odd_target(head.method, path)
    if "%" in path:
        if "%00" in path:
            raise RefusedRequestError(400, "a path can't hold NUL")
        path = unquote_to_bytes(path).decode("latin-1")
    if "#" in query or ("#" in path and "#" in head.target):
        raise RefusedRequestError(400, "a request has no fragment")
    environ = {
        **base,
        **head.fields.environ,
        "REQUEST_METHOD": head.method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": head.target,
        "SERVER_PROTOCOL": "HTTP/1.1" if head.version == 11 else "HTTP/1.0",
        "wsgi.input": incoming.body,
    }
    if host:
        environ["HTTP_HOST"] = host
    if head.fields.chunked:
        environ["CONTENT_LENGTH"] = str(incoming.length)
    return environ


def _odd_target(method: str, path: str) -> tuple[str, str]:
    """Path and host of a target that is no path."""
    if path == "*" and method == "OPTIONS":
        return "*", ""
    if path.lower().startswith(("http://", "https://")):
        # What the target names is what is meant, whatever Host says (RFC 9112 §3.2.2).
        host, slash, rest = path.partition("://")[2].partition("/")
        if host and is_host(host):
            return slash + rest or "/", host
    raise RefusedRequestError(400, "the target is no path")


class DateHeader:
    """The Date header, written once a second."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self.wall = wall
        self._second = 0
        self._line = ""

    def line(self) -> str:
        """`Date: …` with its line end."""
        second = int(self.wall())
        if second != self._second:
            self._line = f"Date: {formatdate(second, usegmt=True)}\r\n"
            self._second = second
        return self._line


class _GoneError(Exception):
    """Nobody reads the answer any more: no fault of the application's."""


class ResponseWriter(RawHeaderWriter, msgspec.Struct, eq=False):
    """One request's answer on its way from the application to the socket: its `start_response`."""

    conn: Connection
    asked: RequestHead
    leaving: Callable[[], bool]
    dates: DateHeader
    streams: EventStreams
    keep: bool
    status: str = ""
    headers: list[tuple[str, str]] | None = None
    _ready: str = ""
    _sent: bool = False
    _chunked: bool = False
    _bodyless: bool = False
    _length: int = -1

    def __repr__(self) -> str:
        return f"<ResponseWriter {self.status}>"

    def run(self, app: Application, environ: Environ) -> None:
        """Call the application and send its answer; never raises for the application's faults."""
        body: Any = None
        try:
            body = app(environ, self)
            self._send_all(body)
        except _GoneError as exc:
            _log.debug("%s %s: %s", environ["REQUEST_METHOD"], environ["PATH_INFO"], exc)
            self._failed()
        except Exception:  # noqa: BLE001 — an application's fault must not end the worker
            _log.exception("%s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            self._failed()
        finally:
            if type(body) is not tuple and hasattr(body, "close"):
                try:
                    body.close()
                except Exception:  # noqa: BLE001 — the answer is out; only the log can tell
                    _log.exception("close() of the answer to %s", environ["PATH_INFO"])

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """As PEP 3333 has it."""
        if exc_info:
            try:
                if self._sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.status:
            raise RuntimeError("start_response was called twice")
        self.status, self.headers, self._ready = status, headers, ""
        return self._write

    def take(self, status: str, lines: str) -> None:
        """The headers of an answer of our own, which need not be looked at."""
        if self.status:
            raise RuntimeError("start_response was called twice")
        self.status, self._ready = status, lines

    def _send_all(self, body: Any) -> None:
        if isinstance(body, list | tuple) and len(body) <= 1:
            # The usual case: one piece. Head and body leave in one packet, length is known.
            whole = body[0] if body else b""
            head = self._start(len(whole))
            self.conn.write(head + whole if whole and not self._bodyless else head)
        elif self._is_event_stream():
            self._send_events(body)
        else:
            self._send_pieces(body)

    def _is_event_stream(self) -> bool:
        return any(
            value.startswith(EVENT_STREAM)
            for name, value in self.headers or ()
            if name.lower() == "content-type"
        )

    def _send_events(self, body: Iterable[bytes]) -> None:
        """A stream holds this thread while it lasts: only as many as leave one for requests."""
        try:
            self.streams.enter()
        except StreamsBusyError as exc:
            if self._sent:
                raise
            own = os.urandom(8).hex()
            whole = msgspec.json.encode(problem_document(exc, own))
            self.status = f"{exc.status} {reason_phrase(exc.status)}"
            self.headers = [
                ("Content-Type", MEDIA_TYPE),
                ("X-Request-ID", own),
                *exc.headers.items(),
            ]
            self.conn.write(self._start(len(whole)) + whole)
            return
        try:
            self._send_pieces(body)
        finally:
            self.streams.leave()

    def _send_pieces(self, body: Iterable[bytes]) -> None:
        for piece in body:
            if piece:
                self._write(piece)
        if not self._sent:
            self.conn.write(self._start(0))
        elif self._chunked:
            self.conn.write(b"0\r\n\r\n")
        if self._length > 0:
            raise RuntimeError("the answer is shorter than its Content-Length")

    def _write(self, piece: bytes) -> None:
        head = b"" if self._sent else self._start(None)
        if self._bodyless:
            piece = b""
        elif self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        elif self._length >= 0:
            if len(piece) > self._length:
                raise RuntimeError("the answer is longer than its Content-Length")
            self._length -= len(piece)
        self.conn.write(head + piece)
        if len(self.conn.out) > _BUFFERED:
            self._wait_for_reader()
        if self.conn.broken:  # a stream that nobody reads would hold its thread for ever
            raise _GoneError("the client has gone")

    def _wait_for_reader(self) -> None:
        """A slow reader holds this thread; the watch in the worker lets another one lead."""
        poller = select.poll()
        poller.register(self.conn.fd, select.POLLOUT)
        while len(self.conn.out) > _BUFFERED and not self.conn.broken:
            if not poller.poll(_WRITE_TIMEOUT):
                self.conn.broken = True
                raise _GoneError("the client takes nothing")
            self.conn.flush()

    def _start(self, length: int | None) -> bytes:
        """Status line and headers; decides how the end of the body is told."""
        first, empty = _STATUS_LINES.get(self.status) or _status_line(self.status)
        self._bodyless = empty or self.asked.method == "HEAD"
        text = f"{first}{self._ready or self._checked(length, empty=empty)}"
        # Asked only now: the worker may have been told to stop while the application was working.
        self.keep = self.keep and (bool(self.conn.data) or not self.leaving())
        if not self.keep:
            text += "Connection: close\r\n"
        elif self.asked.version == 10:
            text += "Connection: keep-alive\r\n"
        self._sent = True
        return f"{text}{self.dates.line()}\r\n".encode("latin-1")

    def _checked(self, length: int | None, *, empty: bool) -> str:
        """The header lines of an application that we don't know. Raises RuntimeError."""
        lines, given = self._lines()
        if given >= 0:
            self._length = -1 if self._bodyless or length is not None else given
            if length is not None and not self._bodyless and given != length:
                raise RuntimeError(f"Content-Length says {given}, the body has {length} bytes")
        elif not empty and (framing := self._framing(length)):
            lines.append(framing)
        text = "".join(lines)
        # A line end inside a value would let an answer forge headers (or a second answer).
        if not text.count("\n") == text.count("\r") == len(lines) or "\0" in text:
            raise RuntimeError("a header holds a line end")
        return text

    def _framing(self, length: int | None) -> str:
        """The header that tells where a body without Content-Length ends."""
        head = self.asked.method == "HEAD"
        if length is not None and not (head and length == 0):
            return f"Content-Length: {length}\r\n"
        if head:
            return ""
        if self.asked.version == 11:
            self._chunked = True
            return "Transfer-Encoding: chunked\r\n"
        self.keep = False  # HTTP/1.0: the end of the connection is the end of the body
        return ""

    def _lines(self) -> tuple[list[str], int]:
        """The application's headers, and the length that they tell, or -1."""
        given = -1
        lines = []
        for name, value in self.headers or ():
            meaning = _MEANINGS.get(name)
            if meaning is None:
                meaning = _MEANINGS.get(name.lower(), _PASSED)
            if meaning is not _PASSED:
                if meaning is _CONNECTION and "close" in value.lower():
                    self.keep = False
                if meaning is not _LENGTH:
                    continue
                given = int(value)
            lines.append(f"{name}: {value}\r\n")
        return lines, given

    def _failed(self) -> None:
        self.keep = False
        if not self._sent:
            self.conn.write(error_response(500, "the application failed", self.dates)[0])
        else:
            # Half an answer is out: cutting the line is the only honest way to say so.
            self.conn.broken = True


def _status_line(status: str) -> tuple[str, bool]:
    """The first line of an answer, and whether no body may follow it. Raises RuntimeError."""
    code = status[:3]
    if not code.isdigit() or not status.isprintable():
        raise RuntimeError("the application has not called start_response")
    made = f"HTTP/1.1 {status}\r\n", code in ("204", "304") or code[0] == "1"
    if len(_STATUS_LINES) < _MOST_STATUSES:
        _STATUS_LINES[status] = made
    return made


def error_response(status: int, what: str, dates: DateHeader) -> tuple[bytes, str]:
    """A whole answer that the worker gives by itself, and its request id.

    The connection closes behind it.
    """
    own = os.urandom(8).hex()
    body = msgspec.json.encode(problem_document(problem_for(status, what), own))
    head = (
        f"HTTP/1.1 {status} {reason_phrase(status)}\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-ID: {own}\r\n"
        f"X-Content-Type-Options: nosniff\r\nConnection: close\r\n{dates.line()}\r\n"
    )
    return head.encode("latin-1") + body, own
