"""A problem that somebody knows: in sight, but nobody is told; over restarts, and undone."""

from __future__ import annotations

from typing import Any

from chapiteau.dash.auth.access import Caller, Role
from chapiteau.dash.fleet.alerts import AlertEvaluator
from chapiteau.dash.fleet.problem import FleetProblem
from chapiteau.dash.fleet.problems import with_mutes
from chapiteau.dash.settings import FleetAlerts, FleetTarget
from chapiteau.dash.store import Store
from tests.support import wait_for_async

PROBLEM = FleetProblem(key="a/web/down", kind="down", severity=2, node="a", what="failed")


def test_what_is_muted_is_not_told_until_it_is_over() -> None:
    rule = FleetAlerts(to={"chat": FleetTarget(url="http://x/")}, hold=0.0, repeat=50.0)
    man = AlertEvaluator(rule, [])
    quiet = with_mutes([PROBLEM], {PROBLEM.key: (100.0, "ana")}, 10.0)
    assert (quiet[0].muted_until, quiet[0].muted_by) == (100.0, "ana")
    assert list(man.see(quiet, 10.0)) == []
    assert with_mutes([PROBLEM], {PROBLEM.key: (100.0, "ana")}, 101.0) == [PROBLEM]
    assert [n.status for n in man.see([PROBLEM], 101.0)] == ["firing"]
    again = with_mutes([PROBLEM], {PROBLEM.key: (500.0, "ana")}, 160.0)
    assert list(man.see(again, 160.0)) == [], "nor is it repeated"


async def test_muting_is_kept_shown_audited_and_undone(house: Any) -> None:
    watch = house.hub.fleet.watch("alpha")
    await wait_for_async(lambda: house.hub.fleet.problems(watch))
    key = house.hub.fleet.problems(watch)[0].key
    async with house.client() as session:
        post = session.post("/api/mute", json={"key": key, "minutes": 60})
        async with post as answer:
            assert answer.status == 200
        async with session.get("/api/fleet") as answer:
            told = (await answer.json())["nodes"][0]["problems"][0]
        assert (told["key"], told["muted_by"]) == (key, "local")
        assert Store(house.server.project.store).mutes()[key][1] == "local", "the next hub knows"
        for body, status in (
            ({"key": "x", "minutes": 1}, 404),
            ({"key": key, "minutes": "x"}, 400),
        ):
            async with session.post("/api/mute", json=body) as answer:
                assert answer.status == status
        async with session.post("/api/mute", json={"key": key, "minutes": 0}) as answer:
            assert answer.status == 200
    assert not house.hub.fleet.problems(watch)[0].muted_until
    assert house.hub.store.mutes() == {}
    assert [e["result"] for e in house.hub.store.audit_trail(0)] == [
        "unmuted",
        "for 60 minutes",
        "by link",
    ]


async def test_who_only_looks_may_not_mute(house: Any) -> None:
    session_id = house.hub.sessions.begin(Caller(name="vera", role=Role.VIEWER))
    async with house.client(login=False) as session:
        session.cookie_jar.update_cookies({f"chapiteau-{house.server.port}": session_id})
        async with session.post("/api/mute", json={"key": "x", "minutes": 1}) as answer:
            assert answer.status == 403
