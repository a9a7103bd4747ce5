"""The control API's server: one Unix socket, every caller known by what the kernel says of it."""

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import ChapiteauError, NotFoundError
from chapiteau.core.problems import did_you_mean
from chapiteau.run.api.calls import Call, find_call
from chapiteau.run.api.commands import COMMANDS
from chapiteau.run.api.connection import ControlConnection
from chapiteau.run.api.handlers import CallHandlers
from chapiteau.run.api.request import (
    Request,
    Response,
    StreamedResponse,
    error_response,
    problem_response,
)
from chapiteau.run.config.access import Access, Caller, peer_of
from chapiteau.run.errors import AlreadyRunningError

__all__ = ["ConnectionAcceptor", "ControlServer", "start_server"]


# Accepts connections on a Unix socket, so many of one user at a time and no more.

_log = logging.getLogger("chapiteau.run.control")
_PAUSE: Final = 0.1  # seconds to wait when descriptors have run out


class ConnectionAcceptor:
    """Hands every accepted connection to a protocol of `factory`.

    A user with `per_user` connections is turned away until one of them closes: connections that
    say nothing must not use up the supervisor's descriptors.
    """

    def __init__(self, factory: Callable[[], asyncio.Protocol], *, per_user: int) -> None:
        self._factory = factory
        self._limit = per_user
        self._open: dict[asyncio.BaseTransport, int] = {}
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    @property
    def answers(self) -> bool:
        """Whether it listens anywhere."""
        return self._listener is not None

    async def open(self, path: Path) -> None:
        """Listen here, in place of the socket before. Raises AlreadyRunningError, OSError.

        The file is its owner's alone; whoever wants it open to others says so afterwards.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_stale(path)
            sock.bind(str(path))
            path.chmod(0o600)
            sock.listen(128)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        await self.close()
        self._listener = sock
        self._accepting = asyncio.create_task(self._accept(sock), name="control socket")

    async def close(self) -> None:
        """Accept no more; connections that are open stay."""
        if self._accepting is not None and self._listener is not None:
            self._accepting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._accepting
            self._listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as exc:
                _log.warning("cannot accept connections: %s", exc)
                await asyncio.sleep(_PAUSE)
                continue
            with contextlib.suppress(OSError):  # gone again already
                await self._admit(loop, sock)

    async def _admit(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        try:
            uid = peer_of(sock).uid
        except OSError:
            sock.close()
            raise
        self._open = {t: owner for t, owner in self._open.items() if not t.is_closing()}
        if Counter(self._open.values())[uid] >= self._limit:
            _log.warning("uid %d has %d connections open: refused another", uid, self._limit)
            sock.close()
            return
        transport, _ = await loop.connect_accepted_socket(self._factory, sock)
        self._open[transport] = uid


def _remove_stale(path: Path) -> None:
    """Unlink a socket file that nobody listens at. Raises AlreadyRunningError if somebody does."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise AlreadyRunningError(
        f"another supervisor answers at {path}", hint="look with `chapiteau status`"
    )


_CHECK_INTERVAL: Final = 5.0  # seconds between checks that the socket file still exists
_RETRY_INTERVAL: Final = 1.0  # seconds, while it can't be bound
_PER_USER: Final = 512  # connections of one user at a time
_GRACE: Final = 0.5  # seconds for answers that are being made when we go
_MAX_NAME: Final = 64  # characters of what a program calls itself


async def start_server(
    supervisor: Any, path: Path, access: Access, on_check: Callable[[], None] = lambda: None
) -> "ControlServer":
    """Answer on this socket until `close`. Raises AlreadyRunningError when another one answers.

    A stale socket file is replaced; one that vanishes while we run is made again.
    """
    server = ControlServer(supervisor, path, access, on_check)
    await server.open()
    return server


