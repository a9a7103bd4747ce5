"""A walk is to its coroutine what a Task is: each way is gone twice, and must go the same."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.load import ExchangeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chapiteau.load.engine.backend import EngineBackend
    from chapiteau.load.engine.completion import Completion

Said = list[Any]
Way = "Callable[[Way_, Said], Awaitable[Any]]"
PLACE = contextvars.ContextVar("PLACE", default="nowhere")


class Steps:
    """What a way meets: wakeups that the loop wakes, one after the other."""

    def __init__(self, backend: EngineBackend) -> None:
        self._backend = backend
        self.loop = asyncio.get_running_loop()
        self.said: Said = []
        self.made: list[Completion] = []

    def wakeup(self) -> Completion:
        made = self._backend.completion(self.loop)
        self.made.append(made)
        return made

    async def woken(self) -> None:
        made = self.wakeup()
        self.loop.call_soon(made.wake)
        await made

    def me(self) -> asyncio.Task[Any]:
        task = asyncio.current_task()
        assert task is not None
        return task


async def gone(
    backend: EngineBackend, way: Callable[[Steps], Awaitable[Any]], *, walk: bool
) -> Said:
    """What a way says, how it ends, and what became of its wakeups."""
    steps = Steps(backend)

    async def along() -> Any:
        return await way(steps)

    async def driven() -> Any:
        return await backend.driver(steps.loop, along())

    task = asyncio.ensure_future(driven() if walk else along())
    try:
        steps.said.append(await asyncio.wait_for(asyncio.shield(task), 60))
    except asyncio.CancelledError:
        steps.said.append("cancelled")
    except Exception as exc:  # noqa: BLE001 — whatever a way ends with
        steps.said.append(repr(exc))
    assert task.done()
    steps.said += [(one.done(), one.cancelled()) for one in steps.made]
    return steps.said


async def many(steps: Steps) -> str:
    me = steps.me()
    for number in range(5):
        await steps.woken()
        steps.said.append((number, steps.me() is me))
        if number == 2:
            await asyncio.sleep(0)
        if number == 3:
            await asyncio.sleep(0.001)
            steps.said.append(steps.me() is me)
    return "there"


async def at_once(_steps: Steps) -> str:
    return "there"


async def its_context(steps: Steps) -> str:
    PLACE.set("here")
    await steps.woken()
    steps.said.append(PLACE.get())
    PLACE.set("there")
    await steps.woken()
    await asyncio.sleep(0)
    return PLACE.get()


async def raises(steps: Steps) -> None:
    await steps.woken()
    raise ValueError("no")


async def meets_failures(steps: Steps) -> str:
    for _ in range(2):
        one = steps.wakeup()
        steps.loop.call_soon(one.fail, ExchangeError("timeout", "late"))
        try:
            await one
        except ExchangeError as exc:
            steps.said.append(str(exc))
    return "there"


async def takes_too_long(steps: Steps) -> str:
    try:
        async with asyncio.timeout(0.01):
            await steps.woken()
            await steps.wakeup()  # nobody wakes it
    except TimeoutError:
        steps.said.append("too long")
    await steps.woken()
    return f"there, {steps.me().cancelling()}"


async def is_cancelled_from_outside(steps: Steps) -> None:
    await steps.woken()
    steps.loop.call_soon(steps.me().cancel, "away")
    await steps.wakeup()


async def will_not_be_cancelled(steps: Steps) -> str:
    await steps.woken()
    steps.loop.call_soon(steps.me().cancel)
    try:
        await steps.wakeup()
    except asyncio.CancelledError:
        steps.said.append("not now")
        steps.me().uncancel()
    await steps.woken()
    await asyncio.sleep(0)
    return "there"


async def cancels_itself(steps: Steps) -> None:
    await steps.woken()
    steps.me().cancel()
    steps.said.append("goes on")
    try:
        await steps.wakeup()
    finally:
        steps.said.append("went")


async def cancels_itself_before_a_sleep(steps: Steps) -> None:
    await steps.woken()
    steps.me().cancel()
    try:
        await asyncio.sleep(5)
    finally:
        steps.said.append("went")


async def cancels_itself_before_a_bare_turn(steps: Steps) -> None:
    await steps.woken()
    steps.me().cancel()
    await asyncio.sleep(0)


async def cancels_itself_before_a_task(steps: Steps) -> None:
    other = asyncio.ensure_future(asyncio.sleep(5))
    await steps.woken()
    steps.me().cancel()
    try:
        await other
    finally:
        steps.said.append(other.cancelled())


async def cancels_itself_at_the_end(steps: Steps) -> str:
    await steps.woken()
    steps.me().cancel()
    return "there"


async def cancels_itself_and_raises(steps: Steps) -> None:
    await steps.woken()
    steps.me().cancel()
    raise ValueError("no")


async def several_at_once(steps: Steps) -> str:
    await asyncio.gather(*(steps.woken() for _ in range(3)))
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(steps.woken())
        await steps.woken()
    return "there"


async def one_for_two(steps: Steps) -> str:
    one = steps.wakeup()

    async def other() -> None:
        await one
        steps.said.append("other")

    task = asyncio.ensure_future(other())
    await asyncio.sleep(0)
    steps.loop.call_soon(one.wake)
    await one
    await task
    return "there"


WAYS = [
    many, at_once, its_context, raises, meets_failures, takes_too_long, is_cancelled_from_outside,
    will_not_be_cancelled, cancels_itself, cancels_itself_before_a_sleep,
    cancels_itself_before_a_bare_turn, cancels_itself_before_a_task, cancels_itself_at_the_end,
    cancels_itself_and_raises, several_at_once, one_for_two,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_walk_goes_as_a_task_does(
    twin: EngineBackend, way: Callable[[Steps], Awaitable[Any]]
) -> None:
    as_task = await gone(twin, way, walk=False)
    assert await gone(twin, way, walk=True) == as_task
    assert as_task


async def test_a_walk_that_is_dropped_half_way_closes_its_coroutine(twin: EngineBackend) -> None:
    loop = asyncio.get_running_loop()
    said: list[str] = []
    never = twin.completion(loop)

    async def along() -> None:
        try:
            await never
        finally:
            said.append("closed")

    async def driven() -> None:
        await twin.driver(loop, along())

    coroutine = driven()
    coroutine.send(None)
    coroutine.close()
    gc.collect()
    assert said == ["closed"]
    assert never.cancelled()


async def test_a_walk_runs_without_its_task_being_woken(twin: EngineBackend) -> None:
    loop = asyncio.get_running_loop()
    turns = [twin.completion(loop) for _ in range(3)]
    waits: list[Any] = []

    async def along() -> None:
        for one in turns:
            await one

    async def driven() -> None:
        await twin.driver(loop, along())

    class Watched(asyncio.Task[None]):
        def __init__(self, coroutine: Any) -> None:
            super().__init__(coroutine, loop=loop)

    task = Watched(driven())
    await asyncio.sleep(0)
    for one in turns:
        waits.append(task._fut_waiter)  # type: ignore[attr-defined]
        loop.call_soon(one.wake)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await task
    assert waits[0] is waits[1] is waits[2]
