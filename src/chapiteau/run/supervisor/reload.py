"""Replacing the processes of a service without losing a request.

Batch by batch: new ones are started and must become ready, only then the old ones are asked to
end. When the new ones don't get ready they are ended, what was already replaced goes back to the
old settings, and the old processes have been serving all the time.
"""

import asyncio
from typing import TYPE_CHECKING

from chapiteau.run.config.spec import Service
from chapiteau.run.errors import SpawnError
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.process.process import Process
from chapiteau.run.process.replica import Replica
from chapiteau.run.process.states import State, Trigger

if TYPE_CHECKING:
    from chapiteau.run.supervisor.service_controller import ServiceController

__all__ = ["Reload"]

_OFF = (State.DOWN, State.STOPPING)


class Reload:
    """One reload of one service; `candidates` are the new processes that are not ready yet."""

    def __init__(
        self,
        runner: "ServiceController",
        spec: Service,
        generation: int,
        only: Replica | None = None,
    ) -> None:
        self.candidates: list[Process] = []
        self._runner, self._ground = runner, runner.ground
        self._old_spec, self._spec, self._generation = runner.spec, spec, generation
        self._replaced: list[Replica] = []
        self._failure = ""
        self._failed: Process | None = None
        self._cancelled = False
        self._only = only

    def cancel(self) -> None:
        """Somebody wants the service down: give the new ones up."""
        self._cancelled = True
        self._failure = "the service was stopped meanwhile"
        for instance in self.candidates:
            self._ground.kill(instance)
        self._runner.changed()

    async def run(self, timeout: float | None) -> Outcome:
        """Do it; what came of it."""
        runner, name = self._runner, self._runner.name
        self._ground.say("service.reloading", service=name, data={"generation": self._generation})
        old_pids = [i.pid for i in runner.instances()]
        slots = sorted(runner.slots.values(), key=lambda s: s.number)
        slots = slots if self._only is None else [self._only]
        try:
            async with asyncio.timeout(timeout):
                await self._all(slots)
        except TimeoutError:
            self._failure = f"not done within {timeout:g} s"
        if self._failure:
            return await self._give_up(old_pids)
        runner.spec = self._spec
        await self._old_ones_gone(slots)
        new_pids = [i.pid for i in runner.instances()]
        text = f"{name} reloaded, {len(self._replaced)} replaced"
        self._ground.say("service.reloaded", text, service=name)
        return Outcome(ok=True, text=text, data={"old_pids": old_pids, "new_pids": new_pids})

    async def _all(self, slots: list[Replica]) -> None:
        rest = list(slots)
        first = True
        while rest and not self._failure:
            size = 1 if first and self._spec.canary else self._spec.batch
            batch, rest = rest[:size], rest[size:]
            await asyncio.gather(*(self._one(slot, canary=first) for slot in batch))
            first = False

    async def _one(self, slot: Replica, *, canary: bool) -> None:
        new = await self._candidate(slot)
        if new is not None and canary and self._spec.canary:
            new = await self._proven(new)
        if new is None:
            return
        # The grace of taking over: one turn without await between "ready" and "yours".
        if self._failure or slot.state in _OFF:
            self._ground.kill(new)
            return
        old = slot.take_over(new, self._spec, self._generation)
        self._replaced.append(slot)
        if old is not None:
            if self._spec.drain:
                await asyncio.sleep(self._spec.drain)
            self._retire(old)

    async def _candidate(self, slot: Replica) -> Process | None:
        """A new process that is ready; None (and `_failure`) when there is none to be had."""
        runner = self._runner
        try:
            new = await self._ground.spawn(runner.name, self._spec, slot.number, self._generation)
        except SpawnError as exc:
            self._failure = self._failure or exc.what
            return None
        self.candidates.append(new)
        self._ground.watch(new, self._spec, slot)
        limit = self._spec.ready.start_timeout
        await runner.until(lambda: new.ready or not new.alive or self._cancelled, limit)
        self.candidates.remove(new)
        if new.ready and new.alive:
            return new
        why = _why(new, limit)
        self._failed = self._failed or new
        self._failure = self._failure or f"the new process {why}"
        if new.alive:
            new.asked = True
            self._ground.kill(new)
        return None

    def _retire(self, old: Process) -> None:
        """Ask it to finish; kill it when it has not within its time."""
        if not old.alive:
            return
        self._ground.ask_to_end(old, self._old_spec)
        old.after(self._old_spec.stop_timeout, lambda: self._ground.kill(old))

    async def _proven(self, new: Process) -> Process | None:
        """The canary works beside the old ones; when it does not stay up, all of them are there."""
        self.candidates.append(new)
        fell = await self._runner.until(
            lambda: not new.alive or bool(new.unhealthy) or self._cancelled, self._spec.canary
        )
        self.candidates.remove(new)
        if not fell:
            return new
        self._failed = new
        why = new.unhealthy or _why_ended(new)
        self._failure = self._failure or f"the first new process did not stay up ({why})"
        if new.alive:
            new.asked = True
            self._ground.kill(new)
        return None

    async def _old_ones_gone(self, slots: list[Replica]) -> None:
        limit = self._old_spec.stop_timeout + 5.0
        await self._runner.until(lambda: not any(slot.retiring for slot in slots), limit)

    async def _give_up(self, old_pids: list[int]) -> Outcome:
        runner, name = self._runner, self._runner.name
        for instance in self.candidates:
            self._ground.kill(instance)
        lines = self._ground.last_lines(self._failed) if self._failed is not None else []
        self._ground.say(
            "service.reload_failed", self._failure, service=name, data={"lines": lines}
        )
        back = self._replaced if self._spec != self._old_spec and not self._cancelled else []
        for slot in back:  # what had already been replaced goes back to the settings before
            slot.spec = self._old_spec
            slot.feed(Trigger.CYCLE_ASKED)
        if back:
            await runner.until(lambda: runner.satisfied, self._old_spec.ready.start_timeout)
        kept = len(runner.slots) - len(self._replaced)
        shown = "".join(f"\n    | {line}" for line in lines[-8:])
        return Outcome(
            ok=False,
            error=f"{name}: {self._failure}; {kept} old processes went on serving{shown}",
            hint=f"mend it, then: chapiteau reload {name}",
            exit_code=1,
            data={"old_pids": old_pids, "rolled_back": [s.number for s in back]},
        )


def _why(new: Process, limit: float) -> str:
    if not new.alive and new.end is not None:
        return f"ended before it was ready ({_why_ended(new)})"
    detail = f" ({new.status_text})" if new.status_text else ""
    return f"was not ready within {limit:g} s{detail}"


def _why_ended(new: Process) -> str:
    end = new.end
    if end is None:
        return "still running"
    return f"exit {end['code']}" if end["signal"] is None else f"signal {end['signal']}"
