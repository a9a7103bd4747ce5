"""One press of a button: its targets, what came of it on each, and how it is kept."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

import msgspec
from msgspec import Struct

from chapiteau.dash.fleet.problem import command_line
from chapiteau.dash.store import StoredAction
from chapiteau.run.logs.messages import Outcome

__all__ = ["Action", "ActionResult", "ActionView", "Target", "TargetView", "target_batches"]


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


class _Record(Struct, frozen=True, omit_defaults=True):
    """An Action as the hub's file keeps it; results and waits in the order of its targets."""

    id: str
    verb: str
    targets: tuple[Target, ...]
    options: dict[str, Any]
    began: float
    batch: int
    wait: float
    ended: float
    results: tuple[ActionResult | None, ...]
    waits: tuple[float, ...]


@dataclass(slots=True, kw_only=True)
class Action:
    """One press of a button, and what came of it on each target."""

    id: str = ""  # nodes know its commands by it
    key: str
    number: int = 0
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

    @classmethod
    def restored(cls, kept: StoredAction) -> "Action":
        """As it was stored. Raises msgspec.DecodeError."""
        found = msgspec.json.decode(kept.record, type=_Record)
        by_target = list(zip(found.targets, found.results, found.waits, strict=True))
        return cls(
            id=found.id,
            key=kept.key,
            number=kept.number,
            verb=found.verb,
            who=kept.account,
            targets=found.targets,
            options=found.options,
            began=found.began,
            batch=found.batch,
            wait=found.wait,
            ended=found.ended,
            results={target: result for target, result, _ in by_target if result},
            waits={target: until for target, _, until in by_target if until},
        )

    def record(self) -> str:
        """What `restored` takes."""
        found = _Record(
            id=self.id,
            verb=self.verb,
            targets=self.targets,
            options=self.options,
            began=self.began,
            batch=self.batch,
            wait=self.wait,
            ended=self.ended,
            results=tuple(self.results.get(target) for target in self.targets),
            waits=tuple(self.waits.get(target, 0.0) for target in self.targets),
        )
        return msgspec.json.encode(found).decode()

    def command_id(self, target: Target) -> str:
        """Of the command for one target: a node does the same id once."""
        return f"{self.id}-{self.targets.index(target)}"

    def stored_as(self, number: int) -> None:
        """It is in the hub's file under this number."""
        self.number = number

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


def target_batches(targets: Sequence[Target], percent: int) -> list[list[Target]]:
    """The targets in turns: all of so many percent of the servers (at least one) at a time."""
    nodes = list(dict.fromkeys(t.node for t in targets))
    size = max(1, len(nodes) * percent // 100)
    turns = [set(nodes[i : i + size]) for i in range(0, len(nodes), size)]
    return [[t for t in targets if t.node in turn] for turn in turns]
