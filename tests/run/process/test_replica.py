"""The life of one process number: whatever is asked and whatever ends, in whichever order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from chapiteau.core.fields import read
from chapiteau.run.config.spec import Service
from chapiteau.run.process.replica import Replica
from chapiteau.run.process.states import State, Trigger
from tests.run.lives import Host, end, settle

if TYPE_CHECKING:
    from chapiteau.run.process.host import ProcessHost

SPEC, _ = read(Service, {"command": "x"})
assert SPEC is not None


def replica(host: Host) -> Replica:
    return Replica("web", 1, SPEC, cast("ProcessHost", host), lambda: None)


@given(st.lists(st.sampled_from("start stop restart exit ready reload turn".split()), max_size=30))
@settings(max_examples=150, deadline=None)
def test_there_is_one_process_at_most_and_none_after_a_stop(steps: list[str]) -> None:
    async def live() -> None:
        host = Host()
        one = replica(host)
        for step in steps:
            await take(step, host, one)
            own = [p for p in host.alive() if p not in one.retiring]
            assert len(own) <= 1, "a second copy"
        one.ask(Trigger.STOP_ASKED)
        await settle()
        for process in host.alive():
            end(process)
        await settle()
        assert (host.alive(), one.state, one.quiet) == ([], State.DOWN, True)
        one.close()

    asyncio.run(live())


async def take(step: str, host: Host, one: Replica) -> None:
    asked = {"start": Trigger.START_ASKED, "stop": Trigger.STOP_ASKED,
             "restart": Trigger.CYCLE_ASKED}  # fmt: skip
    if step in asked:
        one.ask(asked[step])
    elif step == "exit" and host.alive():
        end(host.alive()[0])
    elif step == "ready" and one.process is not None:
        one.process.mark_ready()
    elif step == "reload":
        await settle()
        new = await one.spawn_candidate(SPEC, 1)
        if one.state in (State.DOWN, State.STOPPING):
            end(new)
            return
        new.mark_ready()
        if (old := one.take_over(new)) is not None:
            one.retire(old)
    elif step == "turn":
        await settle()


async def test_a_process_that_ends_is_started_again_at_once() -> None:
    host = Host()
    one = replica(host)
    one.ask(Trigger.START_ASKED)
    await settle()
    [first] = host.started
    first.mark_ready()
    end(first)
    await settle()
    assert [p.pid for p in host.alive()] == [2]
    assert (one.state, one.restarts) == (State.STARTING, 1)
    one.close()


async def test_a_start_that_fails_after_another_took_the_number_changes_nothing() -> None:
    host = Host()
    one = replica(host)
    one.ask(Trigger.START_ASKED)
    new = await one.spawn_candidate(SPEC, 1)
    host.broken = True
    new.mark_ready()
    one.take_over(new)
    await settle()
    assert (one.state, one.process) == (State.RUNNING, new)
    one.close()
