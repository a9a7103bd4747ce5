"""Where the control socket lies, and what the small HTTP client makes of answers."""

import os
import socket
import threading
from pathlib import Path

import pytest

from chapiteau.core.errors import ChapiteauError, RefusedError
from chapiteau.io.unix_http import control_path, format_request, parse_head, request, stream_lines


def answered_with(path: Path, *pieces: bytes) -> threading.Thread:
    """Serve one connection on this socket with these bytes, piece by piece."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as peer:
            peer.recv(1 << 16)
            for piece in pieces:
                peer.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_a_short_run_dir_holds_its_own_socket(tmp_path: Path) -> None:
    assert control_path(Path("/run/shop")) == Path("/run/shop/control.sock")


def test_a_long_path_moves_to_a_private_folder_that_both_sides_compute_alike(
    tmp_path: Path,
) -> None:
    deep = tmp_path / ("x" * 120)
    made = control_path(deep, create=True)
    assert made == control_path(deep)
    assert len(os.fsencode(made)) <= 100
    assert made.parent.stat().st_mode & 0o777 == 0o700
    assert made.parent.parent.stat().st_mode & 0o777 == 0o700
    made.parent.rmdir()


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("y" * 120)
    made = control_path(deep, create=True)
    made.parent.chmod(0o777)
    with pytest.raises(RefusedError, match="private"):
        control_path(deep)
    made.parent.rmdir()


def test_an_answer_is_put_together_from_its_pieces(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = answered_with(path, b"HTTP/1.0 200 OK\r\nX-A: b", b"\r\n\r\nbo", b"dy")
    reply = request(path, format_request("GET", "/"), 5)
    server.join()
    assert (reply.status, reply.headers, reply.body) == (200, {"x-a": "b"}, b"body")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(b"", ConnectionResetError, id="closed at once"),
        pytest.param(
            b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
            ConnectionResetError,
            id="cut short",
        ),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", ChapiteauError, id="not HTTP"),
        pytest.param(
            b"HTTP/1.0 200 OK\r\n" + b"A: b\r\n" * 20_000, ChapiteauError, id="endless head"
        ),
    ],
)
def test_bad_answers_are_errors(tmp_path: Path, answer: bytes, error: type[Exception]) -> None:
    path = tmp_path / "s"
    server = answered_with(path, answer)
    with pytest.raises(error):
        request(path, format_request("GET", "/"), 5)
    server.join()


def test_lines_come_whole_however_they_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = answered_with(path, b"HTTP/1.0 200 OK\r\n\r\n{1}\n{2", b"}\n\n{3}\n")
    with stream_lines(path, format_request("GET", "/")) as (reply, lines):
        assert (reply.status, list(lines)) == (200, [b"{1}", b"{2}", b"", b"{3}"])
    server.join()


def test_a_request_is_plain_http_1_0() -> None:
    request = format_request("POST", "/v1/x", b"{}", {"Accept": "a"})
    assert request == (
        b"POST /v1/x HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\nAccept: a\r\n\r\n{}"
    )


def test_a_head_without_a_reason_is_fine() -> None:
    assert parse_head(b"HTTP/1.1 204") == (204, {})
