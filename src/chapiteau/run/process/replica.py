"""One process number of a service: feeds the state table and does what it says."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from chapiteau.core.clock import Clock
from chapiteau.run.config.spec import Service
from chapiteau.run.errors import SpawnError
from chapiteau.run.process.process import Process
from chapiteau.run.process.restart_policy import History, ProcessExit, exit_facts, judge
from chapiteau.run.process.states import Effect, State, Trigger, step

__all__ = ["Replica", "ReplicaHost"]


class ReplicaHost(Protocol):
    """What a slot stands on: the deeds of the supervisor."""

    clock: Clock
    chance: random.Random

    async def spawn(self, name: str, spec: Service, number: int, generation: int) -> Process:
        """Start a process and attach its output. Raises SpawnError."""
        ...

    def claim(self, instance: Process, slot: "Replica") -> bool:
        """The slot hears of this process from now on; False when it has ended already."""
        ...

    def watch(self, instance: Process, spec: Service, slot: "Replica") -> None:
        """Begin to look for its readiness and health."""
        ...

    def ask_to_end(self, instance: Process, spec: Service) -> None:
        """Send the stop signal."""
        ...

    def kill(self, instance: Process) -> None:
        """SIGKILL to everything of it."""
        ...

    def say(self, kind: str, text: str = "", **facts: Any) -> None:
        """Record a happening."""
        ...

    def last_lines(self, instance: Process) -> list[str]:
        """Its last lines of output."""
        ...

    async def hook(
        self, point: str, name: str, spec: Service, process: int = 0, **facts: Any
    ) -> str:
        """Run the service's hook at this point; "" when it may go on, else why not."""
        ...

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """A task that is looked after: an error in it is reported, not lost."""
        ...


