"""Carrying out what people press: on many nodes at once, once per key, with progress."""

import asyncio
import contextlib
import fnmatch
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, TypedDict

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError, NotFoundError, UnreachableError
from chapiteau.core.units import format_duration
from chapiteau.dash.auth.access import Caller
from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.fleet.bus import Bus
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.fleet.problem import command_line
from chapiteau.dash.fleet.watch import NodeWatch
from chapiteau.dash.store import Store
from chapiteau.run.logs.messages import Outcome

__all__ = [
    "LONGEST_WAIT",
    "Action",
    "ActionResult",
    "ActionView",
    "Actions",
    "Target",
    "TargetView",
    "target_batches",
]

_KEPT: Final = 500
_AT_ONCE: Final = 50
_LOOK: Final = 1.0  # seconds in which a server that was away may show that it is back
LONGEST_WAIT: Final = 86_400  # seconds


@dataclass(frozen=True, slots=True)
class Target:
    """One service on one node, or one process of it."""

    node: str
    service: str
    process: int = 0  # 0: all of them

    def given(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of an action for this one."""
        return {**options, "process": self.process} if self.process else dict(options)

    def __str__(self) -> str:
        return f"{self.node}/{self.service}" + (f"/{self.process}" if self.process else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """What came of an action on one target. Times are seconds since 1970."""

    outcome: Outcome
    time: float = 0.0  # 0: it was not begun
    away: float = 0.0  # since when its server is away, to which nothing was sent

    def to_dict(self) -> Mapping[str, object]:
        """As the page sees it."""
        times = {"time": self.time, "away": self.away}
        return {**asdict(self.outcome), **{key: at for key, at in times.items() if at}}


class TargetView(TypedDict):
    """One target of an action, and what came of it."""

    node: str
    service: str
    process: int
    result: Mapping[str, object] | None
    waits: float  # until when its server is waited for


class ActionView(TypedDict):
    """An Action as the page sees it."""

    key: str
    number: int
    verb: str
    who: str
    options: Mapping[str, object]
    batch: int
    wait: float
    began: float
    ended: float
    lines: list[str]
    targets: list[TargetView]


@dataclass(slots=True, kw_only=True)
class Action:
    """One press of a button, and what came of it on each target."""

    key: str
    number: int
    verb: str
    who: str
    targets: tuple[Target, ...]
    options: dict[str, Any]
    began: float
    batch: int = 100  # percent of the servers at a time
    wait: float = 0.0  # seconds for which it waits for a server that is away
    ended: float = 0.0
    results: dict[Target, ActionResult] = field(default_factory=dict)
    waits: dict[Target, float] = field(default_factory=dict)  # for whom, until when
    withdrawn: asyncio.Event = field(default_factory=asyncio.Event)  # nobody waits any more
    withdrawn_by: str = ""

    def withdraw(self, by: str) -> None:
        """Wait no more for servers that are away."""
        self.withdrawn_by = by
        self.withdrawn.set()

    def end(self, time: float) -> None:
        """Every target has its result."""
        self.ended = time

    def to_dict(self) -> ActionView:
        """As the page sees it."""
        return {
            "key": self.key,
            "number": self.number,
            "verb": self.verb,
            "who": self.who,
            "options": self.options,
            "batch": self.batch,
            "wait": self.wait,
            "began": self.began,
            "ended": self.ended,
            "lines": sorted(
                {command_line(self.verb, t.service, t.given(self.options)) for t in self.targets}
            ),
            "targets": [
                {
                    "node": t.node,
                    "service": t.service,
                    "process": t.process,
                    "result": self.results[t].to_dict() if t in self.results else None,
                    "waits": 0.0 if t in self.results else self.waits.get(t, 0.0),
                }
                for t in self.targets
            ],
        }


class Actions:
    """Runs actions; remembers the last ones by their key, so that a repeated press does nothing."""

    def __init__(self, fleet: Fleet, bus: Bus, store: Store, clock: Clock) -> None:
        self._fleet = fleet
        self._bus = bus
        self._store = store
        self._clock = clock
        self._done: OrderedDict[str, Action] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

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
        """Begin; the same key again gives the first action back. Raises BadRequestError.

        A server that is away is told at once as a failure, or waited for so many seconds.
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
        self._count += 1
        action = Action(
            key=key,
            number=self._count,
            verb=verb,
            who=caller.name,
            targets=tuple(dict.fromkeys(targets)),
            options=dict(options),
            batch=batch,
            wait=wait,
            began=self._clock.wall(),
        )
        self._done[f"{caller.name}/{key}"] = action
        while len(self._done) > _KEPT:
            self._done.popitem(last=False)
        task = asyncio.create_task(self._run(action), name=f"action {action.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return action

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

        What waits for a server that is away is given up, and the audit trail says so.
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

    async def _run(self, action: Action) -> None:
        self._publish(action)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(target: Target) -> None:
            action.results[target] = await self._one(action, target, gate)
            self._publish(action)

        try:
            await self._in_turns(action, one)
        finally:
            action.end(self._clock.wall())
            self._publish(action)
            self._store.audit(
                who=action.who,
                verb=action.verb,
                target=", ".join(map(str, action.targets))[:2000],
                result=_summary(action),
                time=action.ended,
            )

    async def _in_turns(self, action: Action, one: Callable[[Target], Awaitable[None]]) -> None:
        failed = ""
        for group in target_batches(action.targets, action.batch):
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
                    action.verb, target.service, target.given(action.options), who
                )
            watch.refresh()
        except ChapiteauError as exc:
            outcome = Outcome.failed(exc)
        if not outcome.ok and overruled:
            outcome = replace(outcome, hint=overruled)  # which other hub leads
        return ActionResult(time=self._clock.wall(), outcome=outcome)

    async def _there(self, action: Action, target: Target, watch: NodeWatch) -> bool:
        """Whether the server answers, or does so in the time for which the action waits."""
        if not watch.away_since:
            return True
        # It may be back, and not yet asked again; one that is not connected says so at once.
        with contextlib.suppress(ChapiteauError, TimeoutError):
            async with asyncio.timeout(_LOOK):
                await watch.node.status()
                return True
        if not action.wait:
            return False
        action.waits[target] = action.began + action.wait
        self._publish(action)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(action.began + action.wait - self._clock.wall()):
                await _first(watch.present(), action.withdrawn.wait())
        return not watch.away_since

    def _publish(self, action: Action) -> None:
        self._bus.latest("actions", str(action.number), action.to_dict())


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def target_batches(targets: Sequence[Target], percent: int) -> list[list[Target]]:
    """The targets in turns: all of so many percent of the servers (at least one) at a time."""
    nodes = list(dict.fromkeys(t.node for t in targets))
    size = max(1, len(nodes) * percent // 100)
    turns = [set(nodes[i : i + size]) for i in range(0, len(nodes), size)]
    return [[t for t in targets if t.node in turn] for turn in turns]


def _is_away(watch: NodeWatch, now: float, withdrawn_by: str) -> ActionResult:
    away = format_duration(max(1, round(now - watch.away_since)))
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
    left = [str(target) for target in action.targets if target not in action.results]
    outcomes = [result.outcome for result in action.results.values()]
    good = sum(outcome.ok for outcome in outcomes)
    bad = [outcome.error for outcome in outcomes if not outcome.ok]
    text = f"{good} of {len(action.targets)} done"
    if left:
        text += f"; given up for {', '.join(left)}: the hub ended before"
    return f"{text}; {bad[0]}" if bad else text
