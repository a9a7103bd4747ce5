"""A node far away answers as the one below our feet does, also when the line is bad."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chapiteau.dash.errors import NodeAwayError
from chapiteau.dash.fleet.node import ServiceRequest, ServiceResponse
from chapiteau.run.logs.messages import Outcome
from tests.dash.nodes.ring import Proxy
from tests.support import wait_for_async


@pytest.fixture
async def proxy(ring: Any) -> AsyncIterator[Proxy]:
    async with Proxy(ring.port) as proxy:
        yield proxy


@pytest.fixture
async def agent(ring: Any, memory: Any, proxy: Proxy) -> AsyncIterator[Any]:
    """The agent of a node that has joined and is connected."""
    membership = await ring.join("far", port=proxy.port)
    async with ring.agent(membership, memory) as agent:
        await wait_for_async(agent.connected.is_set)
        yield agent


@pytest.fixture
def line(ring: Any, agent: Any, proxy: Proxy) -> Any:
    """(remote node at the hub, the line to it)."""
    return ring.fleet.watch("far").node, proxy


async def test_every_question_has_its_answer(line: Any, memory: Any) -> None:
    node, _ = line
    status = await node.status()
    assert [s["name"] for s in status["services"]] == ["web"]
    outcome = await node.command("reload", "web", {"wait": True}, "dash:ana")
    assert outcome.ok is True
    assert memory.commands == [("reload", "web", {"wait": True}, "dash:ana")]
    assert (await node.config(dry_run=True, who="x")).ok is True
    memory.say("web", 1, "hello")
    first = await anext(node.logs({"service": "web"}))
    assert first["text"] == "hello"
    assert (await anext(node.stats()))["ids"] == ["web/1", "web/2"]
    memory.answers["GET", "/x"] = ServiceResponse(
        status=200, headers=(("A", "b"),), body="ok", milliseconds=1, url="http://x/x"
    )
    assert (await node.read("/v1/sockets/web"))["name"] == "web"
    assert await node.fetch(ServiceRequest(service="web", path="/x")) == memory.answers["GET", "/x"]


async def test_a_refusal_of_the_node_is_an_outcome(line: Any, memory: Any) -> None:
    node, _ = line
    memory.outcome = Outcome(ok=False, error="no such service", exit_code=3)
    assert (await node.command("stop", "x", {}, "w")).error == "no such service"
    memory.away = True
    assert "does not answer" in (await node.command("stop", "x", {}, "w")).error


async def test_an_outcome_that_is_none_is_told_as_a_node_that_cannot_be_read(
    line: Any, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def of_another_version(*_: object, **__: object) -> dict[str, str]:
        return {"ok": "perhaps"}

    node, _ = line
    for call in ("command", "config"):
        monkeypatch.setattr(type(memory), call, of_another_version)
    with pytest.raises(NodeAwayError, match=r"far: an answer that can't be read .*ok"):
        await node.command("stop", "x", {}, "w")
    with pytest.raises(NodeAwayError, match=r"far: an answer that can't be read .*ok"):
        await node.config(dry_run=True, who="w")


async def test_only_the_verbs_of_a_node_pass(line: Any, memory: Any) -> None:
    from chapiteau.core.errors import ChapiteauError

    node, _ = line
    for verb in ("shutdown", "apply", "__init__", ""):
        with pytest.raises(ChapiteauError, match="no command of a node"):
            await node.command(verb, "web", {}, "w")
    assert memory.commands == []


async def test_the_fleet_sees_it_go_and_come_back(ring: Any, line: Any) -> None:
    _, proxy = line
    watch = ring.fleet.watch("far")
    await wait_for_async(lambda: watch.status and not watch.away_since)
    proxy.closed = True
    proxy.cut()
    await wait_for_async(lambda: watch.away_since)
    assert watch.status["services"], "what was known must stay"
    proxy.closed = False
    await wait_for_async(lambda: not watch.away_since)


async def test_no_event_is_missed_or_doubled_over_cuts(ring: Any, line: Any, memory: Any) -> None:
    _, proxy = line
    watch = ring.fleet.watch("far")
    for number in range(200):
        memory.happen("process.ready", service="web", process=number)
        if number % 50 == 25:  # in the midst of what is on its way
            await wait_for_async(lambda seen=number - 10: len(watch.events) >= seen)
            proxy.cut()
    await wait_for_async(lambda: len(watch.events) >= 200)
    assert [event["seq"] for event in watch.events] == list(range(1, 201))


async def test_a_command_whose_answer_is_lost_is_done_once(
    line: Any, memory: Any, agent: Any
) -> None:
    node, proxy = line
    begun, go_on = asyncio.Event(), asyncio.Event()
    plain = type(memory).command

    async def slow(verb: str, service: str, options: Any, who: str) -> dict[str, Any]:
        begun.set()
        await go_on.wait()
        found: dict[str, Any] = await plain(memory, verb, service, options, who)
        return found

    class Slow:
        name = "far"
        command = staticmethod(slow)

        def __getattr__(self, key: str) -> Any:
            return getattr(memory, key)

    agent.handler.commands.node = Slow()  # stands in between
    asked = asyncio.create_task(node.command("restart", "web", {}, "dash:ana"))
    await begun.wait()
    proxy.cut()
    go_on.set()
    outcome = await asyncio.wait_for(asked, 60)
    assert outcome.ok is True
    assert len(memory.commands) == 1


async def test_a_command_for_a_node_that_is_away_expires_undone(
    line: Any, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chapiteau.dash.nodes.remote.ACCEPT", 0.5)
    node, proxy = line
    proxy.closed = True
    proxy.cut()
    with pytest.raises(NodeAwayError, match="expired, undone"):
        await node.command("stop", "web", {}, "w")
    assert memory.commands == []


async def test_a_silent_line_counts_as_gone_after_three_beats(
    ring: Any, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chapiteau.dash.nodes.link.BEAT", 0.1)
    async with Proxy(ring.port) as proxy:
        membership = await ring.join("far", port=proxy.port)
        async with ring.agent(membership, memory) as agent:
            await wait_for_async(agent.connected.is_set)
            proxy.silent = True
            watch = ring.fleet.watch("far")
            await wait_for_async(lambda: watch.away_since)
            await wait_for_async(lambda: not agent.connected.is_set())
            proxy.silent = False


async def test_the_hub_goes_and_comes_back(ring: Any, line: Any, memory: Any) -> None:
    await ring.reopen()
    watch = ring.fleet.watch("far")
    await wait_for_async(lambda: watch.status and not watch.away_since)
    assert (await watch.node.command("reload", "web", {}, "w")).ok is True


async def test_a_second_agent_with_the_same_papers_replaces_the_first(
    ring: Any, line: Any, memory: Any
) -> None:
    from chapiteau.dash.nodes.membership import Membership

    node, _ = line
    async with ring.agent(Membership(ring.folder / "far"), memory) as second:
        await wait_for_async(second.connected.is_set)
        assert (await node.status())["node"] == "far"
