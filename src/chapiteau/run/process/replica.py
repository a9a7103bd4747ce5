"""One process number of a service: its life, told as it happens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from chapiteau.run.config.spec import Service
from chapiteau.run.errors import SpawnError
from chapiteau.run.process.exits import History, ProcessExit, judge
from chapiteau.run.process.host import ProcessHost
from chapiteau.run.process.process import NEVER, Changes, Process
from chapiteau.run.process.states import State, Trigger, step

__all__ = ["Pause", "Replica"]

_ENDING: Final = (State.STOPPING, State.CYCLING)
_WAS: Final = {
    State.BACKOFF: Trigger.WAS_BACKOFF,
    State.FAILED: Trigger.WAS_FAILED,
    State.COMPLETED: Trigger.WAS_COMPLETED,
}
_RESTING: Final = (State.DOWN, State.FAILED, State.COMPLETED)
_STALL: Final = 0.5  # seconds: a timeout that comes so late says that we were away
_CATCH_UP: Final = 1.0  # seconds to hear what was said meanwhile
_AFTER_DEFECT: Final = 1.0  # seconds until the next try


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Why a number that should be up has no process: it waits, has given up, or is done."""

    state: str
    retry_at: float  # seconds since 1970; 0: not by itself
    row: int  # failures in a row
    restarts: int
    reason: str


