"""Checks: their answers, their timeouts, and who waits for whom."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from chapiteau.io.clock import SystemClock
from chapiteau.service.addons.health import HealthChecks

if TYPE_CHECKING:
    pass

Build = "Callable[..., Any]"


def test_a_check_that_raises_or_says_no_makes_ready_503(build: Build) -> None:
    state: list[Any] = [True]

    def check() -> Any:
        if isinstance(state[0], Exception):
            raise state[0]
        return state[0]

    client = build(more=lambda config: config.add_health_check("database", check))
    assert client.get("/ready").json()["checks"]["database"]["ok"] is True
    for bad in (False, OSError("secret place")):
        state[0] = bad
        answer = client.get("/ready")
        assert (answer.status, answer.json()["code"]) == (503, "not-healthy")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "secret" not in answer.text
    assert client.get("/live").status == 200


def test_a_check_that_hangs_is_late_and_piles_up_no_threads(build: Build) -> None:
    go_on = threading.Event()
    client = build(more=lambda config: config.add_health_check("slow", go_on.wait, timeout=0.05))
    before = threading.active_count()
    for _ in range(3):
        answer = client.get("/ready")
        assert answer.status == 503
        assert answer.json()["checks"]["slow"]["detail"] == "no answer within 0.05 s"
    assert threading.active_count() <= before + 1
    go_on.set()


def test_all_who_ask_at_once_get_the_same_good_answer() -> None:
    checks = HealthChecks(SystemClock())
    threads_seen = set()

    def check() -> None:
        threads_seen.add(threading.get_ident())

    checks.add("a", check, timeout=5.0, kind="ready")
    found: list[bool] = []

    def ask() -> None:
        found.extend(checks.ask("ready").ok for _ in range(100))

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert found == [True] * 800
    assert len(threads_seen) == 1  # so what a check keeps per thread is made once
