"""Rate limits, figures for a scraper, answers held against their types, routing at size."""

from __future__ import annotations

import logging
import re
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.service import MemoryRates, RateLimit, Service, SqliteRates
from chapiteau.service.errors import DeclarationError
from chapiteau.service.protocol.rate_limit import spend
from chapiteau.service.testing import Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Build = Callable[..., Client]

TWO = RateLimit(requests=2, seconds=60)


def limited(limit: RateLimit, **options: Any) -> Service:
    service = Service("one", "/one", limit=limit, **options)
    service.add("GET", lambda: 1)
    return service


def test_a_client_learns_what_is_left_and_when_to_come_again(build: Build) -> None:
    client = build(limited(TWO))
    first, second, third = (client.get("/one") for _ in range(3))
    assert [a.status for a in (first, second, third)] == [200, 200, 429]
    assert first.headers["ratelimit-policy"] == '"default";q=2;w=60'
    assert first.headers["ratelimit"] == '"default";r=1;t=30'
    assert third.headers["ratelimit"].startswith('"default";r=0;t=')
    assert 1 <= int(third.headers["retry-after"]) <= 30
    assert third.json()["code"] == "too-many-requests"
    document = client.get("/openapi.json").json()
    assert "429" in document["paths"]["/one"]["get"]["responses"]


def test_each_has_a_budget_and_a_name_is_shared(build: Build) -> None:
    limit = RateLimit(requests=1, seconds=60, name="all", by=lambda r: r.headers["X-Who"])
    other = Service("two", "/two", limit=limit)
    other.add("GET", lambda: 2)
    client = build(limited(limit), other)
    assert client.get("/one", headers={"X-Who": "ann"}).status == 200
    assert client.get("/two", headers={"X-Who": "bob"}).status == 200
    assert client.get("/two", headers={"X-Who": "ann"}).status == 429


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_no_store_lets_too_many_pass_at_once(kind: str, tmp_path: Path) -> None:
    store = MemoryRates() if kind == "memory" else SqliteRates(tmp_path / "rates.db")
    allowed: list[bool] = []
    limit = RateLimit(requests=7, seconds=900)

    def ask() -> None:
        allowed.extend(store.spend("k", limit, 5000.0).allowed for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(allowed), sum(allowed)) == (40, 7)
    assert store.spend("k", RateLimit(requests=7, seconds=900), 5900.0).remaining == 6


def test_processes_share_a_budget_by_their_file(build: Build, tmp_path: Path) -> None:
    def share(config: Any) -> None:
        config.set_rate_store(SqliteRates(tmp_path / "rates.db"))

    clients = [build(limited(TWO), more=share) for _ in range(3)]
    assert [client.get("/one").status for client in clients] == [200, 200, 429]


def test_a_memory_store_forgets_the_oldest_first() -> None:
    store = MemoryRates(most=2)
    for key in ("a", "b", "a", "c"):
        store.spend(key, TWO, 0.0)
    assert not store.spend("a", TWO, 0.0).allowed
    assert store.spend("b", TWO, 0.0).remaining == 1


@given(
    st.integers(1, 50),
    st.floats(0.1, 1e4),
    st.lists(st.floats(0, 100), min_size=1, max_size=200),
)
def test_no_window_holds_more_than_twice_the_budget(
    requests: int, seconds: float, steps: list[float]
) -> None:
    limit = RateLimit(requests=requests, seconds=seconds)
    now, state, passed = 0.0, None, []
    for step in steps:
        now += step
        state, verdict = spend(limit, state, now)
        assert 0 <= verdict.remaining < requests
        if verdict.allowed:
            passed.append(now)
        else:
            _, later = spend(limit, state, now + verdict.retry_in * 1.001)
            assert later.allowed
    for start in passed:
        # A full budget at once, and what has grown again meanwhile.
        assert sum(start <= at <= start + seconds for at in passed) <= 2 * requests + 1


@pytest.mark.parametrize("bad", [{"requests": 0}, {"seconds": 0}, {"name": 'a"b'}])
def test_a_limit_that_cant_be_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError):
        RateLimit(**{"requests": 1, "seconds": 1, **bad})


# ── figures ──────────────────────────────────────────────────────────────────────────────────
def test_figures_are_told_per_operation_and_status(build: Build) -> None:
    service = Service("one", "/one/{id}")

    @service.get()
    def one(id: int) -> int:  # noqa: A002
        if id == 9:
            raise RuntimeError("on purpose")
        return id

    client = build(service, more=lambda config: config.add_metrics())
    for path in ("/one/1", "/one/2", "/one/x", "/one/9", "/nothing"):
        client.get(path)
    client.request("BREW", "/one/1")
    client.request("STEEP", "/one/1")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    counts = {
        (method, status): int(count)
        for method, status, count in re.findall(
            r'_count\{service="one",path="/one/\{id\}",method="(\w+)",'
            r'status="(\d+)",process="\d+"\} (\d+)',
            answer.text,
        )
    }
    expected = {("GET", "200"): 2, ("GET", "422"): 1, ("GET", "500"): 1, ("other", "405"): 2}
    assert counts == expected
    assert re.search(r'_bucket\{service="one",.*status="200".*le="\+Inf"\} 2\n', answer.text)
    assert "/metrics" not in client.get("/openapi.json").json()["paths"]


def test_nobody_counts_who_was_not_asked(build: Build) -> None:
    assert build(limited(TWO)).get("/metrics").status == 404


# ── answers ──────────────────────────────────────────────────────────────────────────────────
def test_a_client_of_tests_finds_answers_of_the_wrong_type(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service("one", "/one")

    @service.get()
    def wrong() -> list[int]:
        return ["a"]  # type: ignore[list-item]

    with caplog.at_level(logging.ERROR):
        assert build(service).get("/one").status == 500
    assert "returned another type than it declares" in caplog.text
    assert "$[0]" in caplog.text


# ── size ─────────────────────────────────────────────────────────────────────────────────────
def test_a_thousand_operations_route_at_the_cost_of_one(build: Build, lane: str) -> None:
    """Counts the calls of Python functions, which doesn't depend on the machine."""

    def calls(size: int) -> int:
        services = []
        for number in range(size):
            service = Service(f"s{number:04}", f"/part{number}/{{id}}")
            service.add("GET", _same)
            services.append(service)
        client = build(*services)
        path = f"/part{size - 1}/7"
        assert client.get(path).json() == "7"  # tables are made at the first request
        count = 0

        def note(_frame: Any, event: str, _arg: Any) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(note)
        try:
            client.get(path)
        finally:
            sys.setprofile(None)
        return count

    assert calls(1000) <= 1.5 * calls(1)


def _same(id: str) -> str:  # noqa: A002
    return id
