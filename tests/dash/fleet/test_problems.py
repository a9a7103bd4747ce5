"""What counts as a problem, and what is offered against it."""

from typing import Any

import pytest

from chapiteau.dash.fleet.problems import NodeFacts, node_problems, with_since
from chapiteau.dash.testing import process, service

CRASH = {"code": 1, "time": 90.0, "cause": "a module is missing: redis", "lines": ["a", "b"]}


def of(*services: dict[str, Any], **more: Any) -> list[Any]:
    return node_problems("n1", {"services": list(services), **more})


def test_a_healthy_fleet_needs_nothing() -> None:
    done = service("load", [process(1, 0, "completed")], state="completed", one_shot=True)
    assert of(service("web", [process(1, 7)]), done) == []
    assert node_problems("n1", {}) == []


def test_a_service_that_gave_up_says_why_and_can_be_started() -> None:
    (found,) = of(service("web", [process(1, 0, "failed", last_exit=CRASH)], state="failed"))
    assert found.severity == 2
    assert found.what == "failed: exit 1"
    assert (found.since, found.cause, found.lines) == (90.0, CRASH["cause"], ("a", "b"))
    assert [remedy.verb for remedy in found.remedies] == ["start", "stop"]


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ({"code": 3}, "backing off: exit 3"),
        ({"signal": 11}, "backing off: killed by SIGSEGV"),
        ({"signal": 47}, "backing off: killed by signal 47"),
        ({"signal": 9, "oom": True}, "backing off: out of memory"),
        ({}, "backing off"),
        ({"code": None}, "backing off"),
    ],
)
def test_the_exit_is_told_in_words(last: dict[str, Any], words: str) -> None:
    (found,) = of(service("web", [process(1, 0, "backoff", last_exit=last)], state="backoff"))
    assert found.what == words


def test_one_sick_process_of_many_is_named() -> None:
    sick = process(2, 0, "backoff", restarts=7, last_exit=CRASH)
    (found,) = of(service("web", [process(1, 7), sick]))
    assert found.process == 2
    assert found.what == "process 2 backoff: exit 1, 7 restarts"
    assert found.severity == 1


def test_too_few_ready_is_trouble_even_if_all_are_alive() -> None:
    (found,) = of(service("web", [process(1, 7), process(2, 8, ready=False)], ready=1, wanted=2))
    assert found.what == "1 of 2 processes ready"


def test_a_stopped_service_is_no_trouble() -> None:
    assert of(service("web", [], state="stopped", wanted=2, ready=0)) == []


@pytest.mark.parametrize("state", ["stopped", "stopping"])
@pytest.mark.parametrize("left", ["stopped", "failed"])
def test_to_stop_what_crashes_cures_it(state: str, left: str) -> None:
    crashed = process(1, 0, left, restarts=7, last_exit=CRASH)
    assert of(service("mailer", [crashed], state=state, ready=0)) == []


def test_a_full_queue_is_trouble_with_a_cure() -> None:
    socket = {"name": "s", "backlog": 100, "queued": 80, "services": ["web"]}
    (found,) = of(sockets=[socket])
    assert "80 of 100" in found.what
    assert found.remedies[0].line == "chapiteau scale web=+1"


def test_a_silent_node_hides_what_may_no_longer_be_true() -> None:
    status = {"services": [service("web", [process(1, 0, "failed")], state="failed")]}
    (found,) = node_problems("n1", status, away_since=5.0)
    assert (found.what, found.since) == ("unreachable", 5.0)


def test_the_supervisors_own_problems_are_shown() -> None:
    problem = {"where": "log disk", "what": "is full", "hint": "make room"}
    (found,) = of(problems=[problem])
    assert (found.what, found.cause) == ("log disk: is full", "make room")


def test_what_a_service_tells_is_not_told_twice() -> None:
    dead = service("web", [process(1, 0, "failed", last_exit={**CRASH, "hint": "pip"})])
    problem = {"where": "web", "what": "gave up", "hint": "pip"}
    (found,) = of({**dead, "state": "failed"}, problems=[problem])
    assert found.cause == "a module is missing: redis — pip"


def test_the_worst_comes_first() -> None:
    found = of(
        service("a", [process(1, 7, ready=False)], ready=0),
        service("b", [process(1, 0, "failed")], state="failed"),
    )
    assert [t.service for t in found] == ["b", "a"]
    assert len({t.key for t in found}) == 2


def starting(number: int, **more: Any) -> dict[str, Any]:
    return process(number, 40 + number, "starting", ready=False, started_at=100.0, **more)


def test_what_never_gets_ready_is_told_with_its_check_and_not_as_a_loop() -> None:
    last = {"signal": 15, "lines": ["warming up"], "time": 99.0}
    text = "not ready: Connect call failed ('127.0.0.1', 9)"
    sick = [starting(n, restarts=2, status_text=text, last_exit=last) for n in (1, 2)]
    status = {"services": [service("web", sick, state="starting", ready=0)]}
    facts = NodeFacts(now=101.0, looping={"web": 4})
    (found,) = node_problems("n1", status, facts=facts)
    assert (found.kind, found.severity) == ("unready", 2)
    assert found.what == "0 of 2 processes ready, restarted 4 times"
    assert found.cause == "The ready check fails: Connect call failed ('127.0.0.1', 9)"
    assert found.lines == ("warming up",)


def test_a_start_may_take_its_time() -> None:
    status = {"services": [service("web", [starting(1)], state="starting", ready=0)]}
    assert node_problems("n1", status, facts=NodeFacts(now=110.0)) == []
    (found,) = node_problems("n1", status, facts=NodeFacts(now=120.0))
    assert found.kind == "unready"


def test_a_loop_shows_how_it_ended_last() -> None:
    status = {"services": [service("web", [process(1, 7, last_exit=CRASH)])]}
    (found,) = node_problems("n1", status, facts=NodeFacts(now=101.0, looping={"web": 4}))
    assert found.what == "restart loop: 4 exits in the last minute: exit 1"
    assert (found.cause, found.lines) == (CRASH["cause"], ("a", "b"))


def test_a_trouble_is_dated_when_it_is_first_seen_and_forgotten_when_it_is_over() -> None:
    known: dict[str, float] = {}
    full = of(sockets=[{"name": "s", "backlog": 10, "queued": 9, "services": ["web"]}])
    assert [t.since for t in with_since(full, known, 50.0)] == [50.0]
    assert [t.since for t in with_since(full, known, 60.0)] == [50.0]
    assert with_since([], known, 70.0) == []
    assert [t.since for t in with_since(full, known, 80.0)] == [80.0]
