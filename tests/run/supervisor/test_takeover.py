"""A brain dies in every state there is, over every step of a reload: what the next one makes of it.

Every state of the table is tried with every kill: a new state without a row here fails.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, cast

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.core.fields import read
from chapiteau.run.config.spec import Service
from chapiteau.run.process.states import State, Trigger
from chapiteau.run.supervisor.bootstrap import found_process
from chapiteau.run.supervisor.service_controller import Owner, ServiceController, Wish
from tests.run.lives import Host, end, settle

if TYPE_CHECKING:
    from chapiteau.run.keeper.frames import Child
    from chapiteau.run.process.host import ProcessHost
    from chapiteau.run.process.process import Process
    from chapiteau.run.process.replica import Replica

S = State
SPEC, _ = read(Service, {
    "command": "x",
    "stop_timeout": "30s",
    "ready": {"start_timeout": "60s"},
    "restart": {"policy": "on-failure", "delay": "1h", "max_delay": "1h", "stop_codes": [3]},
})  # fmt: skip
assert SPEC is not None
# What somebody asked, or what happened, until a number with one process is in the state.
WAY: dict[State, str] = {
    S.DOWN: "",
    S.STARTING: "start",
    S.RUNNING: "start ready",
    S.STOPPING: "start ready stop",
    S.CYCLING: "start ready restart",
    S.BACKOFF: "start exit-1 turn exit-1",
    S.FAILED: "start exit-3",
    S.COMPLETED: "start ready exit-0",
}
WITH_PROCESS = (S.STARTING, S.RUNNING, S.STOPPING, S.CYCLING)
# What stands beside it when a reload is under way; a number that shall be down has none.
RELOADS = {
    "no reload": "",
    "candidate starts": "candidate",
    "candidate is ready, and not proven": "candidate candidate-ready",
    "replaced, and draining": "candidate candidate-ready exchange",
    "replaced, and asked to end": "candidate candidate-ready exchange retire",
}
ENUMERATED = [
    pytest.param(state, reload, id=f"{state.value}-{reload}")
    for state, reload in product(State, RELOADS)
    if not (RELOADS[reload] and state in (S.DOWN, S.STOPPING))
]


class Alone(Owner):
    """No other service."""

    def why_wait(self, service: ServiceController) -> str:
        return ""

    def on_change(self, service: ServiceController) -> None:
        pass


class Brain:
    """One service with one process, as one brain has it. `life` counts from its start."""

    def __init__(self, clock: ManualClock) -> None:
        self.host = Host(clock)
        self.service = ServiceController("web", SPEC, cast("ProcessHost", self.host), Alone())
        self.old: Process | None = None
        self.new: Process | None = None

    @property
    def replica(self) -> Replica:
        return self.service.replica(1)

    async def go(self, way: str) -> None:
        for step in way.split():
            await self._step(step)
            await settle()

    async def _step(self, step: str) -> None:
        process = self.replica.process
        match step.split("-"):
            case ["start"]:
                self.service.switch_on()
            case ["stop"]:
                self.service.switch_off()
            case ["restart"]:
                self.replica.ask(Trigger.CYCLE_ASKED)
            case ["ready"]:
                assert process is not None
                self._ready(process)
            case ["exit", code]:
                assert process is not None
                end(process, int(code))
            case ["candidate"]:
                self.new = await self.replica.spawn_candidate(SPEC, self.service.next_generation())
            case ["candidate", "ready"]:
                assert self.new is not None
                self._ready(self.new)
            case ["exchange"]:
                assert self.new is not None
                self.old = self.replica.take_over(self.new)
            case ["retire"] if self.old is not None:
                self.replica.retire(self.old)

    def _ready(self, process: Process) -> None:
        process.mark_ready()
        self.host.memos[process.key]["ready"] = True

    async def die(self) -> tuple[Wish, list[Child]]:
        """What is left of it: its note, and the processes that the keeper knows."""
        await settle()
        children: list[Child] = [
            {"key": one.key, "pid": one.pid, "start": 0, "memo": self.host.memos[one.key],
             "exit": None, "cgroup": ""}
            for one in self.host.alive()
        ]  # fmt: skip
        self.service.close()
        return self.service.wish(), children

    async def take_over(self, wish: Wish, children: list[Child]) -> list[Process]:
        """As run/supervisor/bootstrap.py and supervisor.py do it."""
        self.service.restore(wish)
        host = cast("ProcessHost", self.host)
        found = [found_process(child, self.replica, host) for child in children]
        for one, child in zip(found, children, strict=True):
            self.host.started.append(one)
            assert child["memo"] is not None
            self.host.memos[one.key] = child["memo"]
        if found:
            self.service.adopt(self.replica, found)
        if wish.on:
            self.service.switch_on(inherited=True)
        await settle()
        return found


def test_every_state_is_tried() -> None:
    assert set(WAY) == set(State)


@pytest.mark.parametrize(("state", "reload"), ENUMERATED)
async def test_the_next_brain_goes_on_from_every_state_with_its_deadline(
    state: State, reload: str
) -> None:
    clock = ManualClock()
    first, second = Brain(clock), Brain(clock)
    await first.go(WAY[state])
    assert first.replica.state is state
    await first.go(RELOADS[reload])
    expected = first.replica.state  # the exchange of a reload has changed it, perhaps
    owner = first.replica.process or first.new
    if owner is first.new and owner is not None:
        expected = S.RUNNING if owner.ready else S.STARTING
    retry_at, reason, row = first.replica.retry_at, first.replica.reason, first.replica.history.row
    left = await first.die()
    clock.advance(7)
    found = await second.take_over(*left)
    number = second.replica
    assert number.state is expected
    assert len(second.host.started) == len(found), "nothing is started anew"
    if owner is None:
        assert (number.process, number.retiring) == (None, [])
        if expected in (S.BACKOFF, S.FAILED):
            assert (number.reason, number.history.row) == (reason, row)
            assert number.retry_at == (retry_at and pytest.approx(retry_at))
        second.service.close()
        return
    assert number.process is not None
    assert number.process.key == owner.key, "the number is whose it was"
    for one in found:
        if one is not number.process:
            assert one in number.retiring
            assert one.stop_sent, "nobody is left beside it without having been asked to end"
        # Nobody's time begins anew, so that brain after brain could lend it more.
        asked_before = one.key in {stopped.key for stopped in first.host.stops}
        if one.stop_sent:
            assert one.stop_by == (30 if asked_before else 37)
        elif not one.ready:
            assert one.ready_by == pytest.approx(60, abs=0.1)
    await _a_third_brain_kills_who_is_late(second, {one.key for one in found if one.stop_sent})


async def _a_third_brain_kills_who_is_late(second: Brain, late: set[str]) -> None:
    left = await second.die()
    second.host.clock.advance(60)
    third = Brain(second.host.clock)
    for one in await third.take_over(*left):
        assert (one in third.host.kills) == (one.key in late)
        if one.key in late:
            end(one)
    await settle()
    assert third.replica.retiring == []
    third.service.close()
