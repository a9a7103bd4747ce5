"""/live and /ready: what registered checks say."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from chapiteau.plumbing.clock import SystemClock
from chapiteau.service.engine.health import HealthChecks
from tests.support import wait_for


def test_everybody_who_asks_meanwhile_gets_the_result_of_the_same_run() -> None:
    """Two probes at once: the second waits for the first one's run, and is not told "no answer"."""
    begun, go = threading.Event(), threading.Event()

    def check() -> bool:
        begun.set()
        return go.wait(5)

    checks = HealthChecks(SystemClock())
    checks.add("db", check, timeout=5.0, kind="ready")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(checks.ask, "ready")
        assert begun.wait(5)
        second = pool.submit(checks.ask, "ready")
        wait_for(second.running)
        go.set()
        assert first.result(5).ok
        assert second.result(5).ok


def test_a_check_that_hangs_is_not_healthy_and_keeps_one_thread() -> None:
    go = threading.Event()
    checks = HealthChecks(SystemClock())
    checks.add("slow", lambda: go.wait(10), timeout=0.05, kind="ready")
    for _ in range(3):
        found = checks.ask("ready")
        assert not found.ok
        assert found.checks["slow"].detail == "no answer within 0.05 s"
    assert sum(1 for t in threading.enumerate() if t.name == "check slow") == 1
    go.set()


def test_a_check_that_raises_is_not_healthy_and_others_are_asked() -> None:
    checks = HealthChecks(SystemClock())
    checks.add("bad", lambda: 1 / 0, timeout=1.0, kind="ready")
    checks.add("good", lambda: None, timeout=1.0, kind="ready")
    found = checks.ask("ready")
    assert not found.ok
    assert (found.checks["bad"].detail, found.checks["good"].ok) == ("ZeroDivisionError", True)
