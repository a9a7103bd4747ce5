"""Workers as a supervisor starts them: a shared listening socket, a notify socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent

# Put the socket at descriptor 3, where the protocol wants it, then become the worker.
_HAND_OVER = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"


class Wire:
    """A connection that tells exactly what the server did: one answer, or the end."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.data = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def ask(self, path: str = "/", *headers: str, method: str = "GET") -> tuple[int, bytes, bytes]:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        return self.answer()

    def answer(self) -> tuple[int, bytes, bytes]:
        """Status, head, body. ConnectionError when the server closes before that."""
        while b"\r\n\r\n" not in self.data:
            self._more()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        fields = head.lower().split(b"\r\n")
        length = next((int(f[15:]) for f in fields if f.startswith(b"content-length:")), None)
        status = int(head.split(b" ")[1])
        if status in (100, 204, 304):
            return status, head, b""
        if length is not None:
            while len(self.data) < length:
                self._more()
            body, self.data = self.data[:length], self.data[length:]
            return status, head, body
        return status, head, self._chunks()

    def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self.data:
                self._more()
            size, _, self.data = self.data.partition(b"\r\n")
            need = int(size, 16) + 2
            while len(self.data) < need:
                self._more()
            piece, self.data = self.data[: need - 2], self.data[need:]
            if not piece:
                return body
            body += piece

    def _more(self) -> None:
        piece = self.sock.recv(65536)
        if not piece:
            raise ConnectionError("closed without an answer")
        self.data += piece

    def is_read(self) -> bool:
        """Whether the server has read everything that was sent, as /proc/net/tcp shows."""
        ends = (self.sock.getsockname(), self.sock.getpeername())
        near, far = (f"0100007F:{port:04X}" for _, port in ends)
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, _, queues, *_ = line.split()
            if (local, remote) == (far, near):
                return queues.endswith(":00000000")
        return False

    def closed(self) -> bool:
        """Whether the server closes; waits for it."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.sock.close()


class Site:
    """A listening socket and the workers on it."""

    def __init__(self, folder: Path) -> None:
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(512)
        self.port: int = self.listener.getsockname()[1]
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self.wires: list[Wire] = []

    def start(self, *options: str, app: str = "apps:app") -> subprocess.Popen[bytes]:
        """Start a worker and wait until it says that it is ready."""
        path = self.folder / f"notify{len(self.workers)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            notify.settimeout(60)
            worker = self.spawn(*options, app=app, notify=str(path))
            assert b"READY=1" in notify.recv(4096)
        return worker

    def spawn(self, *options: str, app: str, notify: str = "") -> subprocess.Popen[bytes]:
        handle = self.listener.fileno()
        words = [sys.executable, "-m", "chapiteau", "service", "serve", app, *options]
        worker = subprocess.Popen(
            [sys.executable, "-S", "-c", _HAND_OVER, str(handle), *words],
            cwd=HERE,
            env={**os.environ, "LISTEN_FDS": "1", "NOTIFY_SOCKET": notify},
            pass_fds=(handle,),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.workers.append(worker)
        return worker

    def connect(self) -> Wire:
        """A new connection; the fixture closes it in the end."""
        wire = Wire(self.port)
        self.wires.append(wire)
        return wire

    def close(self) -> None:
        """End everything."""
        for wire in self.wires:
            wire.close()
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
            if worker.stderr is not None:
                worker.stderr.close()
        self.listener.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()
