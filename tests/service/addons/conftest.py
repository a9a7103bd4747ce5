"""A Redis of our own for the tests that need one: started once, on a unix socket."""

from __future__ import annotations

import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running Redis; skips where Debian's redis-server is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: tools/setup.sh tests")
    folder = tmp_path_factory.mktemp("redis")
    path = folder / "r"  # a socket's path is short
    words = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL)

    def answers() -> bool:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(path))
            line.sendall(b"PING\r\n")
            return line.recv(64) == b"+PONG\r\n"

    try:
        wait_for(answers)
        yield f"unix://{path}"
    finally:
        server.terminate()
        server.wait(60)
