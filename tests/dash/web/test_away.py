"""An action on a server that is away fails at once and says since when, or waits when asked to."""

from __future__ import annotations

from typing import Any

import pytest

from chapiteau.dash.auth.access import Caller, Role
from chapiteau.dash.testing import MemoryNode, process, service
from tests.support import wait_for_async


@pytest.fixture
async def fleet(house: Any) -> Any:
    """alpha, and beta that is away."""
    beta = MemoryNode(name="beta", clock=house.node.clock)
    beta.services = [service("web", [process(1, 11)])]
    house.hub.fleet.add(beta)
    watch = house.hub.fleet.watch("beta")
    await wait_for_async(lambda: watch.status)
    beta.fall_silent()
    await wait_for_async(lambda: watch.away_since)
    house.beta = beta
    return house


async def act(session: Any, *names: str, **more: Any) -> int:
    targets = [{"node": name, "service": "web"} for name in names]
    body = {"verb": "restart", "targets": targets, **more}
    async with session.post("/api/act", json=body, headers={"Idempotency-Key": "k"}) as answer:
        assert answer.status == 202, await answer.text()
        return int((await answer.json())["number"])


def action(house: Any) -> dict[str, Any]:
    found: dict[str, Any] = house.hub.actions.recent()[0].to_dict()
    return found


async def ended(house: Any) -> dict[str, Any]:
    await wait_for_async(lambda: action(house)["ended"])
    return action(house)


async def test_a_server_that_is_away_is_told_at_once_and_the_others_are_done(fleet: Any) -> None:
    async with fleet.client() as session:
        await act(session, "alpha", "beta")
        found = await ended(fleet)
    done, away = (target["result"] for target in found["targets"])
    assert done["ok"] is True
    assert away["ok"] is False
    assert "beta is away for" in away["error"]
    assert "nothing was sent" in away["error"]
    assert "hub want" in away["hint"]
    assert away["exit_code"] == 5
    assert away["away"] == round(fleet.hub.fleet.watch("beta").away_since, 3)
    assert found["ended"] - found["began"] < 8  # and not after the 10 s that a node has
    assert fleet.beta.commands == []
    (entry, *_) = fleet.hub.store.audit_trail(0)
    assert entry["result"].startswith("1 of 2 done; beta is away")


async def test_it_waits_when_asked_and_is_done_once_when_the_server_is_back(fleet: Any) -> None:
    async with fleet.client() as session:
        await act(session, "alpha", "beta", wait=60)
        await wait_for_async(lambda: action(fleet)["targets"][1]["waits"])
        alpha, beta = action(fleet)["targets"]
        assert alpha["result"]["ok"] is True
        assert beta["waits"] == action(fleet)["began"] + 60
        fleet.beta.fall_silent(away=False)
        found = await ended(fleet)
    assert [target["result"]["ok"] for target in found["targets"]] == [True, True]
    assert found["targets"][1]["waits"] == 0
    assert len(fleet.beta.commands) == 1


async def test_what_waited_too_long_is_told_and_not_done_later(fleet: Any) -> None:
    async with fleet.client() as session:
        await act(session, "beta", wait=1)
        found = await ended(fleet)
        assert "beta is away" in found["targets"][0]["result"]["error"]
        fleet.beta.fall_silent(away=False)
        await wait_for_async(lambda: not fleet.hub.fleet.watch("beta").away_since)
    assert fleet.beta.commands == []


async def test_a_server_that_is_back_and_not_seen_yet_is_no_longer_away(fleet: Any) -> None:
    async with fleet.client() as session:
        fleet.beta.away = False  # nobody has asked it since
        await act(session, "beta")
        found = await ended(fleet)
    assert found["targets"][0]["result"]["ok"] is True


async def test_a_hub_that_ends_leaves_what_waits_open_for_its_next_start(fleet: Any) -> None:
    async with fleet.client() as session:
        await act(session, "alpha", "beta", wait=3600)
        await wait_for_async(lambda: action(fleet)["targets"][1]["waits"])
        await fleet.hub.actions.close()
    (entry, *_) = fleet.hub.store.audit_trail(0)
    assert entry["result"] == "begun; its result is not known yet"
    (kept,) = fleet.hub.store.actions()
    assert not kept.is_ended


@pytest.mark.parametrize("wait", ["soon", -1, 1.5, None])
async def test_a_wait_that_is_none_is_refused(fleet: Any, wait: object) -> None:
    body = {"verb": "stop", "targets": [{"node": "beta", "service": "web"}], "wait": wait}
    headers = {"Idempotency-Key": "k"}
    async with (
        fleet.client() as session,
        session.post("/api/act", json=body, headers=headers) as answer,
    ):
        assert answer.status == 400


async def test_what_waits_is_withdrawn_and_never_done(fleet: Any) -> None:
    async with fleet.client() as session:
        number = await act(session, "alpha", "beta", wait=3600)
        await wait_for_async(lambda: action(fleet)["targets"][1]["waits"])
        async with session.post(f"/api/act/{number}/withdraw", json={}) as answer:
            assert answer.status == 200
        found = await ended(fleet)
        async with session.post(f"/api/act/{number}/withdraw", json={}) as answer:
            assert answer.status == 404, "nothing of it waits any more"
        fleet.beta.fall_silent(away=False)
        await wait_for_async(lambda: not fleet.hub.fleet.watch("beta").away_since)
    done, away = (target["result"] for target in found["targets"])
    assert done["ok"] is True
    assert away["error"].endswith("; withdrawn by local")
    assert fleet.beta.commands == []


async def test_who_may_not_do_it_may_not_withdraw_it(fleet: Any) -> None:
    async with fleet.client() as session:
        number = await act(session, "beta", wait=3600)
        await wait_for_async(lambda: action(fleet)["targets"][0]["waits"])
    viewer = fleet.hub.sessions.begin(Caller(name="ana", role=Role.VIEWER))
    async with fleet.client(login=False) as session:
        session.cookie_jar.update_cookies({f"chapiteau-{fleet.server.port}": viewer})
        async with session.post(f"/api/act/{number}/withdraw", json={}) as answer:
            assert answer.status == 403
    assert action(fleet)["ended"] == 0
