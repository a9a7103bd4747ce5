"""The shutdown: begun once, in order, under a deadline; a later brain goes on with it."""

import asyncio
from collections.abc import Callable
from typing import Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.keeper.frames import Hello
from chapiteau.run.process.exits import essential_exit
from chapiteau.run.supervisor.context import Context
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.supervisor.services import Services

__all__ = ["Shutdown"]

_KEEPER_MARGIN: Final = 30.0  # seconds that the keeper waits beyond `stop_deadline` before it kills
_AFTER_KILL: Final = 0.3  # seconds for killed processes to be reaped


class Shutdown:
    """`begun` once somebody wanted the end; `code` is what the supervisor ends with."""

    def __init__(self, context: Context, services: Services, on_end: Callable[[], None]) -> None:
        """`on_end`: nothing is left of the services."""
        self._context, self._services, self._on_end = context, services, on_end
        self._task: asyncio.Task[None] | None = None
        self.code = 0
        self.error: ChapiteauError | None = None  # why it ended by itself
        self.finished = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether the shutdown is under way."""
        return self._task is not None

    def resume(self, hello: Hello) -> bool:
        """Whether the brain before us, or a signal, had begun it; then we go on with it."""
        deadline = self._context.config.spec.project.stop_deadline
        self._context.link.note("patience", deadline + _KEEPER_MARGIN)
        noted = hello["notes"].get("stopping")
        if isinstance(noted, dict) and noted["words"]:
            self._set_error(int(noted["code"]), noted["words"], noted["hint"])
        if not noted and not hello["asked"]:
            return False
        self.begin("goes on with the shutdown that the brain before began")
        return True

    def check(self, service: ServiceController) -> None:
        """Begin when this service is essential and has ended for good."""
        if self.begun or not (service.on or service.refused):
            return
        replicas = [(one.state, one.last_exit) for one in service.replicas.values()]
        end = essential_exit(service.name, service.spec, replicas, service.refused)
        if end is not None:
            self._set_error(end.code, end.text(), f"chapiteau logs {service.name}")
            self.begin(end.why)

    def _set_error(self, code: int, text: str, hint: str) -> None:
        self.code = code
        self.error = ChapiteauError(text, hint=hint, exit_code=code)

    def begin(self, why: str) -> None:
        """Begin the shutdown, once."""
        if self.begun:
            return
        context, error = self._context, self.error
        context.host.emit("supervisor.stopping", why, data={"exit_code": self.code})
        context.link.tell("notify", text="STOPPING=1")
        noted = {"code": self.code, "words": error.what if error else "",
                 "hint": error.hint if error else ""}  # fmt: skip
        context.link.note("stopping", noted)
        context.host.leave_read_only()
        self._services.pause()
        self._task = asyncio.ensure_future(self._run())

    def force(self) -> None:
        """Asked again: no more grace."""
        for service in self._services:
            for process in list(service.processes()):
                self._context.host.kill(process)

    async def _run(self) -> None:
        """In the reverse order of the start; the page and plugins see the others end."""
        internal = [self._services[name] for name in self._services.internal]
        try:
            async with asyncio.timeout(self._context.config.spec.project.stop_deadline):
                for group in [*self._services.in_stop_order(), internal]:
                    await asyncio.gather(*(service.stop() for service in group))
        except TimeoutError:
            text = "the deadline is over: killing what is left"
            self._context.host.emit("supervisor.stopping", text)
            self.force()
            await asyncio.sleep(_AFTER_KILL)
        self._on_end()
        self.finished.set()