class Replica:
    """Number `number` of service `name`. `changed` is called after everything that changes."""

    def __init__(
        self,
        name: str,
        number: int,
        spec: Service,
        host: ProcessHost,
        changed: Callable[[], None],
        generation: int = 0,
    ) -> None:
        self.name, self.number, self.spec, self.generation = name, number, spec, generation
        self.state = State.DOWN
        self.process: Process | None = None
        self.retiring: list[Process] = []  # replaced, and finishing their work
        self.history = History()
        self.restarts = 0
        self.reason = ""  # why it is not simply running
        self.last_exit: ProcessExit | None = None
        self.retry_at = 0.0  # seconds since 1970
        self._host, self._on_change = host, changed
        self._changes = Changes()
        self._life = host.run(self._live())

    def __repr__(self) -> str:
        return f"<Replica {self.name}.{self.number} {self.state.value} {self.restarts} restarts>"

    # ── what is asked of it ─────────────────────────────────────────────────────────────────
    def ask(self, trigger: Trigger) -> None:
        """Something is wanted of it, or has happened to it: the only place that sets its state."""
        before, self.state = self.state, step(self.state, trigger)
        if self.state is not before:
            self._changed()

    def use(self, spec: Service, generation: int | None = None) -> None:
        """Other settings, for the next process."""
        self.spec = spec
        self.generation = self.generation if generation is None else generation

    def close(self) -> None:
        """The number exists no more."""
        self._life.cancel()

    @property
    def quiet(self) -> bool:
        """Nothing runs under this number, and nothing is about to."""
        return self.state in _RESTING and self.process is None and not self.retiring

    def processes(self) -> list[Process]:
        """Those that are alive: its own, and those that it has replaced."""
        own = [] if self.process is None else [self.process]
        return [one for one in (*own, *self.retiring) if one.alive and one.pid]

    # ── its life ────────────────────────────────────────────────────────────────────────────
    async def _live(self) -> None:
        """One process after the other: spawn, ready, run, exit, judge, back off."""
        if self.retry_at and self.state in _WAS:  # for which a brain before us waited
            await self._back_off(max(0.0, self.retry_at - self._host.clock.wall()))
        while True:
            try:
                failure = None
                if self.process is None:
                    await self._changes.until(self._has_work)
                    failure = await self._spawn()
                end = failure or await self._run()
                delay = self._judge(end)
                if delay is not None:
                    await self._back_off(delay)
            except Exception as exc:  # noqa: BLE001 — a defect of ours must not end this life
                self._host.report(exc)
                await self._changes.wait(_AFTER_DEFECT)

    def _has_process(self) -> bool:
        return self.process is not None

    def _has_work(self) -> bool:
        return self._has_process() or self.state in (State.STARTING, *_ENDING)

    async def _spawn(self) -> ProcessExit | None:
        """Start a process; why that failed, or None."""
        if self._has_process():
            return None
        if self.state in _ENDING:  # asked to end before there was anything to end
            return ProcessExit(asked=True)
        self.reason, self.retry_at = "", 0.0
        try:
            started = await self._host.spawn(
                self.name, self.spec, self.number, self.generation, self.process_changed
            )
        except SpawnError as exc:
            end = self._spawn_failed(exc)
            return None if self._has_process() else end
        except Exception as exc:  # noqa: BLE001 — reported; the number must not hang in "starting"
            self._host.report(exc)
            end = self._spawn_failed(SpawnError(f"{self.name}: could not be started: {exc!r}"))
            return None if self._has_process() else end
        if self._has_process():  # another has taken the number meanwhile
            self.retire(self._replaced(started))
        else:
            self.process = started
        self._changed()
        return None

    def _spawn_failed(self, exc: SpawnError) -> ProcessExit:
        self._host.emit(
            "process.spawn_failed", exc.what, service=self.name, process=self.number,
            data={"hint": exc.hint},
        )  # fmt: skip
        return ProcessExit(
            spawn_error=exc.what, hint=exc.hint, code=exc.shell_code,
            asked=self.state is State.STOPPING, time=self._host.clock.wall(),
        )  # fmt: skip

    async def _run(self) -> ProcessExit:
        """Until the process has ended: ask it to end when that is wanted, kill it when late."""
        while True:
            process = self.process
            assert process is not None  # noqa: S101 — for the type checker
            if process.exit is not None:
                self.process = None
                return process.exit
            self._follow(process)
            if self.state in _ENDING and not process.stop_sent:
                self._host.request_stop(process)
            deadline = process.stop_by if process.stop_sent else process.ready_by
            left = deadline - self._host.clock.now()
            if left > 0:
                await self._changes.wait(None if deadline == NEVER else left)
            elif process.stop_sent:
                text = f"did not end within {process.spec.stop_timeout:g} s"
                self._host.emit_of(process, "process.killed", text)
                self._host.kill(process)
            elif left < -_STALL:
                process.extend(
                    self._host.clock.now() + min(_CATCH_UP, self._start_timeout(process))
                )
            elif self.state is State.STARTING:
                status = f" ({process.status_text})" if process.status_text else ""
                process.doomed(f"not ready within {self._start_timeout(process):g} s{status}")
                self.ask(Trigger.START_TIMEOUT)
            else:
                await self._changes.wait()

    def _judge(self, end: ProcessExit) -> float | None:
        """What becomes of it after this exit; seconds until it is tried again by itself."""
        if self._host.read_only and not end.asked:
            self.reason = f"ended ({end.text()}) in safe mode: nobody restarts it"
            self.ask(Trigger.DIED_UNJUDGED)
            return None
        now = self._host.clock.now()
        verdict = judge(self.spec, end, self.history, now, self._host.random)
        self.history = verdict.history
        if not end.asked:
            self.last_exit, self.reason = end, end.unhealthy or verdict.reason
        self.restarts += verdict.trigger is Trigger.DIED_RETRY
        self.ask(verdict.trigger)
        return verdict.delay if self.state in (State.BACKOFF, State.FAILED) else None

    async def _back_off(self, delay: float) -> None:
        """Wait for the next try; one that gave up tries again now and then, too."""
        waiting = self.state
        self.retry_at = self._host.clock.wall() + delay
        if delay > 0:
            if waiting is State.BACKOFF:
                self._host.emit(
                    "process.backoff", f"next try in {delay:.1f} s", service=self.name,
                    process=self.number, data={"delay_s": round(delay, 3)},
                )  # fmt: skip
            await self._changes.until(lambda: self.state is not waiting, delay)
        if self.state is waiting:
            self.ask(Trigger.BACKOFF_OVER)

    # ── its processes ───────────────────────────────────────────────────────────────────────
    def process_changed(self, process: Process) -> None:
        """One of its processes has become ready, unhealthy, or has ended."""
        if process is self.process:
            self._follow(process)
        self._changed()

    def _follow(self, process: Process) -> None:
        """What the process has become is what the number is."""
        if process.ready and self.state is State.STARTING:
            self.ask(Trigger.READY)
        if process.condemned and self.state in (State.STARTING, State.RUNNING):
            self.ask(Trigger.UNHEALTHY)

    def _changed(self) -> None:
        self._changes.notify()
        self._on_change()

    @staticmethod
    def _start_timeout(process: Process) -> float:
        return process.spec.ready.start_timeout

    async def spawn_candidate(self, spec: Service, generation: int) -> Process:
        """A process for this number beside its own, which it may replace. Raises SpawnError."""
        return await self._host.spawn(
            self.name, spec, self.number, generation, self.process_changed, candidate=True
        )

    def take_over(self, new: Process) -> Process | None:
        """`new` is ready: it has the number now. The one before, which must be retired."""
        self.ask(Trigger.REPLACED)
        old = self.process
        self._own(new)
        self.use(new.spec, new.generation)
        self.reason, self.history = "", History()
        self._changed()
        return None if old is None or not old.alive else self._replaced(old)

    def _own(self, process: Process) -> None:
        self.process = process
        if process.candidate:
            process.took_over()
            self._host.note_owner(process)

    def _replaced(self, old: Process) -> Process:
        old.replaced()
        self.retiring.append(old)
        return old

    def retire(self, old: Process) -> None:
        """Ask a replaced process to finish; it is killed when it does not."""
        self._host.run(self._retire(old))

    async def _retire(self, old: Process) -> None:
        if old.alive and not old.stop_sent:
            self._host.request_stop(old)
        while not await old.until_ended(max(0.0, old.stop_by - self._host.clock.now())):
            if self._host.clock.now() >= old.stop_by:
                self._host.kill(old)
        self.retiring.remove(old)
        self._changed()

    @property
    def pause(self) -> Pause | None:
        """What a later brain must know of it; None while it is something else than paused."""
        if self.state not in _WAS:
            return None
        return Pause(
            state=self.state.value, retry_at=self.retry_at, row=self.history.row,
            restarts=self.restarts, reason=self.reason,
        )  # fmt: skip

    def resume(self, pause: Pause) -> None:
        """Go on with what it was under the brain before."""
        self.retry_at, self.restarts, self.reason = pause.retry_at, pause.restarts, pause.reason
        state = State(pause.state)
        self.history = History(row=pause.row, gave_up=state is State.FAILED)
        self.ask(_WAS[state])

    def adopt(self, found: list[Process]) -> None:
        """What the brain before us has left under this number: several, when it died over a reload.

        The number is the newest one's that had it. The others end at once: those it has replaced,
        and what should have replaced it and was not ready, or not proven.
        """
        own = max(found, key=lambda one: (not one.candidate, one.began_wall))
        self._own(own)
        self.generation = own.generation
        self.ask(Trigger.FOUND_READY if own.ready else Trigger.FOUND_STARTING)
        if own.stop_sent:
            self.ask(Trigger.CYCLE_ASKED)
        for one in found:
            if one is not own:
                self._host.run(self._retire_found(self._replaced(one)))

    async def _retire_found(self, other: Process) -> None:
        await self._changes.until(lambda: not other.alive or not self._host.read_only)
        await self._retire(other)
