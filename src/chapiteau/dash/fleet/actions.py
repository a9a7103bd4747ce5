"""Carrying out what people press: on many nodes at once, once per key, with progress.

What was accepted is on disk before the first command leaves, what came of it after. A hub that
starts asks the nodes what became of actions that the one before left open, and goes on waiting
for servers that are away.
"""

import asyncio
import contextlib
import fnmatch
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError, NotFoundError, UnreachableError
from chapiteau.core.units import format_duration
from chapiteau.dash.auth.access import Caller
from chapiteau.dash.errors import BadRequestError, NodeAwayError, UnknownNodeError
from chapiteau.dash.fleet.action import Action, ActionResult, Target, target_batches
from chapiteau.dash.fleet.bus import Bus
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.fleet.watch import NodeWatch
from chapiteau.dash.store import StorageError, Store
from chapiteau.run.logs.messages import Outcome

__all__ = ["LONGEST_WAIT", "Actions"]

_KEPT: Final = 500
_AT_ONCE: Final = 50
_LOOK: Final = 1.0  # seconds in which a server that was away may show that it is back
_JOINED: Final = 30.0  # seconds after the hub's start in which every node that has joined is known
_AGAIN: Final = 5.0  # seconds between two tries to store a result while the disk is full
LONGEST_WAIT: Final = 86_400  # seconds


