"""The control API's server: one Unix socket, every caller known by what the kernel says of it."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.engine.api.doorkeeper import Doorkeeper
from chapiteau.run.engine.api.faults import problem, problem_of
from chapiteau.run.engine.api.handlers import CALLER, Handlers
from chapiteau.run.engine.api.routes import ROUTES
from chapiteau.run.engine.api.streams import CLOSING
from chapiteau.run.engine.identity import peer_of
from chapiteau.run.engine.port import Port
from chapiteau.run.logic.access import VERBS, Access, Caller

__all__ = ["ControlServer", "serve"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger("chapiteau.run.control")
_LOOK: Final = 5.0  # seconds between two looks whether our socket file is still there
_PER_USER: Final = 512  # connections of one user at a time
_BODY: Final = 1 << 20
_NAME: Final = 64  # characters of what a program calls itself


async def serve(port: Port, path: Path, access: Access) -> "ControlServer":
    """Answer on this socket until `close`. Raises AlreadyRunningError when another one answers.

    A stale socket file is replaced; one that vanishes while we run is made again.
    """
    server = ControlServer(port, path, access)
    await server.open()
    return server


class ControlServer:
    """A guest in the running loop: takes no signals, starts no threads."""

    def __init__(self, port: Port, path: Path, access: Access) -> None:
        self.path = path
        self._access = access
        self._closing = asyncio.Event()
        self._runner = web.AppRunner(
            self._application(port),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=0.5,
            handler_cancellation=True,  # a stream ends when its reader hangs up
        )
        self._door: Doorkeeper | None = None
        self._guard: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Bind and answer."""
        await self._runner.setup()
        if self._runner.server is not None:
            self._door = Doorkeeper(self._runner.server, per_user=_PER_USER)
        await self._bind()
        self._guard = asyncio.create_task(self._keep_path(), name="control socket's guard")

    def admit(self, access: Access) -> None:
        """From now on these roles hold."""
        self._access = access
        with contextlib.suppress(FileNotFoundError):  # the guard makes it again, with this mode
            self._set_modes()

    async def close(self) -> None:
        """Answer no more, end all streams, remove the socket's file."""
        if self._guard is not None:
            self._guard.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._guard
        self._closing.set()
        if self._door is not None:
            await self._door.close()
        await self._runner.cleanup()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def _application(self, port: Port) -> web.Application:
        app = web.Application(middlewares=[_translated], client_max_size=_BODY)
        app[CLOSING] = self._closing
        handlers = Handlers(port)
        for route in ROUTES:
            handler: Handler = getattr(handlers, route.handler)
            app.router.add_route(route.method, route.path, self._guarded(route.verb, handler))
        return app

    def _guarded(self, verb: str, handler: Handler) -> Handler:
        """The handler behind the question who asks: whoever may not gets a 403."""

        async def answer(request: web.Request) -> web.StreamResponse:
            caller = _caller(request)
            wanted = verb or request.match_info["verb"]
            role = self._access.role(caller)
            # A verb that nobody knows is told to those who have any role, as not found.
            if role is None or (wanted in VERBS and not self._access.may(caller, wanted)):
                _log.warning("%s (pid %d) was refused: %s", caller, caller.pid, wanted)
                what = f"{caller} may not {wanted}" + (f" as {role}" if role else "")
                hint = "an admin can give roles: operators = [...] in [project]"
                return problem(403, what, hint=hint, exit_code=4)
            request[CALLER] = _named(caller, request)
            return await handler(request)

        return answer

    async def _bind(self) -> None:
        if self._door is None:
            raise AssertionError("the server is not set up")
        await self._door.open(self.path)
        self._set_modes()

    def _set_modes(self) -> None:
        """With roles for others the file is open to all, and each caller is asked who it is."""
        others = self._access.has_others
        if others:
            self.path.parent.chmod(0o711)
        self.path.chmod(0o666 if others else 0o600)

    async def _keep_path(self) -> None:
        """Make the file again when somebody removed it (tmp cleaners do)."""
        while True:
            await asyncio.sleep(_LOOK)
            if not self.path.exists():
                _log.warning("%s has vanished: making it again", self.path)
                with contextlib.suppress(OSError):
                    self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    await self._bind()


def _caller(request: web.Request) -> Caller:
    sock = request.transport.get_extra_info("socket") if request.transport else None
    if sock is None:
        return Caller(uid=-1)  # hung up already: a stranger
    return peer_of(sock)


def _named(caller: Caller, request: web.Request) -> str:
    """As events show it: the uid, as the kernel says, and what the program calls itself."""
    name = "".join(filter(str.isprintable, request.headers.get("Chapiteau-As", "")))[:_NAME]
    return f"{caller} ({name})" if name else str(caller)


@web.middleware
async def _translated(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error leaves as problem+json."""
    try:
        return await handler(request)
    except ChapiteauError as exc:
        return problem_of(exc)
    except web.HTTPException as exc:
        code = 3 if exc.status == 404 else 2
        what = f"{request.method} {request.path}: {exc.reason}"
        return problem(exc.status, what, exit_code=code)
    except Exception:  # noqa: BLE001 — a fault of ours must not end the supervisor, but must be seen
        _log.exception("%s %s failed", request.method, request.path)
        hint = "a defect: the supervisor's log has the details"
        return problem(500, "the supervisor failed to answer", hint=hint)
