"""All services: who waits for whom, and commands on each."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from chapiteau.core.errors import ChapiteauError, NotFoundError
from chapiteau.core.graph import layers
from chapiteau.run.config.selection import select
from chapiteau.run.config.spec import Service
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.process.fdstore import FdStore
from chapiteau.run.process.host import ProcessHost
from chapiteau.run.process.sockets import Sockets
from chapiteau.run.supervisor.background_tasks import BackgroundTasks
from chapiteau.run.supervisor.commands import COMMANDS, default_timeout, turn
from chapiteau.run.supervisor.desired_state import DesiredState
from chapiteau.run.supervisor.service_controller import ServiceController

__all__ = ["Services"]

_LEAST: Final = 0.001  # seconds for a command whose turn came with its deadline; 0 is no deadline
_OPEN_ENDED: Final = ("start", "restart", "reload")  # whose work has no other bound in all cases


class Services:
    """By name, in the file's order; `internal` are those of Chapiteau's own, like the dashboard."""

    def __init__(
        self,
        host: ProcessHost,
        sockets: Sockets,
        store: FdStore,
        desired: DesiredState,
        watcher: Callable[[ServiceController], None],
    ) -> None:
        self.internal: dict[str, Service] = {}
        self._host, self._sockets, self._store, self._desired = host, sockets, store, desired
        self._watcher = watcher
        self._by_name: dict[str, ServiceController] = {}
        self._background: dict[str, BackgroundTasks] = {}
        self._waiting: set[str] = set()
        self._rerun: dict[str, asyncio.Task[Outcome]] = {}  # of one-shots before a reload
        self._held: dict[str, str] = {}  # service whose reload waits → for which one-shot
        self._resumed: dict[str, asyncio.Task[Outcome]] = {}
        self._paused = False

    # ── which there are ─────────────────────────────────────────────────────────────────────
    def __iter__(self) -> Iterator[ServiceController]:
        return iter(list(self._by_name.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> ServiceController:
        return self._by_name[name]

    def get(self, name: str) -> ServiceController | None:
        """The service of this name."""
        return self._by_name.get(name)

    def add(self, name: str, spec: Service, *, internal: bool = False) -> ServiceController:
        """Make a service known; it does not start yet."""
        made = self._by_name[name] = ServiceController(name, spec, self._host, self)
        if internal:
            self.internal[name] = spec
        if (wish := self._desired.found.get(name)) is not None:
            made.restore(wish)
        return made

    def remove(self, name: str) -> None:
        """The configuration has it no more, and it has stopped."""
        self._by_name.pop(name).close()
        self.internal.pop(name, None)
        self._store.forget(name)
        self._end_background(name)
        self._desired.put(name, None)

    def select(self, pattern: str) -> list[str]:
        """Names that a pattern means. Raises NotFoundError."""
        return select(pattern, list(self._by_name), own=self.internal)

    def named(self, pattern: str) -> ServiceController:
        """The first one that a pattern means. Raises NotFoundError."""
        for name in self.select(pattern):
            return self._by_name[name]
        raise NotFoundError("there is no service")

    def in_stop_order(self) -> list[list[ServiceController]]:
        """Dependents before what they need; those that may stop together. Without internal ones."""
        order = layers({one.name: (*one.spec.needs, *one.spec.after) for one in self.configured()})
        return [[self._by_name[name] for name in group] for group in reversed(order)]

    def configured(self) -> list[ServiceController]:
        """All but internal ones: those see, and steer, what goes on."""
        return [one for one in self if one.name not in self.internal]

    # ── what a service needs of the others (Owner) ──────────────────────────────────────────
    def why_wait(self, service: ServiceController) -> str:
        """What it must wait for before it starts; "": nothing."""
        for name in service.spec.needs:
            need = self._by_name.get(name)
            if need is None or not need.satisfied:
                return f"waits for {name}, which is {need.state if need else 'not there'}"
        for name in service.spec.after:
            other = self._by_name.get(name)
            if other is not None and other.on and not other.satisfied and not other.gave_up:
                return f"waits for {name}, which is {other.state}"
        return ""

    def is_hopeless(self, service: ServiceController) -> bool:
        """Whether something that it needs has given up."""
        needs = (self._by_name.get(name) for name in service.spec.needs)
        return any(one is None or one.gave_up for one in needs)

    async def drain_sockets(self, service: ServiceController, numbers: Iterable[int]) -> None:
        """These numbers are about to end for good: what waits in their own sockets is taken."""
        await self._sockets.drain(service.spec, numbers, self._users)

    def on_change(self, service: ServiceController) -> None:
        """Something about it has changed."""
        self._sockets.release(self._users)
        self._wake_waiting(service)
        if service.spec.fd_store and service.quiet:
            self._store.forget(service.name, service.wanted if service.on else 0)
        self._watcher(service)

    def _users(self, socket: str, number: int) -> int:
        """How many services use a socket in their process of this number, or are about to."""
        return sum(
            1
            for one in self._by_name.values()
            if socket in one.spec.sockets
            and (replica := one.replicas.get(number)) is not None
            and not replica.quiet
        )

    def _wake_waiting(self, service: ServiceController) -> None:
        """Services that wait, and this one is among what they may wait for, look again."""
        if not service.waiting:
            self._waiting.discard(service.name)
        elif service.name not in self._waiting:
            self._waiting.add(service.name)
            service.recheck()  # what it waits for may have come before we knew that it waits
        for name in tuple(self._waiting):
            other = self._by_name.get(name)
            if other is None:
                self._waiting.discard(name)
            elif service.name in other.spec.needs or service.name in other.spec.after:
                other.recheck()

    async def run_before_reload(
        self, service: ServiceController, spec: Service, actor: str, done: Collection[str] = ()
    ) -> Outcome | None:
        """Run again the one-shots that `spec` needs and that want it; what hinders the reload.

        Those that are `done` are not: they have run for another change of the same file.
        """
        for name in spec.needs:
            one = self._by_name.get(name)
            if one is None or not one.spec.before_reload or name in done:
                continue
            task = self._rerun.get(name)
            if task is None or task.done():  # else a reload of another service has begun it
                running = any(one.processes())
                verb, rest = ("start", {"resume": True}) if running else ("restart", {})
                task = asyncio.ensure_future(self.run(verb, one, rest, actor))
                self._rerun[name] = task
            self._held[service.name] = name
            try:
                outcome = await asyncio.shield(task)
            finally:
                del self._held[service.name]
            if not outcome.ok:
                error = f"{service.name} was not reloaded, its processes go on: {outcome.error}"
                return replace(outcome, error=error)
        return None

    def why_held(self, name: str) -> str:
        """What a reload of this service waits for before it begins; "": nothing."""
        one = self._held.get(name)
        return f"its reload waits for {one}, which runs before" if one else ""

    def _is_long(self, service: ServiceController) -> bool:
        """Whether its start waits for the end of a job, which may take as long as it likes."""
        needs = (self._by_name.get(name) for name in service.spec.needs)
        return service.spec.is_job or any(one is not None and one.spec.is_job for one in needs)

    # ── background tasks ────────────────────────────────────────────────────────────────────
    def start_background(self, service: ServiceController) -> None:
        """Begin (anew) its schedule, file watch and scaling."""
        self._end_background(service.name)
        if not self._paused:
            made = BackgroundTasks(service, self._host, self._sockets, self.run)
            self._background[service.name] = made

    def pause(self) -> None:
        """End all background tasks, and begin none until `resume`."""
        self._paused = True
        for name in list(self._background):
            self._end_background(name)

    def resume(self) -> None:
        """Background tasks may run again."""
        self._paused = False
        for service in self:
            self.start_background(service)

    def _end_background(self, name: str) -> None:
        if (before := self._background.pop(name, None)) is not None:
            before.end()

    def next_run(self, name: str) -> float:
        """When its schedule starts it next, seconds since 1970; 0: never."""
        tasks = self._background.get(name)
        return tasks.next_run if tasks is not None else 0.0

    # ── commands ────────────────────────────────────────────────────────────────────────────
    async def run_all(
        self, verb: str, pattern: str, options: Mapping[str, Any], actor: str
    ) -> dict[str, Outcome]:
        """A command on every service that is meant, side by side. Raises NotFoundError."""
        names = self.select(pattern)
        results = await asyncio.gather(
            *(self.run(verb, self._by_name[name], options, actor) for name in names)
        )
        return dict(zip(names, results, strict=True))

    def resume_reload(self, service: ServiceController, to: int, actor: str) -> None:
        """Complete the reload that a brain before us died over."""
        self._resumed[service.name] = asyncio.ensure_future(
            self.run("reload", service, {"to": to}, actor)
        )

    async def run(
        self, verb: str, service: ServiceController, options: Mapping[str, Any], actor: str
    ) -> Outcome:
        """A command on one service, after those before it. Raises NotFoundError for no command."""
        if verb not in COMMANDS:
            raise NotFoundError(f"no command {verb!r}")
        if options.get("resume") and (resumed := self._resumed.get(service.name)) is not None:
            return await asyncio.shield(resumed)
        if verb == "stop" and service.lock.locked() and service.on:
            # It does not queue behind the start or reload that it ends: that one is told so.
            await self._host.hook("before_stop", service.name, service.spec)
            service.switch_off()
        if not options.get("wait", True):
            self._host.run(self._run_later(verb, service, options, actor))
            return Outcome(ok=True, text=f"{service.name}: {verb} asked")
        return await self._run(verb, service, options, actor)

    async def _run_later(self, *args: Any) -> None:
        await self._run(*args)

    async def _run(
        self, verb: str, service: ServiceController, options: Mapping[str, Any], actor: str
    ) -> Outcome:
        timeout = float(options.get("timeout") or 0)
        limit = timeout or default_timeout(verb, service.spec, service.wanted)
        begun = self._host.clock.now()
        try:
            async with turn(service, verb, limit):
                left = max(begun + limit - self._host.clock.now(), _LEAST)
                if timeout or (verb in _OPEN_ENDED and not self._is_long(service)):
                    options = {**options, "timeout": left}
                failed = None
                if verb == "reload" and service.on and not options.get("process"):
                    failed = await self.run_before_reload(service, service.spec, actor)
                outcome = failed or await COMMANDS[verb](service, options)
        except ChapiteauError as exc:
            outcome = Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=exc.exit_code)
        text = outcome.text if outcome.ok else outcome.error.splitlines()[0]
        self._host.emit("command.done", f"{verb}: {text}", service=service.name, who=actor,
                        data={"verb": verb, "ok": outcome.ok})  # fmt: skip
        return outcome
