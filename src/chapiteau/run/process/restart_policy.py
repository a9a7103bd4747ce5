"""Judging an end: try again and when, give up, or be content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chapiteau.core.backoff import Backoff
from chapiteau.run.config.spec import Service
from chapiteau.run.process.states import State, Trigger

if TYPE_CHECKING:
    from random import Random

    from chapiteau.run.config.spec import Restart

__all__ = [
    "EssentialExit",
    "History",
    "ProcessExit",
    "Verdict",
    "essential_exit",
    "exit_facts",
    "is_success",
    "judge",
    "shell_code",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessExit:
    """How a process ended, or that it could not be started (`spawn_error`)."""

    code: int | None = None
    signal: int | None = None
    core: bool = False
    oom: bool = False
    spawn_error: str = ""
    detached: bool = False  # it went into the background and left others running
    unhealthy: bool = False  # we ended it ourselves, since it was not well
    asked: bool = False  # somebody wanted it to end
    ran_for: float = 0.0  # seconds

    def text(self) -> str:
        """For people: "exit 1", "killed by SIGKILL (out of memory)"."""
        if self.spawn_error:
            return self.spawn_error
        if self.signal is not None:
            name = _SIGNALS.get(self.signal, f"signal {self.signal}")
            note = " (out of memory)" if self.oom else " (core dumped)" if self.core else ""
            return f"killed by {name}{note}"
        if self.code is None:
            return "ended, nobody knows how"
        return f"exit {self.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Restarts that were not asked for: in a row, and when (for the budget per window)."""

    row: int = 0
    times: tuple[float, ...] = ()
    gave_up: bool = False

    def after(self, now: float, rule: Restart, ran_for: float) -> History:
        """The history with one more restart at `now`; a healthy life clears the row."""
        healthy = ran_for >= rule.healthy_after
        if healthy and rule.count == "unhealthy":
            return History(row=1)
        recent = (*(t for t in self.times if t > now - rule.window), now)
        return History(row=1 if healthy else self.row + 1, times=recent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the state machine hears, how long to wait before the next try, and the new history.

    `delay` None with DIED_FOR_GOOD means: stay down until somebody starts it.
    """

    event: Trigger
    delay: float | None
    history: History
    reason: str


def is_success(service: Service, end: ProcessExit) -> bool:
    """Whether this end counts as success."""
    return not end.spawn_error and end.code in service.restart.success_codes


def judge(
    service: Service, end: ProcessExit, history: History, now: float, chance: Random
) -> Verdict:
    """What to do after a process has ended, by the service's restart policy.

    The first restart in a row is immediate, but for `min_delay`; then the delays grow. A budget of
    `attempts` per `window` bounds fast loops and slow ones alike (Erlang/OTP's intensity per
    period), unless only unhealthy lives are to be counted (as supervisord and PM2 do).
    """
    rule = service.restart
    good = is_success(service, end)
    if end.asked:
        return Verdict(event=Trigger.DIED_DONE, delay=0.0, history=History(), reason="")
    if end.detached:
        return _for_good(history, "it put itself into the background")
    if service.is_job and good:
        return Verdict(event=Trigger.DIED_DONE, delay=None, history=History(), reason="")
    if end.code is not None and end.code in rule.stop_codes:
        return _for_good(history, f"{end.text()}, which `stop_codes` says to leave")
    if _stays_down(service, good):
        if good:
            return Verdict(event=Trigger.DIED_DONE, delay=None, history=History(), reason="")
        why = _STAYS[service.one_shot, bool(service.schedule)]
        return _for_good(history, f"{end.text()}; {why}")
    return _again(rule, end, history.after(now, rule, end.ran_for), chance)


def _stays_down(service: Service, good: bool) -> bool:
    policy = service.restart.policy
    if service.is_job:
        return policy != "on-failure"  # a job is repeated only when it says so
    return policy == "never" or (policy == "on-failure" and good)


_STAYS = {  # (one-shot, scheduled) → why it is not started again now
    (False, False): "the restart policy is never",
    (True, False): "a one-shot is not repeated",
    (False, True): "it waits for its next time",
    (True, True): "it waits for its next time",
}


def _for_good(history: History, reason: str) -> Verdict:
    return Verdict(event=Trigger.DIED_FOR_GOOD, delay=None, history=history, reason=reason)


def _again(rule: Restart, end: ProcessExit, history: History, chance: Random) -> Verdict:
    backoff = Backoff(first=rule.delay, factor=rule.factor, cap=rule.max_delay, jitter=rule.jitter)
    if len(history.times) > rule.attempts:
        reason = f"{end.text()} ×{len(history.times)} within {rule.window:g} s"
        later = rule.max_delay if rule.after_give_up == "retry" else None
        kept = History(row=history.row, times=history.times[-rule.attempts :], gave_up=True)
        return Verdict(event=Trigger.DIED_FOR_GOOD, delay=later, history=kept, reason=reason)
    first = history.row <= 1 and not end.spawn_error
    delay = 0.0 if first else backoff.delay(max(1, history.row - 1), chance)
    delay = max(rule.min_delay, delay)
    return Verdict(event=Trigger.DIED_RETRY, delay=delay, history=history, reason=end.text())


_SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS",
    8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE",
    14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
}  # fmt: skip


def exit_facts(end: ProcessExit) -> dict[str, Any]:
    """An end as it stands in events and status."""
    return {"code": end.code, "signal": end.signal, "oom": end.oom, "text": end.text()}


# When an essential service takes everything down, and with which exit code.

Exit = Mapping[str, Any]
_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class EssentialExit:
    """Why everything ends; `code` is what the supervisor ends with."""

    code: int
    why: str
    lines: tuple[str, ...] = ()  # the last ones of its output

    def words(self) -> str:
        """For people who saw nothing of it."""
        return self.why + "".join(f"\n    | {line}" for line in self.lines[-_SHOWN:])


def shell_code(end: Exit) -> int | None:
    """How a shell would tell this end: the code, or 128 + the signal; None when nobody knows."""
    if end.get("code") is not None:
        return int(end["code"])
    return 128 + int(end["signal"]) if end.get("signal") else None


def essential_exit(
    name: str, service: Service, slots: Sequence[tuple[State, Exit]], refused: str = ""
) -> EssentialExit | None:
    """`slots` are (state, last exit) of each process number; None while there is still hope.

    A failure never ends with 0, whatever the process said. Content (nothing more to do, and no
    one-shot or schedule, whose content is no news) ends with the process's own code.
    """
    if not service.essential:
        return None
    if refused:
        return EssentialExit(code=1, why=f"{name} is essential and may not start: {refused}")
    for state, end in slots:
        if state is State.FAILED:
            why = f"{name} is essential and is down: {end.get('text') or 'failed'}"
            lines = tuple(end.get("lines", ()))
            return EssentialExit(code=shell_code(end) or 1, why=why, lines=lines)
    done = all(state is State.COMPLETED for state, _ in slots)
    if slots and done and not service.is_job:
        codes = [shell_code(end) or 0 for _, end in slots]
        why = f"{name} is essential and has ended: exit {max(codes)}"
        return EssentialExit(code=max(codes), why=why)
    return None
