"""The contract between hub and nodes, on every backend: events, commands, states, leases."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import pytest

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import NodeAwayError
from chapiteau.dash.nodes.contract import (
    DesiredServices,
    LeaseHeldError,
    NodeCommand,
    StaleGenerationError,
)
from chapiteau.run.logs.messages import Outcome
from tests.dash.nodes.control_plane.stage import Stage
from tests.support import wait_for_async

T = TypeVar("T")


async def first(items: AsyncIterator[T], count: int, within: float = 10.0) -> list[T]:
    """The first items, within seconds."""
    found: list[T] = []
    async with asyncio.timeout(within), contextlib.aclosing(items) as all_items:  # type: ignore[type-var]
        async for item in all_items:
            found.append(item)
            if len(found) == count:
                break
    return found


def order(number: str = "a1", **more: Any) -> NodeCommand:
    # The fence is beyond that of the stage's own hub, which its node has heard of already.
    given = {"id": number, "verb": "reload", "service": "web", "who": "ana", "fence": 5, **more}
    return NodeCommand(**given)


def nothing() -> None:
    pass


# ── events ──


async def test_events_come_in_order_from_any_number_on(stage: Stage) -> None:
    for number in range(1, 6):
        stage.memory.happen("process.ready", service="web", process=number)
    channel = stage.plane.channel("far")
    assert [e["seq"] for e in await first(channel.events(0), 5)] == [1, 2, 3, 4, 5]
    assert [e["seq"] for e in await first(channel.events(3), 2)] == [4, 5]
    waiting = asyncio.create_task(first(channel.events(5), 1))
    stage.memory.happen("process.exited", service="web", process=1)
    (event,) = await waiting
    assert (event["seq"], event["kind"], event["process"]) == (6, "process.exited", 1)


async def test_two_listeners_hear_everything(stage: Stage) -> None:
    channel = stage.plane.channel("far")
    both = asyncio.gather(first(channel.events(0), 3), first(channel.events(0), 3))
    for number in range(3):
        stage.memory.happen("process.ready", service="web", process=number)
    one, other = await both
    assert one == other
    assert [e["seq"] for e in one] == [1, 2, 3]


async def test_what_happened_behind_a_cut_is_told_afterwards(stage: Stage) -> None:
    channel, seen = stage.plane.channel("far"), 0
    for number in range(1, 4):
        stage.memory.happen("process.ready", service="web", process=number)
    for event in await first(channel.events(0), 3):
        seen = event["seq"]
    await stage.cut()
    for number in range(4, 24):
        stage.memory.happen("process.ready", service="web", process=number)
    await stage.mend()
    await stage.linked()
    assert [e["seq"] for e in await first(channel.events(seen), 20)] == list(range(4, 24))


# ── commands ──


async def test_a_command_is_taken_on_and_then_done(stage: Stage) -> None:
    taken: list[str] = []
    outcome = await stage.plane.channel("far").send(order(), lambda: taken.append("yes"))
    assert outcome.ok is True
    assert taken == ["yes"]
    assert stage.memory.commands == [("reload", "web", {}, "ana")]


async def test_a_command_may_fail_and_says_why(stage: Stage) -> None:
    stage.memory.outcome = Outcome(ok=False, error="web does not start", exit_code=1)
    outcome = await stage.plane.channel("far").send(order(), nothing)
    assert (outcome.ok, outcome.error) == (False, "web does not start")


async def test_a_replayed_command_does_nothing_and_gives_the_first_outcome(stage: Stage) -> None:
    channel = stage.plane.channel("far")
    stage.memory.outcome = Outcome(ok=True, text="first")
    await channel.send(order(), nothing)
    stage.memory.outcome = Outcome(ok=True, text="second")
    for _ in range(3):
        again = await channel.send(order(), nothing)
        assert again.text == "first"
    assert len(stage.memory.commands) == 1


async def test_twins_that_come_together_are_done_once(stage: Stage) -> None:
    channel = stage.plane.channel("far")
    found = await asyncio.gather(*(channel.send(order(), nothing) for _ in range(5)))
    assert [outcome.ok for outcome in found] == [True] * 5
    assert len(stage.memory.commands) == 1


async def test_many_different_commands_are_all_done(stage: Stage) -> None:
    channel = stage.plane.channel("far")
    orders = [order(f"m{number}") for number in range(20)]
    found = await asyncio.gather(*(channel.send(one, nothing) for one in orders))
    assert all(outcome.ok for outcome in found)
    assert len(stage.memory.commands) == 20


async def test_a_command_for_a_node_that_is_away_expires_undone(stage: Stage) -> None:
    await stage.cut()
    with pytest.raises(NodeAwayError, match="expired, undone"):
        await stage.plane.channel("far").send(order(ttl=0.4), nothing)
    await stage.mend()
    await stage.linked()
    # A later command comes through; had the late one been delivered, it would be there before.
    await stage.plane.channel("far").send(order("b2"), nothing)
    assert [who for *_, who in stage.memory.commands] == ["ana"]


async def test_a_command_waits_for_a_node_that_comes_back_in_time(stage: Stage) -> None:
    await stage.cut()
    sent = asyncio.create_task(stage.plane.channel("far").send(order(ttl=20), nothing))
    await asyncio.sleep(0)
    await stage.mend()
    assert (await asyncio.wait_for(sent, 60)).ok is True
    assert len(stage.memory.commands) == 1


async def test_what_is_no_verb_of_a_node_is_refused_at_once(stage: Stage) -> None:
    for number, verb in enumerate(("shutdown", "apply", "exec", "__init__", "")):
        with pytest.raises(ChapiteauError, match="no command of a node") as told:
            await stage.plane.channel("far").send(order(f"v{number}", verb=verb), nothing)
        assert not isinstance(told.value, NodeAwayError)  # a refusal is no absence
        assert told.value.exit_code == 4
    assert stage.memory.commands == []


async def test_who_acts_under_an_older_lease_is_refused(stage: Stage) -> None:
    channel = stage.plane.channel("far")
    await channel.send(order("a1", fence=7), nothing)
    with pytest.raises(ChapiteauError, match="another hub is the leader"):
        await channel.send(order("a2", fence=6), nothing)
    assert (await channel.send(order("a3", fence=7), nothing)).ok is True
    assert (await channel.send(order("a1", fence=6), nothing)).ok is True  # known: no effect
    assert len(stage.memory.commands) == 2


# ── wanted states ──


def wish(processes: int, node: str = "far") -> DesiredServices:
    return DesiredServices(node=node, services={"web": {"processes": processes}}, who="ana")


async def test_generations_only_grow_over_all_nodes(stage: Stage) -> None:
    states = stage.plane.states
    assert (await states.get("n9")).generation == 0
    one = await states.put(wish(1, "n1"), expect=0)
    two = await states.put(wish(2, "n2"), expect=0)
    three = await states.put(wish(3, "n1"), expect=one.generation)
    assert 0 < one.generation < two.generation < three.generation
    assert await states.get("n1") == three
    assert (await states.get("n2")).services == {"web": {"processes": 2}}


async def test_of_two_who_change_the_same_one_is_told_what_the_other_did(stage: Stage) -> None:
    states = stage.plane.states
    before = await states.put(wish(1, "n1"), expect=0)
    first_one = await states.put(wish(5, "n1"), expect=before.generation)
    with pytest.raises(StaleGenerationError) as told:
        await states.put(wish(9, "n1"), expect=before.generation)
    assert told.value.found == first_one
    with pytest.raises(StaleGenerationError):
        await states.put(wish(9, "n1"), expect=0)
    assert await states.get("n1") == first_one


async def test_of_many_at_once_one_wins(stage: Stage) -> None:
    states = stage.plane.states
    tries = [states.put(wish(n, "n1"), expect=0) for n in range(6)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    winners = [one for one in found if isinstance(one, DesiredServices)]
    assert len(winners) == 1
    assert await states.get("n1") == winners[0]


async def test_who_watches_gets_the_present_one_and_every_newest(stage: Stage) -> None:
    states = stage.plane.states
    one = await states.put(wish(1, "n1"), expect=0)
    assert await first(states.watch("n1", 0), 1) == [one]
    waiting = asyncio.create_task(first(states.watch("n1", one.generation), 1))
    await states.put(wish(1, "n2"), expect=0)  # not ours
    two = await states.put(wish(2, "n1"), expect=one.generation)
    assert await waiting == [two]


async def test_the_node_follows_and_keeps_its_copy(stage: Stage) -> None:
    made = await stage.plane.states.put(wish(4), expect=0)
    await wait_for_async(lambda: stage.memory.commands, what="the node follows")
    verb, service, options, who = stage.memory.commands[0]
    assert (verb, service, options["processes"]) == ("scale", "web", 4)
    assert who == f"ana, generation {made.generation}"


async def test_a_node_that_was_away_follows_when_it_is_back(stage: Stage) -> None:
    await stage.cut()
    await stage.plane.states.put(wish(4), expect=0)
    await stage.mend()
    await wait_for_async(lambda: stage.memory.commands, what="the node follows")


# ── leases ──


async def test_one_holds_a_lease_and_fences_grow(stage: Stage) -> None:
    leases = stage.plane.leases
    one = await leases.take("deploy", "h1", 30)
    with pytest.raises(LeaseHeldError, match="h1 has the lease"):
        await leases.take("deploy", "h2", 30)
    await leases.keep(one)
    await leases.keep(one)
    again = await leases.take("deploy", "h1", 30)  # its own: a holder that was started anew
    assert again.fence > one.fence
    await leases.drop(again)
    two = await leases.take("deploy", "h2", 30)
    assert two.fence > again.fence
    with pytest.raises(LeaseHeldError):
        await leases.keep(one)
    await leases.drop(one)  # was lost: takes nothing from h2
    await leases.keep(two)
    assert (await leases.take("other", "h1", 30)).holder == "h1"


async def test_a_lease_that_ran_out_goes_to_another(stage: Stage) -> None:
    leases = stage.plane.leases
    one = await leases.take("turn", "h1", 0.3)

    async def taken() -> Any:
        try:
            return await leases.take("turn", "h2", 0.3)
        except LeaseHeldError:
            return None

    two = await wait_for_async(taken, what="it runs out")
    assert two.fence > one.fence
    with pytest.raises(LeaseHeldError):
        await leases.keep(one)


async def test_of_many_who_want_a_lease_one_gets_it(stage: Stage) -> None:
    leases = stage.plane.leases
    tries = [leases.take("turn", f"h{number}", 30) for number in range(6)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in found) == 1
    assert all(isinstance(one, LeaseHeldError) for one in found if isinstance(one, BaseException))
