"""The audit trail tells who came, who left and who was refused, and nobody can flood it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from chapiteau.dash.auth.access import Caller, Role
from chapiteau.dash.auth.audit_trail import AuditTrail
from chapiteau.dash.auth.sessions import hash_password
from chapiteau.dash.cli.dash import group as dash_group
from chapiteau.dash.cli.hub import group as hub_group
from chapiteau.dash.store import Store
from chapiteau.io.clock import SystemClock


def _lines(store: Any) -> list[tuple[str, str, str, str]]:
    found = store.audit_trail(most=1_000)
    return [(e["who"], e["verb"], e["target"], e["result"]) for e in found][::-1]


async def test_logins_and_logouts_are_in_it(house: Any) -> None:
    house.hub.store.keep_account("ana", int(Role.ADMIN), hash_password("long enough"), 1.0)
    async with house.client(login=False) as session:
        for password in ("guessed", "long enough"):
            body = {"name": "ana", "password": password}
            await session.post("/api/login", json=body)
        await session.post("/api/logout", json={})
        await session.post("/api/login", json={"token": "no such"})
    failed, done, left, link = _lines(house.hub.store)
    assert failed == ("ana", "login", "127.0.0.1", "failed: name or password is wrong")
    assert done == ("ana", "login", "127.0.0.1", "by password")
    assert left == ("ana", "logout", "127.0.0.1", "ok")
    assert link[:3] == ("127.0.0.1", "login", "127.0.0.1")
    assert link[3].startswith("failed: ")


async def test_what_was_refused_is_in_it_and_a_page_that_only_asks_is_not(house: Any) -> None:
    act = {"verb": "stop", "targets": [{"node": "alpha", "service": "web"}]}
    viewer = house.hub.sessions.begin(Caller(name="vera", role=Role.VIEWER))
    async with house.client(login=False) as session:
        assert (await session.get("/api/session")).status == 401
        assert _lines(house.hub.store) == []
        assert (await session.post("/api/act", json=act)).status == 401
        session.cookie_jar.update_cookies({f"chapiteau-{house.server.port}": viewer})
        headers = {"Idempotency-Key": "k"}
        assert (await session.post("/api/act", json=act, headers=headers)).status == 403
        assert (await session.get("/api/audit")).status == 403
        foreign = {"Origin": "https://evil.example"}
        assert (await session.post("/api/act", json=act, headers=foreign)).status == 403
    nobody, role, read, csrf = _lines(house.hub.store)
    assert nobody == ("127.0.0.1", "refused", "POST /api/act", "log in first")
    assert role == ("vera", "refused", "POST /api/act", "vera is viewer and may not stop")
    assert read == ("vera", "refused", "GET /api/audit", "vera is viewer and may not audit")
    assert csrf[3] == "this request comes from a foreign page"


def test_refusals_are_bounded_and_those_left_out_are_counted(tmp_path: Path) -> None:
    class Clock(SystemClock):
        time = 0.0

        def now(self) -> float:
            return self.time

    store, clock = Store(tmp_path / "hub.sqlite3"), Clock()
    trail = AuditTrail(store, clock)
    for _ in range(1_000):
        trail.refuse("\ud800x\n", "login", "", "no", address="192.0.2.1")
    trail.refuse("y", "login", "", "no", address="192.0.2.2")
    clock.time = 10.0
    trail.refuse("z", "login", "", "no", address="192.0.2.1")
    lines = _lines(store)
    store.close()
    assert len(lines) == 22
    assert lines[0][0] == "\ufffdx\ufffd"
    assert lines[-2] == ("y", "login", "", "no (980 refusals before this one are not listed)")
    assert lines[-1][3] == "no"


def test_what_the_command_line_changes_is_in_it(tmp_path: Path) -> None:
    config = tmp_path / "chapiteau.toml"
    config.write_text('[project]\nname = "memory"\n[hub]\nenable = true\n')
    given = ["--config", str(config)]

    def run(group: Any, *arguments: str, said: str = "") -> str:
        found = CliRunner().invoke(group, [*arguments, *given], input=said, catch_exceptions=False)
        return found.stdout

    run(dash_group, "user", "add", "ana", "--role", "admin", "--password-stdin", said="x" * 12)
    run(dash_group, "user", "remove", "ana")
    token = json.loads(run(hub_group, "token", "--json"))["token"]
    from chapiteau.dash.project import read_project

    store = Store(read_project(config).store)
    lines = _lines(store)
    store.close()
    assert [line[1:] for line in lines[:2]] == [
        ("account", "ana", "added or changed: admin"),
        ("account", "ana", "removed"),
    ]
    assert lines[2][1] == "token"
    assert lines[2][2].removeprefix("token ") in token
    assert lines[2][3] == "made, for 1h"
    assert all(line[0].endswith("(command line)") for line in lines)
