"""Credentials and idempotency keys, in both paths."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.service import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    MemoryStore,
    ProblemError,
    Service,
    SqliteStore,
)
from chapiteau.service.addons.idempotency import KeyInUseError, SavedResponse, run_once
from chapiteau.service.pipeline.reply import Reply

if TYPE_CHECKING:
    from pathlib import Path

Build = "Callable[..., Any]"
USERS = {"t1": {"name": "ann", "scopes": ["write"]}, "t2": {"name": "bob"}}


@pytest.mark.parametrize(
    ("scheme", "good", "bad"),
    [
        (BearerAuth(USERS.get), {"Authorization": "Bearer t1"}, {"Authorization": "Bearer no"}),
        (ApiKeyAuth(USERS.get), {"X-API-Key": "t1"}, {"X-API-Key": "no"}),
        (
            BasicAuth(lambda user, word: USERS["t1"] if (user, word) == ("ann", "pä:ss") else None),
            {"Authorization": "Basic " + base64.b64encode("ann:pä:ss".encode()).decode()},
            {"Authorization": "Basic !!"},
        ),
    ],
)
def test_credentials(build: Build, scheme: Any, good: dict[str, str], bad: dict[str, str]) -> None:
    service = Service("one", "/one", auth=scheme)

    @service.get()
    def who(identity: Any) -> str:
        return str(identity["name"])

    client = build(service)
    assert client.get("/one", headers=good).json() == "ann"
    for headers in ({}, bad):
        answer = client.get("/one", headers=headers)
        assert (answer.status, answer.json()["code"]) == (401, "not-known")
        assert answer.headers["www-authenticate"].startswith(scheme.challenge())
    document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"] == {scheme.name: scheme.document()}
    operation = document["paths"]["/one"]["get"]
    assert operation["security"] == [{scheme.name: []}]
    assert "401" in operation["responses"]


def test_a_scope_that_is_missing_is_403(build: Build) -> None:
    service = Service("one", "/one")
    service.add("POST", lambda: 1, auth=BearerAuth(USERS.get), scopes=["write"])
    client = build(service)
    assert client.post("/one", headers={"Authorization": "bearer t1"}).status == 200
    refused = client.post("/one", headers={"Authorization": "Bearer t2"})
    assert (refused.status, refused.json()["detail"]) == (403, "needs write")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "keys.sqlite3")
    yield made
    if isinstance(made, SqliteStore):
        made.close()


class FullError(ProblemError):
    status = 503


def test_a_request_with_a_key_is_done_once(build: Build, store: Any) -> None:
    service = Service("orders", "/orders")
    orders: list[int] = []

    @service.post(status=201, idempotent=True)
    def order(body: dict[str, int]) -> int:
        if body["n"] < 0:
            orders.append(0)
            raise FullError
        orders.append(body["n"])
        return len(orders)

    client = build(service, more=lambda config: config.set_idempotency_store(store))
    key = {"Idempotency-Key": "k1"}
    first = client.post("/orders", json={"n": 1}, headers=key)
    again = client.post("/orders", json={"n": 1}, headers=key)
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert again.headers["idempotency-replayed"] == "true"
    assert orders == [1]
    other = client.post("/orders", json={"n": 2}, headers=key)
    assert (other.status, other.json()["code"]) == (422, "key-reused")
    assert client.post("/orders", json={"n": 2}).json() == 2
    for _ in range(2):  # a failure may be tried again
        assert (
            client.post("/orders", json={"n": -1}, headers={"Idempotency-Key": "k2"}).status == 503
        )
    assert orders == [1, 2, 0, 0]


def test_two_at_once_do_it_once(store: Any) -> None:
    clock, inside, go_on = ManualClock(), threading.Event(), threading.Event()
    done = []

    def slow() -> Reply:
        inside.set()
        assert go_on.wait(60)
        done.append(1)
        return Reply("200 OK", [], b"x")

    thread = threading.Thread(target=run_once, args=(store, clock, "k", "f", slow))
    thread.start()
    assert inside.wait(60)
    with pytest.raises(KeyInUseError):
        run_once(store, clock, "k", "f", slow)
    go_on.set()
    thread.join()
    assert run_once(store, clock, "k", "f", slow).body == b"x"
    assert done == [1]


def test_a_key_left_by_a_crash_is_free_after_a_minute(store: Any) -> None:
    clock = ManualClock()
    assert store.take("k", SavedResponse("f", clock.wall()), older_than=0) is None
    clock.advance(61)
    assert run_once(store, clock, "k", "f", lambda: Reply("200 OK", [], b"y")).body == b"y"
