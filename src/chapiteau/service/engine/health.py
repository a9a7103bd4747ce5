"""`/live` and `/ready`: the checks that an application has registered, each with its timeout."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from chapiteau.core.clock import Clock
from chapiteau.service.engine.service import Service
from chapiteau.service.logic.answer import Answer
from chapiteau.service.logic.problem import ProblemError

__all__ = ["CheckResult", "Health", "HealthChecks", "NotHealthyError", "health_service"]

_log = logging.getLogger("chapiteau.service")

Kind = Literal["live", "ready"]


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


@dataclass(slots=True)
class _Check:
    name: str
    call: Callable[[], Any]
    timeout: float
    kind: Kind
    running: "_Run | None" = None


class HealthChecks:
    """The checks of one application."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._checks: dict[str, _Check] = {}
        self._lock = threading.Lock()

    def add(self, name: str, call: Callable[[], Any], *, timeout: float, kind: Kind) -> None:
        """Register a check; a later one of the same name replaces it."""
        self._checks[name] = _Check(name, call, timeout, kind)

    def ask(self, kind: Kind) -> Health:
        """Run the checks of a kind, all at the same time, each within its own timeout."""
        wanted = [check for check in self._checks.values() if check.kind == kind]
        started = self._clock.now()
        with self._lock:
            waiting = [(check, self._start(check)) for check in wanted]
        results: dict[str, CheckResult] = {}
        for check, run in waiting:
            left = check.timeout - (self._clock.now() - started)
            run.thread.join(max(0.0, left))
            results[check.name] = run.result or CheckResult(
                ok=False,
                seconds=round(self._clock.now() - started, 6),
                detail=f"no answer within {check.timeout:g} s",
            )
        return Health(ok=all(r.ok for r in results.values()), checks=results)

    def _start(self, check: _Check) -> "_Run":
        # A check that hangs keeps its one thread: asking again must not pile up more of them.
        # Whoever asks meanwhile waits for the same run, and gets its result.
        if check.running is not None and check.running.thread.is_alive():
            return check.running
        check.running = _Run(check, self._clock)
        check.running.thread.start()
        return check.running


class _Run:
    """One go of a check, for everybody who asked while it went on."""

    def __init__(self, check: _Check, clock: Clock) -> None:
        self.result: CheckResult | None = None
        self._check, self._clock = check, clock
        self.thread = threading.Thread(target=self._go, name=f"check {check.name}", daemon=True)

    def _go(self) -> None:
        started = self._clock.now()
        try:
            answer = self._check.call()
        except Exception as exc:  # noqa: BLE001 — whatever a check raises, it means "not well"
            _log.warning("check %s failed: %s", self._check.name, exc)
            ok, detail = False, type(exc).__name__
        else:
            ok, detail = answer is not False, ""
        seconds = round(self._clock.now() - started, 6)
        self.result = CheckResult(ok=ok, seconds=seconds, detail=detail)


def health_service(kind: Kind, path: str, checks: HealthChecks) -> Service:
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
