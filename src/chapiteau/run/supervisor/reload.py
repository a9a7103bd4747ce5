"""Replacing the processes of a service without losing a request.

Batch by batch: new ones are started and must become ready, only then the old ones are asked to
end. When the new ones don't get ready they are killed, what was already replaced goes back to the
old settings, and the old processes have been serving all the time.
"""

import asyncio
from typing import Final

from chapiteau.run.config.spec import Service
from chapiteau.run.errors import SpawnError
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.process.process import Process
from chapiteau.run.process.replica import Replica
from chapiteau.run.process.states import State, Trigger
from chapiteau.run.supervisor.service_controller import ServiceController, no_process

__all__ = ["reload_one", "reload_service"]

_OFF: Final = (State.DOWN, State.STOPPING)
_AFTER_STOP: Final = 5.0  # seconds beyond their grace that old processes may take to end


async def reload_service(
    service: ServiceController,
    spec: Service | None = None,
    timeout: float | None = None,
    *,
    to: int = 0,
) -> Outcome:
    """Replace all processes, by ones with other settings where `spec` is given.

    `to`: go on with the reload to this generation that a brain before us did not complete.
    """
    new = spec or service.spec
    if not service.on:
        service.use(new)
        return Outcome(ok=True, text=f"{service.name} is stopped; the next start uses the new")
    replicas = sorted(service.replicas.values(), key=lambda one: one.number)
    if to:
        replicas = [one for one in replicas if one.generation < to]
    target = to or service.next_generation()
    return await _Reload(service, new, target, replicas, whole=True).run(timeout)


async def reload_one(service: ServiceController, number: int) -> Outcome:
    """Replace one process."""
    if (replica := service.running(number)) is None:
        return no_process(service.name, number)
    return await _Reload(service, service.spec, service.generation, [replica]).run(None)


class _Reload:
    """`candidates` are the new processes that are not ready (or not proven) yet."""

    def __init__(
        self,
        service: ServiceController,
        spec: Service,
        generation: int,
        replicas: list[Replica],
        *,
        whole: bool = False,
    ) -> None:
        self.candidates: list[Process] = []
        self.target = generation if whole else 0
        self._service, self._host, self._replicas = service, service.host, replicas
        self._old_spec, self._spec, self._generation = service.spec, spec, generation
        self._replaced: list[Replica] = []
        self._failure = ""
        self._failed: Process | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """The service is to be stopped: give the new ones up."""
        self._cancelled = True
        self._failure = "the service was stopped meanwhile"
        for process in self.candidates:
            self._host.kill(process)
        self._service.changed()

    async def run(self, timeout: float | None) -> Outcome:
        """Do it; what came of it."""
        self._service.reloading(self)
        try:
            return await self._run(timeout)
        finally:
            self._service.reloading(None)

    async def _run(self, timeout: float | None) -> Outcome:
        service, name = self._service, self._service.name
        self._host.emit("service.reloading", service=name, data={"generation": self._generation})
        old_pids = service.pids()
        try:
            async with asyncio.timeout(timeout):
                await self._replace_all()
        except TimeoutError:
            self._failure = f"not done within {timeout:g} s"
        if self._failure:
            return await self._give_up(old_pids)
        service.use(self._spec)
        limit = self._old_spec.stop_timeout + _AFTER_STOP
        await service.until(lambda: not any(one.retiring for one in self._replicas), limit)
        text = f"{name} reloaded, {len(self._replaced)} replaced"
        self._host.emit("service.reloaded", text, service=name)
        data = {"old_pids": old_pids, "new_pids": service.pids()}
        return Outcome(ok=True, text=text, data=data)

    async def _replace_all(self) -> None:
        rest, canary = list(self._replicas), bool(self._spec.canary)
        while rest and not self._failure:
            size = 1 if canary else self._spec.batch
            batch, rest = rest[:size], rest[size:]
            await asyncio.gather(*(self._replace(one, canary=canary) for one in batch))
            canary = False

    async def _replace(self, replica: Replica, *, canary: bool) -> None:
        new = await self._candidate(replica)
        if new is not None and canary:
            new = await self._proven(new)
        if new is None:
            return
        # From here to the exchange there is no await between "ready" and "yours".
        if self._failure or replica.state in _OFF:
            self._host.kill(new)
            return
        old = replica.take_over(new)
        self._replaced.append(replica)
        if old is not None:
            try:
                if self._spec.drain:
                    await self._service.until(lambda: self._cancelled, self._spec.drain)
            finally:
                replica.retire(old)

    async def _candidate(self, replica: Replica) -> Process | None:
        """A new process that is ready; None (and `_failure`) when there is none to be had."""
        try:
            new = await replica.spawn_candidate(self._spec, self._generation)
        except SpawnError as exc:
            self._failure = self._failure or exc.what
            return None
        limit = self._spec.ready.start_timeout
        self.candidates.append(new)
        await new.until(lambda: new.ready or not new.alive or self._cancelled, limit)
        self.candidates.remove(new)
        if new.ready and new.alive:
            return new
        self._fail(new, f"the new process {_why(new, limit)}")
        return None

    async def _proven(self, new: Process) -> Process | None:
        """The canary works beside the old ones, which are all there if it does not stay up."""
        self.candidates.append(new)
        fell = await new.until(
            lambda: not new.alive or bool(new.unhealthy) or self._cancelled, self._spec.canary
        )
        self.candidates.remove(new)
        if not fell:
            return new
        why = new.unhealthy or _how(new)
        self._fail(new, f"the first new process did not stay up ({why})")
        return None

    def _fail(self, new: Process, why: str) -> None:
        self._failed = self._failed or new
        self._failure = self._failure or why
        if new.alive:
            new.replaced()
            self._host.kill(new)

    async def _give_up(self, old_pids: list[int]) -> Outcome:
        service, name = self._service, self._service.name
        for process in self.candidates:
            self._host.kill(process)
        lines = self._host.last_lines(self._failed) if self._failed is not None else []
        self._host.emit("service.reload_failed", self._failure, service=name, data={"lines": lines})
        back = self._replaced if self._spec != self._old_spec and not self._cancelled else []
        for replica in back:  # what had been replaced goes back to the settings before
            replica.use(self._old_spec)
            replica.ask(Trigger.CYCLE_ASKED)
        if back:
            await service.until(lambda: service.satisfied, self._old_spec.ready.start_timeout)
        kept = len(service.replicas) - len(self._replaced)
        shown = "".join(f"\n    | {line}" for line in lines[-8:])
        return Outcome(
            ok=False,
            error=f"{name}: {self._failure}; {kept} old processes went on serving{shown}",
            hint=f"mend it, then: chapiteau reload {name}",
            exit_code=1,
            data={"old_pids": old_pids, "rolled_back": [one.number for one in back]},
        )


def _why(new: Process, limit: float) -> str:
    if not new.alive:
        return f"ended before it was ready ({_how(new)})"
    detail = f" ({new.status_text})" if new.status_text else ""
    return f"was not ready within {limit:g} s{detail}"


def _how(new: Process) -> str:
    if new.exit is None:
        return "still running"
    signal = new.exit.signal
    return f"exit {new.exit.code}" if signal is None else f"signal {signal}"