@dataclass(slots=True, eq=False)
class Replica:
    """Number `number` of service `name`."""

    name: str
    number: int
    spec: Service
    ground: ReplicaHost
    changed: Callable[[], None]
    generation: int = 0
    state: State = State.DOWN
    instance: Process | None = None
    retiring: list[Process] = field(default_factory=list)
    history: History = field(default_factory=History)
    restarts: int = 0
    reason: str = ""
    last_exit: dict[str, Any] = field(default_factory=dict)
    retry_at: float = 0.0
    grace_ends: float = 0.0  # on the clock of intervals
    _timer: asyncio.TimerHandle | None = None
    _later: float | None = None

    def feed(self, event: Trigger) -> None:
        """An event happens to this slot."""
        before = self.state
        self.state, effects = step(self.state, event)
        for effect in effects:
            _DEEDS[effect](self)
        if self.state is not before:
            self.changed()

    # ── effects ─────────────────────────────────────────────────────────────────────────────
    def _forget_timers(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.instance is not None:
            self.instance.forget_timers()

    def _spawn(self) -> None:
        self.instance, self.reason, self.retry_at = None, "", 0.0
        self.ground.run(self._spawning())

    async def _spawning(self) -> None:
        try:
            instance = await self.ground.spawn(self.name, self.spec, self.number, self.generation)
        except SpawnError as exc:
            self._spawn_failed(exc)
            return
        except Exception as exc:
            # A defect of ours: told as such, but the number must not hang in "starting" for ever.
            self._spawn_failed(SpawnError(f"{self.name}: could not be started: {exc!r}"))
            raise
        self.instance = instance
        if not self.ground.claim(instance, self):
            return
        if self.state in (State.STOPPING, State.CYCLING):  # asked while it was being started
            self._ask_to_end()
            return
        self.attend(instance)
        self.changed()

    def _spawn_failed(self, exc: SpawnError) -> None:
        self.ground.say(
            "process.spawn_failed", exc.what, service=self.name, process=self.number,
            data={"hint": exc.hint},
        )  # fmt: skip
        end = ProcessExit(spawn_error=exc.what, asked=self.state is State.STOPPING)
        self._judged(end, {"text": exc.what, "hint": exc.hint, "code": exc.shell_code})

    def _ask_to_end(self) -> None:
        if self.instance is None:
            return  # still being started: _spawning will ask
        if not self.instance.unhealthy:
            self.instance.asked = True
        self.ground.ask_to_end(self.instance, self.spec)
        self._give_grace(self.spec.stop_timeout)

    def _give_grace(self, seconds: float) -> None:
        """From now on it has so long to end."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.feed, Trigger.GRACE_OVER)
        self.grace_ends = self.ground.clock.now() + seconds

    def _kill(self) -> None:
        if self.instance is not None:
            self.ground.say(
                "process.killed", f"did not end within {self.spec.stop_timeout:g} s",
                service=self.name, process=self.number, pid=self.instance.pid,
            )  # fmt: skip
            self.ground.kill(self.instance)

    def _wait_backoff(self) -> None:
        delay = self._later or 0.0
        self.retry_at = self.ground.clock.wall() + delay
        if delay <= 0:
            self.feed(Trigger.BACKOFF_OVER)
            return
        self.ground.say(
            "process.backoff", f"next try in {delay:.1f} s", service=self.name,
            process=self.number, data={"delay_s": round(delay, 3)},
        )  # fmt: skip
        self._arm(delay)

    def _arm(self, delay: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay, self.feed, Trigger.BACKOFF_OVER)

    # ── what the world tells ────────────────────────────────────────────────────────────────
    def attend(self, instance: Process) -> None:
        """Watch a process that was started, or found alive, under this number."""
        limit = self.spec.ready.start_timeout
        if not instance.ready and not self.spec.is_job:
            instance.after_hearing(limit, lambda: self.not_ready_in_time(instance))
        self.ground.watch(instance, self.spec, self)

    def not_ready_in_time(self, instance: Process) -> None:
        """It had its time to become ready."""
        if instance is self.instance and self.state is State.STARTING:
            detail = f" ({instance.status_text})" if instance.status_text else ""
            limit = self.spec.ready.start_timeout
            instance.unhealthy = f"not ready within {limit:g} s{detail}"
            self.feed(Trigger.START_TIMEOUT)

    def extend(self, instance: Process, seconds: float) -> None:
        """EXTEND_TIMEOUT_USEC: it needs longer to become ready, or to end, from now on."""
        if self.state in (State.STOPPING, State.CYCLING) and instance is self.instance:
            self._give_grace(seconds)
        elif not instance.ready:
            instance.restart_timers()
            instance.after_hearing(seconds, lambda: self.not_ready_in_time(instance))

    def became_ready(self, instance: Process) -> None:
        """Its probe passed, or it said so."""
        if instance.ready or not instance.alive:
            return
        instance.ready = True
        instance.status_text = ""
        if instance.on_ready is not None:
            instance.on_ready()
        if instance is self.instance:
            self.feed(Trigger.READY)
        self.changed()

    def found_unhealthy(self, instance: Process, why: str) -> None:
        """Its liveness probe or watchdog failed."""
        if instance is self.instance and self.state in (State.RUNNING, State.STARTING):
            instance.unhealthy = why
            self.feed(Trigger.UNHEALTHY)

    def ended(self, instance: Process, end: dict[str, Any]) -> None:
        """The keeper tells of an end."""
        instance.end = end
        for do in instance.on_end:
            do()
        instance.forget_timers()
        if instance in self.retiring:
            self.retiring.remove(instance)
            self.changed()
            return
        if instance is not self.instance:  # a reload's new one: who waits for it must hear
            self.changed()
            return
        what = ProcessExit(
            code=end["code"],
            signal=end["signal"],
            core=end["core"],
            oom=end.get("oom", False),
            detached=end.get("detached", False),
            unhealthy=bool(instance.unhealthy),
            asked=instance.asked,
            ran_for=self.ground.clock.now() - instance.began,
        )
        self.instance = None
        lines = end["lines"] if "lines" in end else self.ground.last_lines(instance)
        facts = {
            **exit_facts(what),
            "cause": end.get("cause", ""),
            "hint": end.get("hint", ""),
            "lines": lines,
        }
        if instance.unhealthy:  # that it was then killed by us is no news
            facts["text"] = f"{instance.unhealthy}; {facts['text']}"
        self._judged(what, {**facts, "ran_for_s": round(what.ran_for, 3)}, instance.unhealthy)

    def _judged(self, end: ProcessExit, facts: dict[str, Any], unhealthy: str = "") -> None:
        now = self.ground.clock.now()
        verdict = judge(self.spec, end, self.history, now, self.ground.chance)
        self.history, self._later = verdict.history, verdict.delay
        if not end.asked:
            self.last_exit = {**facts, "time": self.ground.clock.wall()}
            self.reason = unhealthy or verdict.reason
        if verdict.event is Trigger.DIED_RETRY:
            self.restarts += 1
        self.feed(verdict.event)
        if self.state is State.FAILED and self._later is not None:
            self.retry_at = self.ground.clock.wall() + self._later
            self._arm(self._later)  # gave up, but looks again now and then

    # ── replacement ─────────────────────────────────────────────────────────────────────────
    def take_over(self, new: Process, spec: Service, generation: int) -> Process | None:
        """`new` is ready: it has the number now. The one before, which must be ended, is given."""
        self.feed(Trigger.REPLACED)  # cancels the old one's timers: before the exchange
        old, self.instance = self.instance, new
        self.spec, self.generation, self.reason = spec, generation, ""
        self.history = History()
        if old is not None:
            old.replaced = old.asked = True
            self.retiring.append(old)
        self.changed()
        return old

    @property
    def quiet(self) -> bool:
        """Nothing runs under this number, and nothing is about to."""
        resting = self.state in (State.DOWN, State.FAILED, State.COMPLETED)
        return resting and self.instance is None and not self.retiring


_DEEDS: dict[Effect, Callable[[Replica], None]] = {
    Effect.FORGET_TIMERS: Replica._forget_timers,  # noqa: SLF001 — the class's own table
    Effect.SPAWN: Replica._spawn,  # noqa: SLF001
    Effect.ASK_TO_END: Replica._ask_to_end,  # noqa: SLF001
    Effect.KILL: Replica._kill,  # noqa: SLF001
    Effect.WAIT_BACKOFF: Replica._wait_backoff,  # noqa: SLF001
}
