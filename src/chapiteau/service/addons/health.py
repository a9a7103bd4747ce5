"""`/live` and `/ready`: the checks that an application has registered, each with its timeout."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from chapiteau.core.clock import Clock
from chapiteau.service.declare.service import Service
from chapiteau.service.declare.signature import Answer
from chapiteau.service.protocol.problem import ProblemError

__all__ = ["CheckResult", "Health", "HealthChecks", "NotHealthyError", "health_service"]

_log = logging.getLogger("chapiteau.service")

HealthKind = Literal["live", "ready"]


class CheckResult(msgspec.Struct, frozen=True):
    """What one check said."""

    ok: bool
    seconds: float
    detail: str = ""


class Health(msgspec.Struct, frozen=True):
    """The answer of /live and /ready."""

    ok: bool
    checks: dict[str, CheckResult]


class NotHealthyError(ProblemError):
    """A check has failed (503)."""

    status = 503
    code = "not-healthy"
    title = "A check has failed"


class _Run:
    """One run of a check; everybody who asks meanwhile waits for the same one."""

    __slots__ = ("done", "result")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.result: CheckResult | None = None


class _Check:
    """A check and its one thread.

    One thread for all runs: what a check keeps per thread (a connection, say) is made once, and a
    check that hangs piles up no others.
    """

    def __init__(
        self, name: str, call: Callable[[], Any], timeout: float, kind: HealthKind, clock: Clock
    ) -> None:
        self.name = name
        self.timeout = timeout
        self.kind = kind
        self._call = call
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: queue.SimpleQueue[_Run] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._current: _Run | None = None

    def start(self) -> _Run:
        """The run that is under way, or a new one."""
        with self._lock:
            run = self._current
            if run is None or run.done.is_set():
                run = self._current = _Run()
                self._asked.put(run)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name=f"check {self.name}", daemon=True
                )
                self._thread.start()
            return run

    def _work(self) -> None:
        while True:
            run = self._asked.get()
            started = self._clock.now()
            try:
                answer = self._call()
            except Exception as exc:  # noqa: BLE001 — whatever it raises means "not well"
                _log.warning("check %s failed: %s", self.name, exc)
                ok, detail = False, type(exc).__name__
            else:
                ok, detail = answer is not False, ""
            seconds = round(self._clock.now() - started, 6)
            run.result = CheckResult(ok=ok, seconds=seconds, detail=detail)
            run.done.set()


class HealthChecks:
    """The checks of one application."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._checks: dict[str, _Check] = {}

    def add(self, name: str, call: Callable[[], Any], *, timeout: float, kind: HealthKind) -> None:
        """Register a check; a later one of the same name replaces it."""
        self._checks[name] = _Check(name, call, timeout, kind, self._clock)

    def ask(self, kind: HealthKind) -> Health:
        """Run the checks of a kind, all at the same time, each within its own timeout."""
        started = self._clock.now()
        runs = [(c, c.start()) for c in self._checks.values() if c.kind == kind]
        results: dict[str, CheckResult] = {}
        for check, run in runs:
            run.done.wait(max(0.0, check.timeout - (self._clock.now() - started)))
            late = CheckResult(
                ok=False,
                seconds=round(self._clock.now() - started, 6),
                detail=f"no answer within {check.timeout:g} s",
            )
            results[check.name] = run.result or late
        return Health(ok=all(r.ok for r in results.values()), checks=results)


def health_service(kind: HealthKind, path: str, checks: HealthChecks) -> Service:
    """The service that answers for one kind."""
    words = {
        "live": "Whether this process works at all; if not, it should be replaced.",
        "ready": "Whether this process can take requests now.",
    }
    service = Service(kind, path, description=words[kind])

    def handler() -> Answer[Health]:
        health = checks.ask(kind)
        if not health.ok:
            raise NotHealthyError(
                ", ".join(name for name, result in health.checks.items() if not result.ok),
                headers={"Cache-Control": "no-store"},
                checks=msgspec.to_builtins(health.checks),
            )
        return Answer(health, headers={"Cache-Control": "no-store"})

    handler.__name__ = kind
    handler.__doc__ = words[kind]
    service.add("GET", handler, tags=("health",), raises=(NotHealthyError,), unknown_query="ignore")
    return service
