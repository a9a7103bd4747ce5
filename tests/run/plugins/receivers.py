"""What plugins talk to, in the test's own threads: a web server, a mail server."""

from __future__ import annotations

import contextlib
import gzip
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MailServer", "WebServer", "served"]


class WebServer(ThreadingHTTPServer):
    """Answers GET and POST with the next of `statuses`, at last with the last one."""

    daemon_threads = True

    def __init__(self) -> None:
        self.statuses = [200]
        self.posted: list[tuple[dict[str, str], Any]] = []
        self.got = 0
        self.body = b"fine"
        super().__init__(("127.0.0.1", 0), _Web)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_status(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


class _Web(BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        self.server.got += 1
        self._answer(self.server.body)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        self.server.posted.append((dict(self.headers), json.loads(raw)))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(self.server.next_status())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


class MailServer(socketserver.ThreadingTCPServer):
    """As much SMTP as one message needs; `mails` are (recipients, text)."""

    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []
        super().__init__(("127.0.0.1", 0), _Smtp)


class _Smtp(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 here")
        to: list[str] = []
        while line := self.rfile.readline().decode().strip():
            word = line[:4].upper()
            if word == "RCPT":
                to.append(line.partition(":")[2].strip("<>"))
            if word == "DATA":
                self._say("354 go on")
                text = []
                while (piece := self.rfile.readline().decode()) != ".\r\n":
                    text.append(piece)
                self.server.mails.append((to, "".join(text)))
            self._say("221 bye" if word == "QUIT" else "250 ok")
            if word == "QUIT":
                return

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextlib.contextmanager
def served(server: socketserver.BaseServer) -> Iterator[Any]:
    """Serving, in a thread, as long as the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
