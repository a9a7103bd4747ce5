"""One service: its replicas, its commands (one after the other), what it waits for."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from chapiteau.run.config.spec import Service
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.process.host import ProcessHost
from chapiteau.run.process.process import Changes, Process
from chapiteau.run.process.replica import Pause, Replica
from chapiteau.run.process.states import State, Trigger, service_state

__all__ = ["Candidates", "Owner", "ServiceController", "Wish", "no_process"]

_AFTER_KILL: Final = 5.0  # seconds that a killed process may take to end before a stop is stuck
_OVER: Final = (State.FAILED, State.COMPLETED)
_MAX_TRIES: Final = 3  # failed in a row: whoever started it is told, instead of waiting on
_MAX_TRIES_AT_ONCE: Final = 10  # … where there is no pause between them
_EVENTS: Final = {
    "running": "service.ready",
    "stopped": "service.stopped",
    "completed": "service.completed",
    "failed": "service.failed",
    "waiting": "service.waiting",
}


class Owner(Protocol):
    """What a service needs of all the others."""

    def why_wait(self, service: "ServiceController") -> str:
        """What it must wait for before it starts; "": nothing."""

    def is_hopeless(self, service: "ServiceController") -> bool:
        """Whether something that it needs has given up."""

    async def drain_sockets(self, service: "ServiceController", numbers: Iterable[int]) -> None:
        """These numbers are about to end for good: what waits in their own sockets is taken."""

    def on_change(self, service: "ServiceController") -> None:
        """Something about it has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What people want of a service; a later brain begins with it."""

    on: bool
    wanted: int
    generation: int
    refused: str = ""  # what a hook had against the last start
    paused: Mapping[str, Pause] = field(default_factory=dict)  # by number
    reload_to: int = 0  # the generation that a reload of it all was about to make


class Candidates(Protocol):
    """A reload under way, as far as the service looks at it."""

    candidates: list[Process]
    target: int  # the generation that the whole service shall have; 0: it concerns one process

    def cancel(self) -> None:
        """Give it up."""


class ServiceController:
    """`start`, `stop`, … wait until done and say what happened; callers queue at `lock`."""

    def __init__(self, name: str, spec: Service, host: ProcessHost, owner: Owner) -> None:
        self.name, self.spec, self.host, self._owner = name, spec, host, owner
        self.on = False
        self.wanted = spec.processes
        self.waiting = ""  # for what, while it waits for what it needs
        self.refused = ""  # what a hook had against the last start
        self.generation = 0
        self.replicas: dict[int, Replica] = {}
        self.lock = asyncio.Lock()
        self.reload: Candidates | None = None
        self._changes = Changes()
        self._starting: asyncio.Task[None] | None = None
        self._was_on = True  # before this brain, as far as we know
        self._begun = False  # whether the last wish to start has reached the replicas
        self._announced = ""
        self._noticing = False

    def __repr__(self) -> str:
        return f"<ServiceController {self.name} {self.state} {self.ready_count}/{self.wanted}>"

    # ── facts ───────────────────────────────────────────────────────────────────────────────
    @property
    def state(self) -> str:
        """One word (run/process/states.py)."""
        return service_state(
            on=self.on, waiting=self.waiting, reloading=self.reload is not None,
            states=[one.state for one in self.replicas.values()], refused=bool(self.refused),
            starting=self._starting is not None and not self._starting.done(),
        )  # fmt: skip

    @property
    def ready_count(self) -> int:
        """Replicas whose process is ready."""
        return sum(
            1 for one in self.replicas.values() if one.process is not None and one.process.ready
        )

    @property
    def satisfied(self) -> bool:
        """Whether those who need this service may start."""
        if self.spec.is_job:
            return self.state == "completed"
        return self.on and self.wanted > 0 and self.ready_count >= self.wanted

    @property
    def gave_up(self) -> bool:
        """Whether some replica has failed for good, or a hook forbade the start."""
        failed = any(one.state is State.FAILED for one in self.replicas.values())
        return bool(self.refused) or failed

    @property
    def quiet(self) -> bool:
        """No process of it is left."""
        return self.reload is None and all(one.quiet for one in self.replicas.values())

    @property
    def reason(self) -> str:
        """Why it is not simply running."""
        if self.refused or (self.waiting and self.on):
            return self.refused or self.waiting
        return next((one.reason for one in self.replicas.values() if one.reason), "")

    def processes(self) -> Iterator[Process]:
        """Every process that is alive, replaced ones and candidates too."""
        for replica in self.replicas.values():
            yield from replica.processes()
        if self.reload is not None:
            yield from (one for one in self.reload.candidates if one.alive)

    def pids(self) -> list[int]:
        """Of all its processes."""
        return [one.pid for one in self.processes()]

    def wish(self) -> Wish:
        """What a later brain must know."""
        states = [one.state for one in self.replicas.values()]
        over = bool(self.spec.schedule and states) and all(one in _OVER for one in states)
        return Wish(
            on=self.on and not over,  # a scheduled run that is over is not run again
            wanted=self.wanted,
            generation=self.generation,
            refused=self.refused,
            paused={
                str(number): pause
                for number, one in self.replicas.items()
                if (pause := one.pause) is not None
            },
            reload_to=self.reload.target if self.reload is not None else 0,
        )

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
        self._owner.on_change(self)
        self._changes.notify()
        self._announce()

    async def until(self, fact: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait for a fact about this service; False when it did not become true in time."""
        return await self._changes.until(fact, timeout)

    def _announce(self) -> None:
        """Emit an event when the service as a whole became something else."""
        state = self.state
        if state == self._announced:
            return
        before, self._announced = self._announced, state
        kind = _EVENTS.get(state, "")
        if state == "running" and before in ("backoff", "failed"):
            kind = "service.recovered"
        if kind and (before or state != "stopped"):
            self.host.emit(kind, self.reason, service=self.name)

    # ── start ───────────────────────────────────────────────────────────────────────────────
    async def start(self, timeout: float | None, *, resume: bool = False) -> Outcome:
        """Start what is not running, and wait until all is ready (a one-shot: has ended).

        `resume`: only wait, when it was started already.
        """
        if self.spec.schedule and self.satisfied and not resume:
            self.reset()  # somebody wants it now, however often it has run
        if self.on and self.satisfied:
            again = f"has completed already; `chapiteau restart {self.name}` runs it again"
            text = again if self.spec.is_job else "runs already"
            return Outcome(ok=True, text=f"{self.name} {text}")
        if not (resume and self.on):
            self.switch_on()
        await self.until(self._settled, timeout)
        return self._outcome("started")

    def switch_on(self, *, inherited: bool = False) -> None:
        """Want it up; what it needs is waited for in the background.

        `inherited` from a brain before us: a number that is paused is left alone.
        """
        self.on, self._begun, self.refused = True, False, ""
        self._make_replicas()
        if self._starting is None or self._starting.done():
            left = [one for one in self.replicas.values() if inherited and one.pause is not None]
            self._starting = asyncio.ensure_future(self._start_when_possible(left))

    def _make_replicas(self) -> None:
        for number in range(1, self.wanted + 1):
            if number not in self.replicas:
                self._make_replica(number)

    def _make_replica(self, number: int) -> Replica:
        made = Replica(self.name, number, self.spec, self.host, self.changed, self.generation)
        self.replicas[number] = made
        return made

    async def _start_when_possible(self, left: Sequence[Replica]) -> None:
        self.waiting = self._owner.why_wait(self)
        if self.waiting:
            self.changed()
        while self.on and self.waiting:
            await self._changes.wait()
            self.waiting = self._owner.why_wait(self)
        fresh = not left and not any(self.processes())  # else a brain before us has started it
        if self.on and fresh and await self._forbidden("before_start"):
            return
        if self.on:
            self.host.emit("service.starting", service=self.name)
            self._ask_all(Trigger.START_ASKED, up_to=self.wanted, but=left)
        if self.on and fresh and "after_start" in self.spec.hooks:
            await self.until(self._up_or_not)
            if self.satisfied and await self._forbidden("after_start"):
                return
        self._begun = True
        self.changed()

    async def _forbidden(self, point: str) -> bool:
        """Whether a hook forbids the start; then the service is down, and says why."""
        self.refused = await self.host.hook(point, self.name, self.spec)
        if not self.refused:
            return False
        self.on, self._begun, self._announced = False, True, "failed"
        cause = {"cause": self.refused}
        self.host.emit("service.failed", self.refused, service=self.name, data=cause)
        self._ask_all(Trigger.STOP_ASKED)
        self.changed()
        return True

    def _ask_all(
        self, trigger: Trigger, up_to: float = float("inf"), but: Sequence[Replica] = ()
    ) -> None:
        for replica in list(self.replicas.values()):
            if replica.number <= up_to and replica not in but:
                replica.ask(trigger)

    def recheck(self) -> None:
        """Something that this service may wait for has changed."""
        if self.waiting:
            self._changes.notify()
            self.changed()

    def _settled(self) -> bool:
        if not self._begun and self.on:
            return bool(self.waiting) and self._owner.is_hopeless(self)
        return self._up_or_not()

    def _up_or_not(self) -> bool:
        if self.satisfied or self.gave_up or not self.on:
            return True
        if not self.wanted:  # nobody can rely on it, but there is nothing to wait for either
            return self._extra_gone()
        return any(
            one.history.row >= (_MAX_TRIES if one.state is State.BACKOFF else _MAX_TRIES_AT_ONCE)
            for one in self.replicas.values()
            if one.state in (State.BACKOFF, State.STARTING)
        )

    def _outcome(self, done: str) -> Outcome:
        data = {"pids": self.pids(), "state": self.state}
        if self.on and not self.wanted and not self.spec.is_job:
            return Outcome(ok=True, text=f"{self.name} {done}, without a process", data=data)
        if self.satisfied:
            what = "completed" if self.spec.is_job else f"{done}, {self.ready_count} ready"
            return Outcome(ok=True, text=f"{self.name} {what}", data=data)
        detail = self._last_failure()
        stuck = f"; {self.reason}" if self.reason and self.reason not in detail else ""
        error = f"{self.name} is {self.state}{stuck}{detail}"
        return Outcome(ok=False, error=error, hint=self._hint(), exit_code=1, data=data)

    def _last_failure(self) -> str:
        exits = [one.last_exit for one in self.replicas.values() if one.last_exit is not None]
        if not exits:
            return ""
        last = max(exits, key=lambda end: end.time)
        lines = "".join(f"\n    | {line}" for line in last.lines[-8:])
        cause = f" ({last.cause})" if last.cause else ""
        return f": {self.reason if last.shown() in self.reason else last.shown()}{cause}{lines}"

    def _hint(self) -> str:
        exits = [one.last_exit for one in self.replicas.values() if one.last_exit is not None]
        return next((end.hint for end in exits if end.hint), f"chapiteau logs {self.name}")

    # ── stop, restart, scale ────────────────────────────────────────────────────────────────
    async def stop(self, timeout: float | None = None) -> Outcome:
        """Stop every process, all at the same time, and wait until nothing is left."""
        if not self.on and self.quiet:
            self.refused = ""
            self.changed()
            return Outcome(ok=True, text=f"{self.name} is stopped already")
        if self.on:
            await self.host.hook("before_stop", self.name, self.spec)
        self.switch_off()
        limit = timeout or self.spec.stop_timeout + _AFTER_KILL
        while not await self.until(lambda: self.quiet, limit):
            if timeout is None and (more := self._grace_left()) > 0:
                limit = more + _AFTER_KILL
                continue
            left = self.pids()
            stack = f"see /proc/{left[0]}/stack: a process in state D ends only when its I/O does"
            return Outcome(
                ok=False,
                error=f"{self.name}: {len(left)} processes are still there after {limit:g} s",
                hint=stack if left else "",
                exit_code=6,
                data={"pids": left},
            )
        await self.host.hook("after_stop", self.name, self.spec)
        return Outcome(ok=True, text=f"{self.name} stopped")

    def _grace_left(self) -> float:
        """Seconds that a process has asked for (EXTEND_TIMEOUT_USEC) and still has."""
        ends = [one.stop_by for one in self.processes() if one.stop_by != float("inf")]
        return max(ends, default=0.0) - self.host.clock.now()

    def switch_off(self) -> None:
        """Want it down."""
        self.on, self.waiting = False, ""
        if self._starting is not None:
            self._starting.cancel()
        if self.reload is not None:
            self.reload.cancel()
        self.host.emit("service.stopping", service=self.name)
        self._ask_all(Trigger.STOP_ASKED)
        self.changed()

    async def restart(self, timeout: float | None) -> Outcome:
        """Stop and start every process, each as soon as its old one has gone."""
        if not self.on:
            return await self.start(timeout)
        old = {one.key for one in self.processes()}
        for replica in self.replicas.values():
            replica.use(self.spec, self.generation)
        self._ask_all(Trigger.CYCLE_ASKED)
        await self.until(
            lambda: self._settled() and not old & {one.key for one in self.processes()}, timeout
        )
        return self._outcome("restarted")

    async def stop_one(self, number: int, timeout: float | None) -> Outcome:
        """Stop one process; the others go on."""
        if (replica := self.running(number)) is None:
            return no_process(self.name, number)
        await self._owner.drain_sockets(self, [number])
        replica.ask(Trigger.STOP_ASKED)
        return await self._one(replica, "stopped", lambda: replica.quiet, timeout)

    async def restart_one(self, number: int, timeout: float | None) -> Outcome:
        """Restart one process; the others go on."""
        if (replica := self.running(number)) is None:
            return no_process(self.name, number)
        old = replica.process
        replica.ask(Trigger.CYCLE_ASKED)

        def done() -> bool:
            new = replica.process
            ready = new is not None and new is not old and new.ready
            return ready or replica.state is State.FAILED

        return await self._one(replica, "restarted", done, timeout)

    async def _one(
        self, replica: Replica, what: str, done: Callable[[], bool], timeout: float | None
    ) -> Outcome:
        shown = f"{self.name}.{replica.number}"
        limit = timeout or self.spec.stop_timeout + self.spec.ready.start_timeout + _AFTER_KILL
        if await self.until(done, limit) and replica.state is not State.FAILED:
            return Outcome(ok=True, text=f"{shown} {what}")
        error = f"{shown} is {replica.state.value}: {replica.reason}"
        return Outcome(ok=False, error=error, hint=self._hint(), exit_code=1)

    def running(self, number: int) -> Replica | None:
        """This replica, if it is to run."""
        return self.replicas.get(number) if self.on else None

    async def scale(self, count: int, timeout: float | None) -> Outcome:
        """Change how many processes there are; the highest numbers go first."""
        before, self.wanted = self.wanted, count
        self.host.emit(
            "service.scaled", f"{before} → {count}", service=self.name,
            data={"from": before, "to": count},
        )  # fmt: skip
        if not self.on:
            self._drop_extra()
            return Outcome(ok=True, text=f"{self.name} will have {count} processes")
        self._make_replicas()
        if 0 < count < before:
            await self._owner.drain_sockets(self, [n for n in self.replicas if n > count])
        for replica in list(self.replicas.values()):
            keep = replica.number <= count
            replica.ask(Trigger.START_ASKED if keep else Trigger.STOP_ASKED)
        limit = timeout or self.spec.stop_timeout + self.spec.ready.start_timeout
        await self.until(lambda: self._settled() and self._extra_gone(), limit)
        self._drop_extra()
        self.changed()
        if count == 0:
            return Outcome(ok=True, text=f"{self.name} has no processes now")
        return self._outcome(f"scaled from {before} to {count}")

    def _extra_gone(self) -> bool:
        return all(one.quiet for one in self.replicas.values() if one.number > self.wanted)

    def _drop_extra(self) -> None:
        for number, replica in list(self.replicas.items()):
            if number > self.wanted and replica.quiet:
                replica.close()
                del self.replicas[number]

    # ── what reloads, schedules and later brains do ─────────────────────────────────────────
    def use(self, spec: Service) -> None:
        """Other settings from now on; processes that run keep theirs."""
        self.spec = spec
        for replica in self.replicas.values():
            replica.use(spec)

    def next_generation(self) -> int:
        """The number of the generation that a reload makes."""
        self.generation += 1
        return self.generation

    def reloading(self, reload: Candidates | None) -> None:
        """A reload begins, or (None) is over."""
        self.reload = reload
        self.changed()

    def reset(self) -> None:
        """A run of a scheduled service is over: the next start begins afresh."""
        if self.quiet:
            self.on = False
            self._ask_all(Trigger.STOP_ASKED)

    def close(self) -> None:
        """The service exists no more."""
        for replica in self.replicas.values():
            replica.close()

    def replica(self, number: int) -> Replica:
        """The replica of this number, made when there is none."""
        return self.replicas.get(number) or self._make_replica(number)

    def adopt(self, replica: Replica, found: list[Process]) -> None:
        """Processes found alive (or with an exit not heard of yet) at the brain's start."""
        self.on = self._was_on
        self.generation = max(self.generation, *(one.generation for one in found))
        replica.adopt(found)
        if not self.host.read_only and (not self.on or replica.number > self.wanted):
            replica.ask(Trigger.STOP_ASKED)  # at once: its exit must not be judged before that

    def restore(self, wish: Wish) -> None:
        """What was wanted of it before this brain."""
        self.wanted, self.generation, self.refused = wish.wanted, wish.generation, wish.refused
        self._was_on = wish.on
        # Else it is switched on, when that can be.
        self.on = bool(wish.paused) or (wish.on and self.host.read_only)
        for number, pause in wish.paused.items():
            self._make_replica(int(number)).resume(pause)
        self._announced = self.state if wish.paused else ""


def no_process(service: str, number: int) -> Outcome:
    """The answer of a command about a replica that is not there."""
    return Outcome(ok=False, error=f"{service}: no process {number} runs", exit_code=3)