class ControlServer:
    """Runs in the current event loop: no signal handlers, no threads.

    `on_check` is called every few seconds.
    """

    def __init__(
        self, supervisor: Any, path: Path, access: Access, on_check: Callable[[], None]
    ) -> None:
        self.path = path
        self._access, self._on_check = access, on_check
        self._closing = asyncio.Event()
        self._handlers = CallHandlers(supervisor, self._closing)
        self._connections: set[ControlConnection] = set()
        self._acceptor: ConnectionAcceptor | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Bind and answer."""
        self._acceptor = ConnectionAcceptor(
            lambda: ControlConnection(self._respond, self._connections), per_user=_PER_USER
        )
        try:
            await self._bind()
        except OSError as exc:  # a read-only folder: services go on, and we try again
            _log.warning("cannot bind %s: %s", self.path, exc.strerror or exc)
        self._watcher = asyncio.create_task(self._watch_path(), name="control socket watcher")

    def admit(self, access: Access) -> None:
        """From now on these roles hold."""
        self._access = access
        with contextlib.suppress(FileNotFoundError):  # the watcher makes it again, with this mode
            self._set_modes()

    async def close(self) -> None:
        """Answer no more, end all streams, remove the socket's file."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        self._closing.set()
        if self._acceptor is not None:
            await self._acceptor.close()
        for connection in tuple(self._connections):
            connection.end()
        if busy := [c.task for c in self._connections if c.task is not None]:
            await asyncio.wait(busy, timeout=_GRACE)
        for connection in tuple(self._connections):
            connection.abort()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    async def _respond(
        self, request: Request, transport: asyncio.BaseTransport
    ) -> Response | StreamedResponse:
        """The answer; every error becomes problem+json."""
        try:
            call, parts = find_call(request.method, request.segments)
            if isinstance(call, Call):
                return await self._authorized(request, call, parts, transport)
            if not call:
                return self._not_found(request, transport)
            what = f"{request.path} is for {' and '.join(call)}, not for {request.method}"
            answer = problem_response(405, what, exit_code=2)
            return replace(answer, headers=(("Allow", ", ".join(call)),))
        except ChapiteauError as exc:
            return error_response(exc)
        except Exception:  # noqa: BLE001 — a fault of ours must not end it, but must be seen
            _log.exception("%s %s failed", request.method, request.path)
            hint = "a defect: the supervisor's log has the details"
            return problem_response(500, "the supervisor failed to answer", hint=hint)

    async def _authorized(
        self,
        request: Request,
        call: Call,
        parts: Mapping[str, str],
        transport: asyncio.BaseTransport,
    ) -> Response | StreamedResponse:
        """The handler's answer; 403 for a caller without the role."""
        caller = _caller(transport)
        if not self._access.may(caller, call.role):
            _log.warning("%s (pid %d) was refused: %s", caller, caller.pid, call.name)
            role = self._access.role(caller)
            what = f"{caller} may not {call.name}" + (f" as {role}" if role else "")
            hint = f'an admin can give the role: {call.role}s = ["uid:{caller.uid}"] in [project]'
            return problem_response(403, what, hint=hint, exit_code=4)
        return await self._handlers.answer(call, request, parts, _named(caller, request))

    def _not_found(self, request: Request, transport: asyncio.BaseTransport) -> Response:
        """A caller with any role is told which commands there are."""
        match request.method, request.segments:
            case "POST", ("v1", "services", _, name) if self._access.role(_caller(transport)):
                raise NotFoundError(f"no command {name!r}", hint=did_you_mean(name, COMMANDS))
        what = f"{request.method} {request.path}: Not Found"
        return problem_response(404, what, exit_code=3)

    async def _bind(self) -> None:
        if self._acceptor is None:
            raise AssertionError("the server is not set up")
        await self._acceptor.open(self.path)
        self._set_modes()

    def _set_modes(self) -> None:
        """With roles for others the file is open to all, and each caller is asked who it is."""
        others = self._access.has_others
        if others:
            self.path.parent.chmod(0o711)
        self.path.chmod(0o666 if others else 0o600)

    async def _watch_path(self) -> None:
        """Bind again when the socket file was removed (tmp cleaners do)."""
        while True:
            answers = self._acceptor is not None and self._acceptor.answers
            await asyncio.sleep(_CHECK_INTERVAL if answers else _RETRY_INTERVAL)
            self._on_check()
            if not answers or not self.path.exists():
                if answers:
                    _log.warning("%s was removed: binding it again", self.path)
                with contextlib.suppress(OSError):
                    self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    await self._bind()


def _caller(transport: asyncio.BaseTransport) -> Caller:
    sock = transport.get_extra_info("socket")
    try:
        return peer_of(sock)
    except (OSError, AttributeError):
        return Caller(uid=-1)  # hung up already: a stranger


def _named(caller: Caller, request: Request) -> str:
    """As events show it: the uid, as the kernel says, and what the program calls itself."""
    name = "".join(filter(str.isprintable, request.headers.get("chapiteau-as", "")))[:_MAX_NAME]
    return f"{caller} ({name})" if name else str(caller)
