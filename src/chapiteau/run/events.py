"""The vocabulary of what happens: one kind, one meaning. docs/reference/events.md lists it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, NamedTuple, NotRequired, TypedDict

from chapiteau.core.plain import Plain

__all__ = ["KINDS", "TONES", "Event", "EventKind", "EventMessage", "event_fields"]

Tone = Literal["", "good", "warn", "bad", "people"]


class EventKind(NamedTuple):
    """What a kind means, and how it looks wherever events are shown; "": the usual course."""

    help: str
    tone: Tone = ""


KINDS: Final = {
    "supervisor.started": EventKind(
        "The brain is up; `data.attached`: how many processes it found alive.", "good"
    ),
    "supervisor.stopping": EventKind("A shutdown has begun.", "people"),
    "supervisor.config_applied": EventKind(
        "A changed configuration was applied: `data.changes`.", "people"
    ),
    "supervisor.draining": EventKind(
        "Services stop gracefully, and nothing starts any more.", "people"
    ),
    "supervisor.drained": EventKind("None of them is left, and nobody is let in.", "people"),
    "supervisor.undrained": EventKind("It takes up work again.", "people"),
    "supervisor.upgraded": EventKind("The keeper was renewed; a new brain follows.", "people"),
    "supervisor.brain_died": EventKind(
        "The brain before this one ended so; services went on.", "bad"
    ),
    "supervisor.safe_mode": EventKind(
        "Brains crashed repeatedly: the supervisor is read-only until `data.until`.", "bad"
    ),
    "supervisor.keeper_died": EventKind(
        "The keeper was killed; the brain made another and left.", "bad"
    ),
    "supervisor.swept": EventKind(
        "Processes that an earlier supervisor had left were ended.", "warn"
    ),
    "service.starting": EventKind("A service begins to start."),
    "service.waiting": EventKind("It waits for what it needs.", "warn"),
    "service.ready": EventKind("All its wanted processes are ready.", "good"),
    "service.stopping": EventKind("It begins to stop."),
    "service.stopped": EventKind("None of its processes is left."),
    "service.failed": EventKind("It is down and stays down; `data.cause` says why.", "bad"),
    "service.recovered": EventKind("It is ready again after trouble.", "good"),
    "service.completed": EventKind("A one-shot ended with success.", "good"),
    "service.reloading": EventKind("A reload begins."),
    "service.reloaded": EventKind("Every process was replaced.", "good"),
    "service.reload_failed": EventKind(
        "The new processes did not get ready; the old ones go on serving.", "bad"
    ),
    "service.unlimited": EventKind(
        "A limit that was asked for can't be had on this machine.", "warn"
    ),
    "service.set": EventKind(
        "Settings were changed at run time, or given back: `data.settings`, `reset`.", "people"
    ),
    "service.scaled": EventKind("Its number of processes was changed.", "people"),
    "process.spawned": EventKind("A process was started."),
    "process.ready": EventKind("It is ready.", "good"),
    "process.unready": EventKind("It lost its readiness.", "warn"),
    "process.stopping": EventKind("It was asked to end."),
    "process.killed": EventKind("It did not end in time and was killed.", "bad"),
    "process.exited": EventKind(
        "It ended: `data.code` or `signal`, last `lines`, the `cause`; or `asked`.", "warn"
    ),
    "process.spawn_failed": EventKind("It could not be started.", "bad"),
    "process.backoff": EventKind("It will be started again after `data.delay_s`.", "warn"),
    "process.unhealthy": EventKind(
        "Its liveness probe or watchdog failed; `data.stacks`: its stacks.", "bad"
    ),
    "process.refused": EventKind(
        "It asked by sd_notify for what is not given; `data.hint`.", "warn"
    ),
    "process.status": EventKind("It told its status in words."),
    "socket.bound": EventKind("A listening socket is bound."),
    "socket.closed": EventKind("A listening socket was closed."),
    "log.dropped": EventKind("Output was dropped; `data.bytes`, `data.why`.", "bad"),
    "command.done": EventKind("A person's or program's command ended; `who` says whose.", "people"),
    "hook.done": EventKind("A hook ended well; `data.hook`: which.", "good"),
    "hook.failed": EventKind(
        "A hook failed or took too long; `data`: `hook`, `why`, `lines`, `outcome`.", "bad"
    ),
    "plugin.message": EventKind("A plugin has something to say."),
}
TONES: Final = {name: kind.tone for name, kind in KINDS.items() if kind.tone}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Plain):
    """One thing that happened, numbered in order."""

    omit_empty: ClassVar = True
    seq: int
    time: float  # seconds since 1970
    kind: str
    service: str = ""
    process: int = 0  # number within the service, from 1; 0 when it is about none
    pid: int = 0
    who: str = ""  # "uid 1000" or "policy": who wanted it
    text: str = ""  # one line for people
    data: dict[str, Any] = field(default_factory=dict)


class EventMessage(TypedDict):
    """An Event as in the event stream: what is empty is left out."""

    seq: int
    time: float
    kind: str
    service: NotRequired[str]
    process: NotRequired[int]
    pid: NotRequired[int]
    who: NotRequired[str]
    text: NotRequired[str]
    data: NotRequired[Mapping[str, Any]]


_MAY_LACK: Final = ("service", "process", "pid", "who", "text", "data")
_ALL: Final = frozenset(Event.__dataclass_fields__)


def event_fields(facts: Mapping[str, Any]) -> dict[str, Any]:
    """An event's fields as in the event stream. Raises TypeError for what is no field."""
    if not facts.keys() <= _ALL:
        raise TypeError(f"an event has no {', '.join(sorted(facts.keys() - _ALL))}")
    full = {"seq": facts["seq"], "time": round(facts["time"], 6), "kind": facts["kind"]}
    for key in _MAY_LACK:
        if value := facts.get(key):
            full[key] = value
    return full
