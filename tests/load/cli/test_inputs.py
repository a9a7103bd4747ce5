"""Documents, logs and other testers' files on the command line, the good way and the wrong way."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.load.scenario.flow import FlowState
from chapiteau.load.settings import LoadTest
from chapiteau.load.workers.documents import find_document, read_source
from tests.migrate.shims.shop import Shop, open_shop
from tests.support import run_cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture
def shop() -> Iterator[Shop]:
    with open_shop() as opened:
        yield opened


def result(folder: Path, *args: str) -> dict[str, Any]:
    done = run_cli("load", "run", *args, "--no-store", "-q", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def refusal(folder: Path, *args: str) -> tuple[int, str]:
    done = run_cli("load", "run", *args, "--no-store", "-q", cwd=folder)
    return done.returncode, done.stderr


def rows(document: dict[str, Any]) -> dict[str, int]:
    return {row["name"]: row["requests"] for row in document["rows"]}


def log(seconds: list[float]) -> str:
    lines = [
        {"ts": 1_800_000_000 + at, "method": "GET", "uri": f"/products/{i + 1}", "status": 200}
        for i, at in enumerate(seconds)
    ]
    return "\n".join(map(json.dumps, lines))


def test_a_log_is_replayed_in_its_own_time(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "shop.log").write_text(log([0.0, 0.1, 0.2, *[2.0] * 17]))

    document = result(tmp_path, "shop.log", "--base", shop.url, "--replay", "1", "--processes", "2")

    assert rows(document) == {"GET /products/{id}": 20}
    assert [round(point["rate"]) for point in document["timeline"]] == [3, 0, 17]


def test_a_log_is_replayed_faster(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "shop.log").write_text(log([i / 10 for i in range(41)]))

    document = result(tmp_path, "shop.log", "--base", shop.url, "--replay", "8")

    assert rows(document) == {"GET /products/{id}": 41}
    assert len(document["timeline"]) == 1


def test_ceilings_hold_for_what_a_file_asks_for(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "shop.log").write_text(log([0.0, *[5.0] * 90, 9.0]))
    (tmp_path / "endless.py").write_text(
        "from locust import HttpUser, LoadTestShape, task\n"
        "class U(HttpUser):\n    @task\n    def t(self): self.client.get('/')\n"
        "class Endless(LoadTestShape):\n    def tick(self): return 1, 1\n"
    )
    base = ("--base", shop.url, "--dry-run")

    replayed = refusal(tmp_path, "shop.log", *base, "--replay", "1", "--ceiling", "50/s")
    assert replayed[0] == 2
    assert "90/s is above the ceiling of 50/s" in replayed[1]
    endless = refusal(tmp_path, "endless.py", *base)
    assert endless[0] == 2
    assert "is longer than 4h" in endless[1]
    assert refusal(tmp_path, "endless.py", *base, "--longest", "24h")[0] == 0


def test_replay_is_for_logs_alone(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "some.urls").write_text("/products\n")
    (tmp_path / "shop.log").write_text(log([0.0]))
    base = ("--base", shop.url, "--replay", "1")

    code, told = refusal(tmp_path, "some.urls", *base)
    assert (code, "replay is for access logs" in told) == (2, True)
    assert refusal(tmp_path, "shop.log", *base, "--rate", "5/s")[0] == 2


def test_credentials_of_the_command_line_reach_the_requests(tmp_path: Path) -> None:
    schemes = {
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "token": {"type": "http", "scheme": "bearer"},
        "login": {"type": "http", "scheme": "basic"},
    }
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "components": {"securitySchemes": schemes},
        "paths": {f"/{name}": {"get": {"security": [{name: []}]}} for name in schemes},
    }
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    test = LoadTest(
        target="openapi.json", base="http://127.0.0.1:1", api_keys={"X-Key": "k-1"},
        bearer="t-1", basic="joe:p-1",
    )  # fmt: skip

    found = find_document("openapi.json", test, tmp_path, lambda _host: None)
    flow, chance = read_source(found.source).flow, random.Random(1)
    sent = [flow.next(chance, FlowState(memory={})) for _ in range(60)]

    headers = {header for request in sent if request for header in request.headers}
    assert {("X-Key", "k-1"), ("Authorization", "Bearer t-1")} <= headers
    assert ("Authorization", "Basic am9lOnAtMQ==") in headers
    assert not found.problems


def test_what_is_wrong_with_a_document_is_told(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text('{"openapi": "3.1.0", "paths": {}}')
    (tmp_path / "some.bin").write_bytes(b"\0\1\2")
    (tmp_path / "two.urls").write_text("nonsense\nhttp://127.0.0.1:1/\nmore nonsense\n")

    code, told = refusal(tmp_path, "openapi.json")
    assert (code, "describes no operation" in told) == (2, True)
    code, told = refusal(tmp_path, "some.bin")
    assert (code, "can't tell what this is" in told, "--format" in told) == (2, True, True)
    code, told = refusal(tmp_path, "two.urls")
    assert (code, "two.urls:1" in told, "two.urls:3" in told) == (2, True, True)
    code, told = refusal(tmp_path, "missing.har")
    assert (code, "missing.har: no such file" in told) == (3, True)


def test_a_document_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("curl https://api.example.com/\n")

    code, told = refusal(tmp_path, "r.txt")

    assert code == 4
    assert "--allow api.example.com" in told


def test_secrets_of_the_command_line_stay_out_of_the_result(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "some.urls").write_text("/products\n")

    document = result(
        tmp_path, "some.urls", "--base", shop.url, "--users", "1", "-d", "1s",
        "--bearer", "hush-hush", "--headers", "Authorization=hush-too",
    )  # fmt: skip

    assert "hush" not in json.dumps(document)


def test_a_locust_file_says_that_it_is_slower(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(
        "from locust import HttpUser, task\nprint('imported')\n"
        "class U(HttpUser):\n    @task\n    def t(self): self.client.get('/products')\n"
    )

    done = run_cli(
        "load", "run", "f.py", "--base", shop.url, "-d", "1s", "--no-store", "-q", "--json",
        cwd=tmp_path, timeout=60,
    )  # fmt: skip

    assert "runs in threads" in done.stderr
    document = json.loads(done.stdout)
    assert document["totals"]["requests"] == shop.asked["GET /products"]


def test_a_base_overrides_the_servers_of_operations(shop: Shop, tmp_path: Path) -> None:
    """Nobody listens where the document sends its operations."""
    nowhere = [{"url": "http://127.0.0.1:1/v2"}]
    answers = {"responses": {"200": {"description": "ok"}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "shop", "version": "1"},
        "servers": nowhere,
        "paths": {
            "/": {"servers": nowhere, "get": answers},
            "/products/1": {"get": {**answers, "servers": nowhere}},
        },
    }
    (tmp_path / "openapi.json").write_text(json.dumps(document))

    refusal(tmp_path, "openapi.json", "--base", shop.url, "--users", "1", "--iterations", "8")

    assert sum(shop.asked.values()) == 8
    assert set(shop.asked) == {"GET /", "GET /products/N"}
