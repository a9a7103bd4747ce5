"""One service: its numbers, its commands (one after the other), what it waits for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from chapiteau.run.config.spec import Service
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.process.process import Process
from chapiteau.run.process.replica import Replica, ReplicaHost
from chapiteau.run.process.states import State, Trigger, service_state
from chapiteau.run.supervisor.reload import Reload

__all__ = ["ServiceController"]

_AFTER_KILL = 5.0  # seconds a killed process may take to go before a stop says it is stuck


class ServiceController:
    """`start`, `stop`, … wait until done and tell what happened; callers queue at `lock`."""

    def __init__(self, name: str, spec: Service, ground: ReplicaHost) -> None:
        self.name, self.spec, self.ground = name, spec, ground
        self.on = False
        self.wanted = spec.processes
        self.waiting = ""  # for what, while it waits for what it needs
        self.refused = ""  # what a hook had against the last start
        self.generation = 0
        self.slots: dict[int, Replica] = {}
        self.lock = asyncio.Lock()
        self.reload: Reload | None = None
        self.needs_met: Callable[[], str] = lambda: ""  # "" or why it must wait
        self.needs_hopeless: Callable[[], bool] = lambda: False  # one of them has given up
        self.leave: Callable[[Iterable[int]], Awaitable[None]] | None = None  # before they end
        self._watchers: list[Callable[[], None]] = []
        self._starting: asyncio.Task[None] | None = None
        self._announced = ""
        self._woken = asyncio.Event()
        self._begun = False  # whether the last wish to start has reached the processes
        self._noticing = False

    def __repr__(self) -> str:
        return f"<Runner {self.name} {self.state} {self.ready_count}/{self.wanted}>"

    # ── looking ─────────────────────────────────────────────────────────────────────────────
    @property
    def state(self) -> str:
        """One word (run/process/states.py)."""
        return service_state(
            on=self.on, waiting=self.waiting, reloading=self.reload is not None,
            states=[slot.state for slot in self.slots.values()], refused=bool(self.refused),
        )  # fmt: skip

    @property
    def ready_count(self) -> int:
        """Numbers under which a ready process runs."""
        return sum(1 for s in self.slots.values() if s.instance is not None and s.instance.ready)

    @property
    def satisfied(self) -> bool:
        """Whether those who need this service may start."""
        if self.spec.is_job:
            return self.state == "completed"
        return self.on and self.wanted > 0 and self.ready_count >= self.wanted

    @property
    def gave_up(self) -> bool:
        """Whether some number has failed for good, or a hook forbade the start."""
        return bool(self.refused) or any(slot.state is State.FAILED for slot in self.slots.values())

    def instances(self) -> Iterable[Process]:
        """Every process that is alive, the retiring ones too."""
        for slot in self.slots.values():
            if slot.instance is not None:
                yield slot.instance
            yield from slot.retiring
        if self.reload is not None:
            yield from self.reload.candidates

    def slot_of(self, instance: Process) -> Replica:
        """The number under which a process runs."""
        return self.slots[instance.number]

    # ── waiting for facts ───────────────────────────────────────────────────────────────────
    def changed(self) -> None:
        """Something about this service changed: look at it once, when this turn is over.

        A hundred processes that change together cost one look, not a hundred.
        """
        if not self._noticing:
            self._noticing = True
            asyncio.get_running_loop().call_soon(self._notice)

    def _notice(self) -> None:
        self._noticing = False
        for watcher in tuple(self._watchers):
            watcher()
        self._announce()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call this after every change."""
        self._watchers.append(watcher)

    async def until(self, fact: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait for a fact about this service; False when it did not become true in time."""
        if fact():
            return True
        happened = asyncio.Event()

        def look() -> None:
            if fact():
                happened.set()

        self._watchers.append(look)
        try:
            async with asyncio.timeout(timeout):
                await happened.wait()
        except TimeoutError:
            return fact()
        finally:
            self._watchers.remove(look)
        return True

    def _announce(self) -> None:
        """Say it when the service as a whole became something else."""
        state = self.state
        if state == self._announced:
            return
        before, self._announced = self._announced, state
        kind = {
            "running": "service.recovered" if before in ("backoff", "failed") else "service.ready",
            "stopped": "service.stopped" if before else "",
            "completed": "service.completed",
            "failed": "service.failed",
            "waiting": "service.waiting",
        }.get(state, "")
        if kind:
            self.ground.say(kind, self.reason, service=self.name)

    @property
    def reason(self) -> str:
        """Why it is not simply running."""
        if self.refused:
            return self.refused
        if self.waiting and self.on:
            return self.waiting
        reasons = [slot.reason for slot in self.slots.values() if slot.reason]
        return reasons[0] if reasons else ""

    # ── commands ────────────────────────────────────────────────────────────────────────────
    async def start(self, timeout: float | None) -> Outcome:
        """Start what is not running, and wait until all is ready (a one-shot: has ended)."""
        if self.on and self.satisfied:
            return Outcome(ok=True, text=f"{self.name} runs already")
        self.switch_on()
        await self.until(self._settled, timeout)
        return self._outcome("started")

    def switch_on(self) -> None:
        """Want it up; what it needs is waited for in the background."""
        self.on, self._begun, self.refused = True, False, ""
        self._make_slots()
        if self._starting is None or self._starting.done():
            self._starting = asyncio.ensure_future(self._start_when_possible())

    def _make_slots(self) -> None:
        for number in range(1, self.wanted + 1):
            if number not in self.slots:
                self.slots[number] = Replica(
                    self.name, number, self.spec, self.ground, self.changed
                )
                self.slots[number].generation = self.generation

    async def _start_when_possible(self) -> None:
        self.waiting = self.needs_met()
        if self.waiting:
            self.changed()
        while self.on and self.waiting:
            self._woken.clear()
            await self._woken.wait()
            self.waiting = self.needs_met()
        fresh = not any(True for _ in self.instances())  # else a brain before us has started it
        if self.on and fresh and await self._forbidden("before_start"):
            return
        if self.on:
            self.ground.say("service.starting", service=self.name)
            for slot in list(self.slots.values()):
                if slot.number <= self.wanted:
                    slot.feed(Trigger.START_ASKED)
        if self.on and fresh and "after_start" in self.spec.hooks:
            await self.until(self._up_or_not)
            if self.satisfied and await self._forbidden("after_start"):
                return
        self._begun = True
        self.changed()

    async def _forbidden(self, point: str) -> bool:
        """Whether a hook forbids the start; then the service is down, and says why."""
        self.refused = await self.ground.hook(point, self.name, self.spec)
        if not self.refused:
            return False
        self.on, self._begun = False, True
        self._announced = "failed"
        cause = {"cause": self.refused}
        self.ground.say("service.failed", self.refused, service=self.name, data=cause)
        for slot in list(self.slots.values()):
            slot.feed(Trigger.STOP_ASKED)
        self.changed()
        return True

    def look_again(self) -> None:
        """Something that this service may wait for has changed."""
        if self.waiting:
            self._woken.set()
            self.changed()

    def _settled(self) -> bool:
        if not self._begun and self.on:
            return bool(self.waiting) and self.needs_hopeless()
        return self._up_or_not()

    def _up_or_not(self) -> bool:
        if self.satisfied or self.gave_up or not self.on:
            return True
        if not self.wanted:  # nobody can rely on it, but there is nothing to wait for either
            return self._extra_gone()
        # Three tries in a row that failed: whoever started it wants to hear that, not to wait on.
        # Without a pause between them it is never seen waiting for the next: then ten.
        return any(
            slot.history.row >= (3 if slot.state is State.BACKOFF else 10)
            for slot in self.slots.values()
            if slot.state in (State.BACKOFF, State.STARTING)
        )

    def _outcome(self, done: str) -> Outcome:
        data = {"pids": [i.pid for i in self.instances()], "state": self.state}
        if self.on and not self.wanted and not self.spec.is_job:
            return Outcome(ok=True, text=f"{self.name} {done}, without a process", data=data)
        if self.satisfied:
            count = self.ready_count
            what = "completed" if self.spec.is_job else f"{done}, {count} ready"
            return Outcome(ok=True, text=f"{self.name} {what}", data=data)
        detail = self._last_failure()
        stuck = f"; {self.reason}" if self.reason and self.reason not in detail else ""
        return Outcome(
            ok=False,
            error=f"{self.name} is {self.state}{stuck}{detail}",
            hint=self._hint(),
            exit_code=1,
            data=data,
        )

    def _last_failure(self) -> str:
        exits = [s.last_exit for s in self.slots.values() if s.last_exit]
        if not exits:
            return ""
        last = max(exits, key=lambda e: e.get("time", 0.0))
        lines = "".join(f"\n    | {line}" for line in last.get("lines", [])[-8:])
        cause = f" ({last['cause']})" if last.get("cause") else ""
        text = str(last.get("text", ""))
        return f": {self.reason if text in self.reason else text}{cause}{lines}"

    def _hint(self) -> str:
        hints = [s.last_exit.get("hint", "") for s in self.slots.values()]
        return next((h for h in hints if h), f"chapiteau logs {self.name}")

    async def stop(self, timeout: float | None = None) -> Outcome:
        """Stop every process, all at the same time, and wait until nothing is left."""
        if not self.on and self.quiet:
            self.refused = ""
            self.changed()
            return Outcome(ok=True, text=f"{self.name} is stopped already")
        if self.on:
            await self.ground.hook("before_stop", self.name, self.spec)
        self.switch_off()
        limit = timeout or self.spec.stop_timeout + _AFTER_KILL
        while not await self.until(lambda: self.quiet, limit):
            if timeout is None and (more := self._grace_left()) > 0:
                limit = more + _AFTER_KILL
                continue
            left = [i.pid for i in self.instances()]
            return Outcome(
                ok=False,
                error=f"{self.name}: {len(left)} processes are still there after {limit:g} s",
                hint=f"see /proc/{left[0]}/stack: a process in state D ends only when its I/O does"
                if left
                else "",
                exit_code=6,
                data={"pids": left},
            )
        await self.ground.hook("after_stop", self.name, self.spec)
        return Outcome(ok=True, text=f"{self.name} stopped")

    def _grace_left(self) -> float:
        """Seconds that a process has asked for (EXTEND_TIMEOUT_USEC) and still has."""
        ends = max((slot.grace_ends for slot in self.slots.values()), default=0.0)
        return ends - self.ground.clock.now()

    def switch_off(self) -> None:
        """Want it down."""
        self.on, self.waiting = False, ""
        if self._starting is not None:
            self._starting.cancel()
        if self.reload is not None:
            self.reload.cancel()
        self.ground.say("service.stopping", service=self.name)
        for slot in list(self.slots.values()):
            slot.feed(Trigger.STOP_ASKED)
        self.changed()

    @property
    def quiet(self) -> bool:
        """No process of it is left."""
        return self.reload is None and all(slot.quiet for slot in self.slots.values())

    async def restart(self, timeout: float | None) -> Outcome:
        """Stop and start every process, each as soon as its old one has gone."""
        if not self.on:
            return await self.start(timeout)
        old = {i.key for i in self.instances()}
        for slot in list(self.slots.values()):
            slot.spec, slot.generation = self.spec, self.generation
            slot.feed(Trigger.CYCLE_ASKED)
        await self.until(
            lambda: self._settled() and not old & {i.key for i in self.instances()}, timeout
        )
        return self._outcome("restarted")

    async def one(self, number: int, event: Trigger, timeout: float | None) -> Outcome:
        """Stop (STOP_ASKED) or restart (CYCLE_ASKED) one process; the others go on."""
        slot = self.slots.get(number)
        if slot is None or not self.on:
            return Outcome(ok=False, error=f"{self.name}: no process {number} runs", exit_code=3)
        old = slot.instance.key if slot.instance is not None else ""
        if event is Trigger.STOP_ASKED and self.leave is not None:
            await self.leave([number])
        slot.feed(event)

        def done() -> bool:
            if event is Trigger.STOP_ASKED:
                return slot.quiet
            new = slot.instance
            return slot.state is State.FAILED or (new is not None and new.key != old and new.ready)

        limit = timeout or self.spec.stop_timeout + self.spec.ready.start_timeout + _AFTER_KILL
        if await self.until(done, limit) and slot.state is not State.FAILED:
            what = "stopped" if event is Trigger.STOP_ASKED else "restarted"
            return Outcome(ok=True, text=f"{self.name}.{number} {what}")
        error = f"{self.name}.{number} is {slot.state.value}: {slot.reason}"
        return Outcome(ok=False, error=error, hint=self._hint(), exit_code=1)

    async def scale(self, count: int, timeout: float | None) -> Outcome:
        """Change how many processes there are; the highest numbers go first."""
        before, self.wanted = self.wanted, count
        self.ground.say(
            "service.scaled", f"{before} → {count}", service=self.name,
            data={"from": before, "to": count},
        )  # fmt: skip
        if not self.on:
            self._drop_extra()
            return Outcome(ok=True, text=f"{self.name} will have {count} processes")
        self._make_slots()
        if count < before and count and self.leave is not None:
            await self.leave([number for number in self.slots if number > count])
        for slot in list(self.slots.values()):
            slot.feed(Trigger.START_ASKED if slot.number <= count else Trigger.STOP_ASKED)
        limit = timeout or self.spec.stop_timeout + self.spec.ready.start_timeout
        await self.until(lambda: self._settled() and self._extra_gone(), limit)
        self._drop_extra()
        self.changed()
        if count == 0:
            return Outcome(ok=True, text=f"{self.name} has no processes now")
        return self._outcome(f"scaled from {before} to {count}")

    def _extra_gone(self) -> bool:
        return all(s.quiet for s in self.slots.values() if s.number > self.wanted)

    def _drop_extra(self) -> None:
        for number in [n for n, s in self.slots.items() if n > self.wanted and s.quiet]:
            del self.slots[number]

    async def replace(self, spec: Service | None = None, timeout: float | None = None) -> Outcome:
        """Replace processes batch by batch (run/supervisor/reload.py)."""
        new = spec or self.spec
        if not self.on:
            self.spec = new
            return Outcome(ok=True, text=f"{self.name} is stopped; the next start uses the new")
        self.generation += 1
        self.reload = Reload(self, new, self.generation)
        self.changed()
        try:
            outcome = await self.reload.run(timeout)
        finally:
            self.reload = None
            self.changed()
        return outcome

    async def renew(self, number: int) -> Outcome:
        """Replace one process, as a reload does."""
        slot = self.slots.get(number)
        if slot is None or not self.on:
            return Outcome(ok=False, error=f"{self.name}: no process {number} runs", exit_code=3)
        self.reload = Reload(self, self.spec, self.generation, only=slot)
        try:
            return await self.reload.run(None)
        finally:
            self.reload = None
            self.changed()

    def rest(self) -> None:
        """A run of a scheduled service is over: the next start begins afresh."""
        if self.quiet:
            self.on = False
            for slot in self.slots.values():
                if slot.state is not State.DOWN:
                    slot.feed(Trigger.STOP_ASKED)

    def adopt(self, instance: Process) -> None:
        """A process found alive (or with an end we have not heard of) at our own start."""
        slot = self.slots.get(instance.number)
        if slot is None:
            slot = Replica(self.name, instance.number, self.spec, self.ground, self.changed)
            self.slots[instance.number] = slot
        self.on = True
        self.generation = max(self.generation, instance.generation)
        slot.generation = instance.generation
        if slot.instance is not None:  # two under one number: a reload was going on
            older, newer = sorted((slot.instance, instance), key=lambda i: i.began_wall)
            older.replaced = older.asked = True
            slot.retiring.append(older)
            slot.instance = newer
        else:
            slot.instance = instance
            slot.state = State.RUNNING if instance.ready else State.STARTING
        slot.attend(instance)

    def use(self, spec: Service) -> None:
        """Other settings from now on; processes that run keep theirs until they are made anew."""
        self.spec = spec
        for slot in self.slots.values():
            slot.spec = spec

    def restore_completed(self) -> None:
        """A one-shot that had done its work before this brain: it is not run again."""
        self.on = True
        self._make_slots()
        for slot in self.slots.values():
            slot.state = State.COMPLETED
        self._announced = "completed"

    def facts(self) -> dict[str, Any]:
        """What a later brain must know of our wishes."""
        return {"on": self.on, "wanted": self.wanted, "generation": self.generation}
