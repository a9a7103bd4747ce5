"""HTTP over a Unix socket: where the socket lies, and a client that is cheap to import.

`http.client` would do, but importing it costs as much as everything else that `chapiteau status`
does. One request per connection in HTTP/1.0 needs no chunks and no keep-alive: the answer ends
where the connection ends.
"""

import contextlib
import os
import socket
import stat
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from chapiteau.core.errors import ChapiteauError, RefusedError

__all__ = [
    "Response",
    "control_path",
    "format_request",
    "parse_head",
    "remove_control_socket",
    "request",
    "stream_bytes",
    "stream_lines",
]

_LONGEST: Final = 100  # bytes; Linux allows 107 in a socket's address, macOS 103
_NAME: Final = "control.sock"
_HEAD_LIMIT: Final = 64 * 1024


def control_path(run_dir: Path, *, create: bool = False) -> Path:
    """Path of the control socket of a run directory; both sides compute it alike.

    A path too long for a socket's address moves to /tmp/chapiteau-UID/HASH/, UID being the run
    directory's owner. With `create` the folder is made (0700). Raises RefusedError when somebody
    else made that folder, or others may write into it.
    """
    folder = run_dir.resolve()
    plain = folder / _NAME
    if len(os.fsencode(plain)) <= _LONGEST:
        if create:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return plain
    if create:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    import hashlib  # rarely needed, and dear to import

    owner = folder.stat().st_uid if folder.exists() else os.getuid()
    base = Path(f"/tmp/chapiteau-{owner}")  # noqa: S108 — checked below: owner, mode, no link
    short = base / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    if create:
        _make_private(base, short)
    for part in (base, short):
        _check_folder(part, owner)
    return short / _NAME


def _make_private(base: Path, short: Path) -> None:
    """Make both; again when somebody else's `forget_control` takes the first one away meanwhile."""
    for part in (base, short, base, short):
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            part.mkdir(mode=0o700)


def remove_control_socket(run_dir: Path, *, beside: Iterable[str] = ()) -> None:
    """Remove the control socket, the files `beside` it, and the short folder that held them."""
    with contextlib.suppress(OSError, RefusedError):
        path = control_path(run_dir)
        for name in (_NAME, *beside):
            path.with_name(name).unlink(missing_ok=True)
        if path.parent != run_dir.resolve():
            path.parent.rmdir()
            path.parent.parent.rmdir()  # fails, as it should, while other projects live there


def _check_folder(folder: Path, owner: int) -> None:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o022:
        raise RefusedError(
            f"{folder} is not a private folder of uid {owner}",
            hint=f"look who made it: ls -ld {folder}; then remove it",
        )


class Response(NamedTuple):  # a tuple: importing dataclasses costs as much as asking
    """An answer: its status, headers (names in lower case) and whole body."""

    status: int
    headers: dict[str, str]
    body: bytes


def format_request(
    method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> bytes:
    """The bytes of one HTTP/1.0 request."""
    lines = [f"{method} {target} HTTP/1.0", "Host: localhost"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer. Raises ChapiteauError when it is no HTTP."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise ChapiteauError(f"the control socket does not speak HTTP: {first[:80]!r}")
    pairs = (line.partition(":") for line in lines if line)
    return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def request(path: Path, request: bytes, timeout: float | None) -> Response:
    """Send one request and read the whole answer. Raises OSError (TimeoutError too)."""
    with _connect(path, timeout) as sock:
        sock.sendall(request)
        status, headers, first = _read_head(sock)
        pieces = [first]
        while piece := sock.recv(1 << 18):
            pieces.append(piece)
    body = b"".join(pieces)
    wanted = headers.get("content-length")
    if wanted is not None and wanted.isdigit() and len(body) < int(wanted):
        raise ConnectionResetError("the answer broke off")
    return Response(status, headers, body)


@contextlib.contextmanager
def stream_lines(path: Path, request: bytes) -> Iterator[tuple[Response, Iterator[bytes]]]:
    """Send one request and read its answer line by line, as long as it lasts.

    The Reply's body is empty when the status is below 400, else whole. Raises OSError.
    """
    with _connect(path, None) as sock:
        sock.sendall(request)
        status, headers, first = _read_head(sock)
        if status >= 400:
            pieces = [first, *iter(lambda: sock.recv(1 << 16), b"")]
            yield Response(status, headers, b"".join(pieces)), iter(())
        else:
            yield Response(status, headers, b""), _lines(sock, first)


@contextlib.contextmanager
def stream_bytes(path: Path, request: bytes) -> Iterator[tuple[Response, Iterator[bytes]]]:
    """As `listen_lines`, as the bytes come."""
    with _connect(path, None) as sock:
        sock.sendall(request)
        status, headers, first = _read_head(sock)
        more = iter(lambda: sock.recv(1 << 16), b"")
        if status >= 400:
            yield Response(status, headers, b"".join([first, *more])), iter(())
        else:
            yield Response(status, headers, b""), chain([first] if first else [], more)


def _lines(sock: socket.socket, rest: bytes) -> Iterator[bytes]:
    while True:
        *lines, rest = rest.split(b"\n")
        yield from lines
        piece = sock.recv(1 << 16)
        if not piece:
            return
        rest += piece


def _connect(path: Path, timeout: float | None) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(str(path))
    except BaseException:
        sock.close()
        raise
    return sock


def _read_head(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(1 << 16)
        if not piece:
            raise ConnectionResetError("the supervisor closed the connection without an answer")
        data += piece
        if len(data) > _HEAD_LIMIT and b"\r\n\r\n" not in data:
            raise ChapiteauError("the control socket does not speak HTTP: endless header")
    head, _, rest = data.partition(b"\r\n\r\n")
    return (*parse_head(head), rest)