class Actions:
    """Runs actions; remembers the last ones by their key, so that a repeated press does nothing."""

    def __init__(self, fleet: Fleet, bus: Bus, store: Store, clock: Clock) -> None:
        self._fleet = fleet
        self._bus = bus
        self._store = store
        self._clock = clock
        self._done: OrderedDict[str, Action] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._opened = 0.0

    def open(self) -> None:
        """Take up what the hub before has left: keys that were used, and what is not ended."""
        self._opened = self._clock.now()
        for kept in self._store.actions():
            with contextlib.suppress(msgspec.DecodeError):  # of a version to come: left alone
                action = Action.restored(kept)
                self._done[f"{kept.account}/{kept.key}"] = action
                if not kept.is_ended:
                    self._begin(action, self._resume)
        self._store.conclude_lost()

    def recent(self) -> list[Action]:
        """The last actions, newest first."""
        return list(reversed(self._done.values()))

    def start(
        self,
        caller: Caller,
        verb: str,
        targets: Sequence[Target],
        options: Mapping[str, Any],
        key: str,
        *,
        batch: int = 100,
        wait: float = 0.0,
    ) -> Action:
        """Begin; the same key again gives the first action back.

        A server that is away is told at once as a failure, or waited for so many seconds. Raises
        BadRequestError, or StorageError when it can't be noted; then nothing is done.
        """
        if not key or len(key) > 100 or not key.isprintable():
            raise BadRequestError(
                "an action needs an idempotency key of 1 to 100 printable characters",
                hint="send the header Idempotency-Key: another value for each action",
            )
        if found := self._done.get(f"{caller.name}/{key}"):
            return found
        if not targets:
            raise BadRequestError("nothing is selected")
        self._check(targets)
        action = Action(
            id=secrets.token_hex(12),
            key=key,
            verb=verb,
            who=caller.name,
            targets=tuple(dict.fromkeys(targets)),
            options=dict(options),
            batch=batch,
            wait=wait,
            began=self._clock.wall(),
        )
        number = self._store.add_action(
            account=caller.name,
            key=key,
            verb=verb,
            target=", ".join(map(str, action.targets))[:2000],
            time=action.began,
            record=action.record(),
        )
        action.stored_as(number)
        self._done[f"{caller.name}/{key}"] = action
        # As many as the file keeps: those that go on, and the last ones.
        ended = [name for name, one in self._done.items() if one.ended]
        for name in ended[: max(0, len(self._done) - _KEPT)]:
            del self._done[name]
        self._begin(action, self._do)
        return action

    def _begin(self, action: Action, work: Callable[[Action], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._run(action, work), name=f"action {action.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def withdraw(self, caller: Caller, number: int) -> Action:
        """Wait no more for servers that are away; what was sent goes on.

        Raises NotFoundError when nothing of it waits.
        """
        for action in self._done.values():
            if action.number == number and set(action.waits) - set(action.results):
                action.withdraw(caller.name)
                return action
        raise NotFoundError(f"no action {number} that waits", hint="it has been done, or given up")

    def verb_of(self, number: int) -> str:
        """What action `number` does; "" when it isn't known."""
        return next((a.verb for a in self._done.values() if a.number == number), "")

    async def close(self) -> None:
        """Let running actions end for a moment; what is left goes on at the supervisors.

        The hub's next start asks what became of it, and waits on for servers that are away.
        """
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _check(self, targets: Sequence[Target]) -> None:
        for target in targets:
            services = self._fleet.watch(target.node).status.get("services", ())
            names = [service["name"] for service in services]
            if target.service != "all" and not fnmatch.filter(names, target.service):
                raise BadRequestError(f"{target.node} has no service {target.service!r}")

    async def _run(self, action: Action, work: Callable[[Action], Awaitable[None]]) -> None:
        self._publish(action)
        try:
            await work(action)
        except asyncio.CancelledError:
            with contextlib.suppress(StorageError):  # then every node is asked
                self._store.keep_action(action.number, action.record())
            raise
        action.end(self._clock.wall())
        self._publish(action)
        while True:
            # The line stands in the trail, open; the next start would ask the nodes.
            try:
                result = _summary(action)
                return self._store.end_action(action.number, action.record(), result, _KEPT)
            except StorageError:
                await asyncio.sleep(_AGAIN)

    async def _do(self, action: Action) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(target: Target) -> None:
            action.results[target] = await self._one(action, target, gate)
            self._publish(action)

        await self._in_turns(action, one)

    async def _resume(self, action: Action) -> None:
        """Ask what became of the turn that was going on; what waited, waits on.

        What had not begun is begun only in the time for which the caller was ready to wait.
        """
        gate = asyncio.Semaphore(_AT_ONCE)
        turns = target_batches(action.targets, action.batch)
        open_turns = [turn for turn in turns if not action.results.keys() >= set(turn)]
        asked = set(open_turns[0]) - set(action.waits) if open_turns else set()

        async def one(target: Target) -> None:
            if target in action.results:
                return
            found = await self._recall(action, target) if target in asked else None
            if found is None:
                late = self._clock.wall() >= action.began + action.wait
                found = _GIVEN_UP if late else await self._one(action, target, gate)
            action.results[target] = found
            self._publish(action)

        await self._in_turns(action, one)

    async def _recall(self, action: Action, target: Target) -> ActionResult | None:
        """What its node says became of it; None: it never came there."""
        while True:
            try:
                watch = self._fleet.watch(target.node)
                async with asyncio.timeout(_LOOK):
                    await watch.present()
                outcome = await watch.node.recall(action.command_id(target))
            except TimeoutError:
                continue  # it may have been revoked meanwhile
            except NodeAwayError:
                await asyncio.sleep(_LOOK)
                continue
            except ChapiteauError as exc:
                late = self._clock.now() > self._opened + _JOINED
                if isinstance(exc, UnknownNodeError) and not late:
                    await asyncio.sleep(_LOOK)
                    continue
                failed = Outcome.failed(exc)
                outcome = replace(failed, error=f"the hub ended while this ran: {exc.what}")
            if outcome is None:
                return None
            return ActionResult(time=self._clock.wall(), outcome=outcome)

    async def _in_turns(self, action: Action, one: Callable[[Target], Awaitable[None]]) -> None:
        failed = ""
        for group in target_batches(action.targets, action.batch):
            if action.results and not failed:
                try:
                    self._store.keep_action(action.number, action.record())  # which turn goes on
                except StorageError as exc:
                    failed = exc.what
            if failed:
                missed = Outcome(ok=False, error="not begun", hint=failed, exit_code=4)
                action.results.update(dict.fromkeys(group, ActionResult(outcome=missed)))
                continue
            await asyncio.gather(*(one(target) for target in group))
            bad = [t.node for t in group if not action.results[t].outcome.ok]
            failed = f"it failed on {bad[0]} before" if bad else ""

    async def _one(self, action: Action, target: Target, gate: asyncio.Semaphore) -> ActionResult:
        who, overruled = f"dash:{action.who}", ""
        try:
            watch = self._fleet.watch(target.node)
            if not await self._there(action, target, watch):
                return _is_away(watch, self._clock.wall(), action.withdrawn_by)
            overruled = watch.overruled
            async with gate:
                outcome = await watch.node.command(
                    action.verb,
                    target.service,
                    target.given(action.options),
                    who,
                    action.command_id(target),
                )
            watch.refresh()
        except ChapiteauError as exc:
            outcome = Outcome.failed(exc)
        if not outcome.ok and overruled:
            outcome = replace(outcome, hint=overruled)  # which other hub leads
        return ActionResult(time=self._clock.wall(), outcome=outcome)

    async def _there(self, action: Action, target: Target, watch: NodeWatch) -> bool:
        """Whether the server answers, or does so in the time for which the action waits."""
        if watch.is_present and target not in action.waits:
            return True
        # It may be back, and not yet asked again; one that is not connected says so at once.
        found = False
        with contextlib.suppress(ChapiteauError, TimeoutError):
            async with asyncio.timeout(_LOOK):
                await watch.node.status()
                found = True
        if not found and action.wait:
            action.waits[target] = action.began + action.wait
            self._store.keep_action(action.number, action.record())
            self._publish(action)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(action.began + action.wait - self._clock.wall()):
                    await _first(watch.present(), action.withdrawn.wait())
            found = watch.is_present
        if found and action.waits.pop(target, 0.0):
            # Whoever finds it waiting in the file may send it: from now on it is no longer so.
            self._store.keep_action(action.number, action.record())
        return found

    def _publish(self, action: Action) -> None:
        self._bus.latest("actions", str(action.number), action.to_dict())


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


_GIVEN_UP: Final = ActionResult(
    outcome=Outcome(ok=False, error="not begun", hint="the hub ended before", exit_code=4)
)


def _is_away(watch: NodeWatch, now: float, withdrawn_by: str) -> ActionResult:
    away = format_duration(max(1, round(now - (watch.away_since or now))))
    outcome = Outcome(
        ok=False,
        error=f"{watch.node.name} is away for {away}: nothing was sent to it"
        + (f"; withdrawn by {withdrawn_by}" if withdrawn_by else ""),
        hint="what is wanted of it can wait for it (chapiteau hub want), or the action itself"
        ' ("wait": seconds); it goes on supervising by itself meanwhile',
        exit_code=UnreachableError.exit_code,
    )
    return ActionResult(time=now, outcome=outcome, away=round(watch.away_since, 3))


def _summary(action: Action) -> str:
    outcomes = [result.outcome for result in action.results.values()]
    good = sum(outcome.ok for outcome in outcomes)
    bad = [outcome.error for outcome in outcomes if not outcome.ok]
    text = f"{good} of {len(action.targets)} done"
    return f"{text}; {bad[0]}" if bad else text
