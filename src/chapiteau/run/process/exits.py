"""A process's exit: its likely cause, and what follows: restart and when, give up, or be done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

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
    "diagnose_exit",
    "essential_exit",
    "is_success",
    "judge",
    "port_in_use",
]

_IN_USE: Final = re.compile(r"[Aa]ddress already in use|EADDRINUSE|[Cc]onnection in use")
_PATTERNS: Final[tuple[tuple[re.Pattern[str], str, str], ...]] = (
    (
        re.compile(r"(?:(?:ModuleNotFoundError|ImportError): |: (?=No module named ))(.+)"),
        "import error: {0}",
        "is it installed in the service's virtualenv, and is `cwd` right?",
    ),
    (
        _IN_USE,
        "its port is in use",
        'let Chapiteau hold the socket: [socket.NAME] and sockets = ["NAME"]',
    ),
    (
        re.compile(r"(?:PermissionError|[Pp]ermission denied)(.*)"),
        "permission denied{0}",
        "check `user`, and the owner of what it opens",
    ),
    (
        re.compile(r"(?:FileNotFoundError|No such file or directory)(.*)"),
        "a file is missing{0}",
        "paths in it start at the service's `cwd`",
    ),
    (re.compile(r"(SyntaxError|IndentationError|TabError)"), "{0} in its code", ""),
    (re.compile(r"MemoryError|[Cc]annot allocate memory"), "out of memory", ""),
    (re.compile(r"[Nn]o space left on device"), "the disk is full", "see `df -h`"),
    (re.compile(r"[Cc]onnection refused"), "A dependency refused the connection", ""),
)
# How a port stands in a complaint: ('127.0.0.1', 8000), 0.0.0.0:8000, :::8000, port 8000.
_IN_A_LINE: Final = re.compile(r"(?:[\])'\"\d*]:|[:'\"], ?|::|\bport[ :=]+)(\d{2,5})\b")
_TIME: Final = re.compile(r"\b\d\d:\d\d(?::\d\d)?\b")  # that looks like one, and is none
# … and on a command line: --port 8000, --port=8000, -p 8000, -b :8000, localhost:8000.
_ON_A_COMMAND: Final = re.compile(r"(?:port[ =]|-p ?|:)(\d{2,5})\b(?!:)")
_CODES: Final = {
    126: ("found, but it can't be executed", "chmod +x it, or name its interpreter"),
    127: ("command not found by the shell", "check PATH and the spelling"),
}


def diagnose_exit(
    code: int | None, signal: int | None, *, oom: bool, detached: bool, lines: Sequence[str]
) -> tuple[str, str]:
    """(cause, hint); empty when nothing can be said. The last matching line speaks."""
    if detached:
        return (
            "it put itself into the background (daemonised) and its first process ended",
            "start it in the foreground: `daemon off;`, --nodaemon, --foreground, -f …",
        )
    if oom:
        return "killed for want of memory", "raise limits.memory, or find the leak"
    for line in reversed(lines):
        for pattern, cause, hint in _PATTERNS:
            if match := pattern.search(line):
                detail = match[1].strip(" :") if match.groups() else ""
                shown = (
                    f": {detail}" if detail and not cause.startswith(("import", "{0}")) else detail
                )
                return cause.format(shown), hint
    if code in _CODES:
        return _CODES[code]
    if signal == 9:
        return "killed by somebody, or by the kernel for want of memory (see dmesg)", ""
    return "", ""


def port_in_use(lines: Sequence[str], command: str) -> int:
    """The port that a process found in use, as its last lines or its command line tell; 0: none."""
    if not (complaints := [_TIME.sub("", line) for line in lines if _IN_USE.search(line)]):
        return 0
    for pattern, texts in ((_IN_A_LINE, reversed(complaints)), (_ON_A_COMMAND, [command])):
        for text in texts:
            if match := pattern.search(text):
                return int(match[1])
    return 0


# What follows from a process's exit: restart and when, give up, or be done.

_SHOWN_LINES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessExit:
    """How a process ended, or that it could not be started (`spawn_error`)."""

    code: int | None = None
    signal: int | None = None
    core: bool = False
    oom: bool = False
    spawn_error: str = ""
    detached: bool = False  # it went into the background and left others running
    unhealthy: str = ""  # why we ended it ourselves
    asked: bool = False  # somebody wanted it to end
    ran_for: float = 0.0  # seconds
    time: float = 0.0  # seconds since 1970
    cause: str = ""
    hint: str = ""
    lines: tuple[str, ...] = ()  # the last ones of its output

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

    def shown(self) -> str:
        """As `text`, with the reason why we ended it: that it was then killed by us is no news."""
        return f"{self.unhealthy}; {self.text()}" if self.unhealthy else self.text()

    @property
    def shell_code(self) -> int | None:
        """As a shell would tell it: the code, or 128 + the signal; None when nobody knows."""
        return 128 + self.signal if self.code is None and self.signal else self.code

    def to_dict(self) -> dict[str, Any]:
        """As in the status of a process."""
        if self.spawn_error:
            facts: dict[str, Any] = {"text": self.spawn_error, "hint": self.hint, "code": self.code}
        else:
            facts = {
                "code": self.code, "signal": self.signal, "oom": self.oom, "text": self.shown(),
                "cause": self.cause, "hint": self.hint, "lines": list(self.lines),
                "ran_for_s": round(self.ran_for, 3),
            }  # fmt: skip
        return {**facts, "time": self.time}


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
    """What becomes of the replica: its trigger, the seconds until the next try, its history.

    `delay` None with DIED_FOR_GOOD: it stays down until somebody starts it.
    """

    trigger: Trigger
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
        return Verdict(trigger=Trigger.DIED_DONE, delay=0.0, history=History(), reason="")
    if end.detached:
        return _for_good(history, "it put itself into the background")
    if service.is_job and good:
        return Verdict(trigger=Trigger.DIED_DONE, delay=None, history=History(), reason="")
    if not end.spawn_error and end.code is not None and end.code in rule.stop_codes:
        return _for_good(history, f"{end.text()}, which `stop_codes` says to leave")
    if _stays_down(service, good):
        if good:
            return Verdict(trigger=Trigger.DIED_DONE, delay=None, history=History(), reason="")
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
    return Verdict(trigger=Trigger.DIED_FOR_GOOD, delay=None, history=history, reason=reason)


def _again(rule: Restart, end: ProcessExit, history: History, chance: Random) -> Verdict:
    backoff = Backoff(first=rule.delay, factor=rule.factor, cap=rule.max_delay, jitter=rule.jitter)
    if len(history.times) > rule.attempts:
        reason = f"{end.text()} ×{len(history.times)} within {rule.window:g} s"
        later = rule.max_delay if rule.after_give_up == "retry" else None
        kept = History(row=history.row, times=history.times[-rule.attempts :], gave_up=True)
        return Verdict(trigger=Trigger.DIED_FOR_GOOD, delay=later, history=kept, reason=reason)
    first = history.row <= 1 and not end.spawn_error
    delay = 0.0 if first else backoff.delay(max(1, history.row - 1), chance)
    delay = max(rule.min_delay, delay)
    return Verdict(trigger=Trigger.DIED_RETRY, delay=delay, history=history, reason=end.text())


_SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS",
    8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE",
    14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EssentialExit:
    """Why an essential service takes everything down; `code` is what the supervisor ends with."""

    code: int
    why: str
    lines: tuple[str, ...] = ()  # the last ones of its output

    def text(self) -> str:
        """For people who saw nothing of it."""
        return self.why + "".join(f"\n    | {line}" for line in self.lines[-_SHOWN_LINES:])


def essential_exit(
    name: str,
    service: Service,
    replicas: Sequence[tuple[State, ProcessExit | None]],
    refused: str = "",
) -> EssentialExit | None:
    """`replicas` are (state, last exit) of each process number; None while there is still hope.

    A failure never ends with 0, whatever the process said. Success (nothing more to do, where that
    is news: not of one-shots and schedules) ends with the process's own code.
    """
    if not service.essential:
        return None
    if refused:
        return EssentialExit(code=1, why=f"{name} is essential and may not start: {refused}")
    for state, end in replicas:
        if state is State.FAILED:
            why = f"{name} is essential and is down: {end.shown() if end else 'failed'}"
            code = (end.shell_code if end else None) or 1
            return EssentialExit(code=code, why=why, lines=end.lines if end else ())
    done = all(state is State.COMPLETED for state, _ in replicas)
    if replicas and done and not service.is_job:
        code = max((end.shell_code if end else None) or 0 for _, end in replicas)
        return EssentialExit(code=code, why=f"{name} is essential and has ended: exit {code}")
    return None
