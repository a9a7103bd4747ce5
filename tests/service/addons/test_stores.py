"""Stores that processes and machines share: real races, and what happens while one is away."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyramid.response import Response

from chapiteau.core.clock import ManualClock
from chapiteau.service import MemoryStore, RateLimit, Service, SqliteStore
from chapiteau.service.addons import RedisRates, RedisStore
from chapiteau.service.addons.idempotency import (
    KeyInUseError,
    KeyReusedError,
    SavedResponse,
    run_once,
)
from chapiteau.service.errors import DeclarationError
from chapiteau.service.pipeline.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., Any]

NOWHERE = "unix:///nowhere/redis"


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    if request.param == "sqlite":
        return "sqlite", str(tmp_path / "store.sqlite3")
    return "redis", request.getfixturevalue("redis_url") + "?db=1"


@pytest.mark.slow
def test_of_several_processes_one_gets_each_key_and_none_more_than_the_budget(
    place: tuple[str, str],
) -> None:
    words = [sys.executable, str(Path(__file__).with_name("racing.py")), *place]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    lines = Counter(done.stdout.splitlines())
    assert {n: lines[f"mine {n}"] for n in range(40)} == dict.fromkeys(range(40), 1)
    passed = [int(line.split()[1]) for line in lines.elements() if line.startswith("passed")]
    assert (len(passed), sum(passed)) == (3, 50)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "sqlite":
        made = SqliteStore(tmp_path / "keys.sqlite3")
        yield made
        made.close()
    else:
        shared = RedisStore(request.getfixturevalue("redis_url"), prefix=f"{tmp_path.name}:")
        yield shared
        shared.close()


def _answer(text: str) -> Callable[[], Reply]:
    return lambda: Reply("200 OK", [("X-A", "b")], text.encode())


def test_the_first_answer_comes_again(store: Any) -> None:
    clock = ManualClock()
    assert run_once(store, clock, "k", "f", _answer("one")).body == b"one"
    again = run_once(store, clock, "k", "f", _answer("two"))
    assert (again.body, again.headers) == (b"one", [("X-A", "b"), ("Idempotency-Replayed", "true")])
    with pytest.raises(KeyReusedError):
        run_once(store, clock, "k", "another", _answer("two"))
    with pytest.raises(RuntimeError):
        run_once(store, clock, "k2", "f", _fails)
    assert run_once(store, clock, "k2", "f", _answer("now")).body == b"now"


def _fails() -> Reply:
    raise RuntimeError


def test_who_comes_back_too_late_changes_nothing(store: Any) -> None:
    """The first was away for a minute; a second has taken the key, and is at work."""
    first, second = SavedResponse("f", 1000.0), SavedResponse("f", 1100.0)
    assert store.take("k", first, older_than=900.0) is None
    assert store.take("k", SavedResponse("f", 1001.0), older_than=941.0) == first
    assert store.take("k", second, older_than=1040.0) is None
    store.drop("k", first)
    store.keep("k", SavedResponse("f", 1000.0, "200 OK", [], b"late"))
    assert store.take("k", SavedResponse("f", 1101.0), older_than=1041.0) == second
    done = SavedResponse("f", 1100.0, "201 Created", [], b"right")
    store.keep("k", done)
    assert store.take("k", SavedResponse("f", 9999.0), older_than=9939.0) == done


def test_one_at_a_time(store: Any) -> None:
    clock, inside, go_on = ManualClock(), threading.Event(), threading.Event()

    def slow() -> Reply:
        inside.set()
        assert go_on.wait(60)
        return Reply("200 OK", [], b"x")

    thread = threading.Thread(target=run_once, args=(store, clock, "k", "f", slow))
    thread.start()
    assert inside.wait(60)
    with pytest.raises(KeyInUseError):
        run_once(store, clock, "k", "f", slow)
    go_on.set()
    thread.join()


def test_answers_that_a_handler_made_itself_are_kept_too(build: Build, store: Any) -> None:
    orders: list[int] = []
    service = Service("orders", "/orders")

    @service.post(idempotent=True)
    def order() -> Response:
        orders.append(1)
        return Response(f"order {len(orders)}")

    client = build(service, more=lambda config: config.set_idempotency_store(store))
    key = {"Idempotency-Key": "own"}
    bodies = {client.post("/orders", headers=key).body for _ in range(2)}
    assert (bodies, orders) == ({b"order 1"}, [1])


def test_without_redis_keys_are_refused_and_budgets_are_open(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service("one", "/one", limit=RateLimit(requests=1, seconds=60))
    service.add("POST", lambda: 1, idempotent=True)

    def more(config: Any) -> None:
        config.set_idempotency_store(RedisStore(NOWHERE))
        config.set_rate_store(RedisRates(NOWHERE))

    client = build(service, more=more)
    assert [client.post("/one").status for _ in range(3)] == [200] * 3
    assert [r.message.startswith("no limits") for r in caplog.records].count(True) == 1
    refused = client.post("/one", headers={"Idempotency-Key": "k"})
    assert (refused.status, refused.json()["code"]) == (503, "store-away")
    RedisStore(NOWHERE).keep(
        "k", SavedResponse("f", 0.0)
    )  # the deed is done: only a line in the log


def test_budgets_in_redis_fill_up_again(redis_url: str) -> None:
    rates = RedisRates(redis_url, prefix="fill:")
    limit = RateLimit(requests=2, seconds=1e6)
    said = [rates.spend("a", limit, 0.0) for _ in range(3)]
    assert [v.allowed for v in said] == [True, True, False]
    assert [v.remaining for v in said] == [1, 0, 0]
    assert 0 < said[2].retry_in <= 5e5
    assert rates.spend("b", limit, 0.0).allowed
    quick = RateLimit(requests=1, seconds=1e-6)
    assert all(rates.spend("c", quick, 0.0).allowed for _ in range(3))
    rates.close()


def test_what_is_missing_or_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeclarationError, match="no address"):
        RedisStore("localhost:6379")
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(DeclarationError) as told:
        RedisRates("redis://localhost")
    assert "chapiteau[redis]" in (told.value.hint or "")
