"""A small real shop over HTTP and WebSocket, for scenario files of other testers."""

import base64
import hashlib
import http.server
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Shop", "open_shop"]


class Shop:
    """Where it is, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: Counter[str] = Counter()
        self.headers: set[tuple[str, str]] = set()


@contextmanager
def open_shop() -> Iterator[Shop]:
    """A shop on a free port of loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    shop = Shop(f"http://127.0.0.1:{server.server_port}")
    server.shop = shop  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one piece: no delayed acknowledgement in between

    def log_message(self, *_args: object) -> None:
        pass

    def handle_any(self) -> None:
        shop: Shop = self.server.shop  # type: ignore[attr-defined]
        path = self.path.partition("?")[0]
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size)
        shop.asked[f"{self.command} {re.sub(r'[0-9]+', 'N', path)}"] += 1
        shop.headers |= {(k.lower(), v) for k, v in self.headers.items() if k.lower()[:2] == "x-"}
        if path == "/socket":
            self._socket()
        elif path == "/login":
            self._say(201, {"token": "t1"}, **{"Set-Cookie": "sid=s1; Path=/"})
        elif path == "/me":
            signed = "sid=s1" in self.headers.get("cookie", "")
            self._say(200 if signed else 403, {"worker": 1} if signed else {})
        elif path == "/products":
            made = self.command == "POST"
            items = [{"id": number, "name": "tent"} for number in range(1, 4)]
            self._say(201 if made else 200, json.loads(body) if made else {"items": items})
        elif found := re.fullmatch(r"/products/(\d+)", path):
            self._say(200, {"id": int(found[1])})
        elif path in {"/logout", "/echo"}:
            self._say(200, {"body": body.decode("utf-8", "replace"), "path": self.path})
        else:
            self._say(404, {})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def _say(self, status: int, value: Any, **headers: str) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def _socket(self) -> None:
        """An echo, frame for frame (RFC 6455)."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            size = head[1] & 0x7F
            extended = b""
            if size >= 126:
                extended = self.rfile.read(2 if size == 126 else 8)
                size = int.from_bytes(extended, "big")
            mask, data = self.rfile.read(4), self.rfile.read(size)
            plain = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
            self.wfile.write(bytes([head[0], head[1] & 0x7F]) + extended + plain)
            self.wfile.flush()
            if head[0] & 0x0F == 8:
                return
