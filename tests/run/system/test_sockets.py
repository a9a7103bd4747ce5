"""Sockets at a path: who may come to them, and what stands in their way."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path
from typing import Literal

import pytest

from chapiteau.run.config.spec import Socket
from chapiteau.run.system.sockets import ArrivalMonitor, BindError, bind_socket, socket_mode
from tests.support import wait_for_async


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_that_is_made_for_it_lets_others_through(tmp_path: Path) -> None:
    """The supervisor's own umask lets nobody in; the socket's mode is what was asked for."""
    before = os.umask(0o077)
    try:
        with bind_socket("web", Socket(path="a/b/web.sock", mode="0666"), tmp_path):
            assert rights(tmp_path / "a") == rights(tmp_path / "a/b") == 0o755
            assert rights(tmp_path / "a/b/web.sock") == 0o666
            assert socket_mode(tmp_path / "a/b/web.sock").startswith("0666 ")
            assert socket_mode(tmp_path / "none.sock") == ""
    finally:
        os.umask(before)


@pytest.mark.parametrize("kind", ["stream", "datagram"])
async def test_an_arrival_is_noticed_once(kind: Literal["stream", "datagram"]) -> None:
    with (
        bind_socket("web", Socket(type=kind), Path()) as bound,
        ArrivalMonitor([bound]) as arrivals,
    ):
        assert not arrivals.some()
        with socket.socket(socket.AF_INET, bound.type) as peer:
            peer.connect(bound.getsockname())
            peer.send(b".")
            await wait_for_async(arrivals.some)
        await asyncio.sleep(0)
        assert not arrivals.some(), "nothing new, though nobody has taken it yet"


def test_who_listens_at_the_path_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "web.sock"))
        other.listen()
        with pytest.raises(BindError, match=rf"in use, held by pid {os.getpid()} \("):
            bind_socket("web", Socket(path="web.sock"), tmp_path)
    bind_socket("web", Socket(path="web.sock"), tmp_path).close()  # nobody listens any more


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    (tmp_path / "web.sock").write_text("precious")
    with pytest.raises(BindError, match="by a file that is no socket") as told:
        bind_socket("web", Socket(path="web.sock"), tmp_path)
    assert told.value.hint == "move that file away, or choose another path"
    assert (tmp_path / "web.sock").read_text() == "precious"
