"""The end of everything: begun once, in order, under a deadline; a later brain goes on with it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chapiteau.core.errors import ChapiteauError
from chapiteau.core.graph import layers
from chapiteau.io.unix_http import remove_control_socket
from chapiteau.run.process.restart_policy import essential_exit
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.system.runtime_dirs import remove_runtime_dir

if TYPE_CHECKING:
    from chapiteau.run.process.notify import NotifySocket
    from chapiteau.run.supervisor.supervisor import Supervisor

__all__ = ["Shutdown", "close_resources"]

_KEEPERS_SHARE = 30.0  # seconds that the keeper waits beyond `stop_deadline` before it kills


class Shutdown:
    """`begun` once somebody wanted the end; `code` is what the supervisor will end with."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._task: asyncio.Task[None] | None = None
        self.code = 0
        self.last_words: ChapiteauError | None = None  # why it ended by itself
        self.finished = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether the shutdown is under way."""
        return self._task is not None

    def promise(self) -> None:
        """Let the keeper know how long an end may take: when no brain manages it, it does."""
        patience = self._supervisor.spec.project.stop_deadline + _KEEPERS_SHARE
        self._supervisor.link.tell("note", name="patience", value=patience)

    def go_on(self, hello: dict[str, Any]) -> bool:
        """Whether the brain before us, or a signal, had begun the end; then we go on with it."""
        noted = hello["notes"].get("stopping")
        if isinstance(noted, dict) and noted["words"]:
            self._promise_code(int(noted["code"]), noted["words"], noted["hint"])
        if not noted and not hello["asked"]:
            return False
        self.begin("goes on with the shutdown that the brain before began")
        return True

    def look_at(self, runner: ServiceController) -> None:
        """End everything when this service is essential and has ended for good."""
        if self.begun or not (runner.on or runner.refused):
            return
        slots = [(slot.state, slot.last_exit) for slot in runner.slots.values()]
        end = essential_exit(runner.name, runner.spec, slots, runner.refused)
        if end is not None:
            self._promise_code(end.code, end.words(), f"chapiteau logs {runner.name}")
            self.begin(end.why)

    def _promise_code(self, code: int, words: str, hint: str) -> None:
        self.code = code
        self.last_words = ChapiteauError(words, hint=hint)
        self.last_words.exit_code = code  # type: ignore[misc]  # of this one error

    def begin(self, why: str) -> None:
        """Begin the shutdown, once."""
        if self.begun:
            return
        supervisor, words = self._supervisor, self.last_words
        supervisor.ground.say("supervisor.stopping", why, data={"exit_code": self.code})
        supervisor.link.tell("notify", text="STOPPING=1")
        noted = {"code": self.code, "words": words.what if words else "",
                 "hint": words.hint if words else ""}  # fmt: skip
        supervisor.link.tell("note", name="stopping", value=noted)
        supervisor.end_helpers()
        self._task = asyncio.ensure_future(self._end())

    def hurry(self) -> None:
        """Asked again: no more grace."""
        for runner in self._supervisor.runners.values():
            for instance in list(runner.instances()):
                self._supervisor.ground.kill(instance)

    async def _end(self) -> None:
        """In the reverse order of the start: who needs others goes first."""
        supervisor = self._supervisor
        order = layers(
            {
                name: (*r.spec.needs, *r.spec.after)
                for name, r in supervisor.runners.items()
                if name not in supervisor.own_services  # plugins and page see the others end
            }
        )
        try:
            async with asyncio.timeout(supervisor.spec.project.stop_deadline):
                for group in [*reversed(order), list(supervisor.own_services)]:
                    await asyncio.gather(*(supervisor.runners[name].stop() for name in group))
        except TimeoutError:
            late = "the deadline is over: killing what is left"
            supervisor.ground.say("supervisor.stopping", late)
            self.hurry()
            await asyncio.sleep(0.3)
        supervisor.forget_wishes()
        self.finished.set()


def close_resources(supervisor: "Supervisor", notify: "NotifySocket | None") -> None:
    """Close files and sockets, remove what they have on disk and in the cgroups."""
    if notify is not None:
        notify.close()
    supervisor.output.close()
    supervisor.output.dropped.close()
    supervisor.events_log.close()
    supervisor.cgroups.remove_all()
    for bound in supervisor.bound.values():
        name = bound.getsockname()
        bound.close()
        if isinstance(name, str) and name.startswith("/"):
            Path(name).unlink(missing_ok=True)
    remove_runtime_dir(supervisor.run_dir)
    remove_control_socket(supervisor.run_dir, beside=(supervisor.around.notify_path.name,))
