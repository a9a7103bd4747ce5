"""The vocabulary of what happens: one kind, one meaning. docs/reference/events.md lists it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from chapiteau.core.plain import Plain

__all__ = ["KINDS", "TONES", "Event", "event_fields"]

KINDS: Final[dict[str, str]] = {
    "supervisor.started": "The brain is up; `data.attached`: how many processes it found alive.",
    "supervisor.stopping": "A shutdown has begun.",
    "supervisor.config_applied": "A changed configuration was applied: `data.changes`.",
    "supervisor.draining": "Services stop gracefully, and nothing starts any more.",
    "supervisor.drained": "None of them is left, and nobody is let in.",
    "supervisor.undrained": "It takes up work again.",
    "supervisor.upgraded": "The keeper was renewed; a new brain follows.",
    "supervisor.brain_died": "The brain before this one ended so; services went on.",
    "supervisor.safe_mode": "Brains crashed again and again: it only looks until `data.until`.",
    "supervisor.keeper_died": "The keeper was killed; the brain made another and left.",
    "supervisor.swept": "Processes that an earlier supervisor had left were ended.",
    "service.starting": "A service begins to start.",
    "service.waiting": "It waits for what it needs.",
    "service.ready": "All its wanted processes are ready.",
    "service.stopping": "It begins to stop.",
    "service.stopped": "None of its processes is left.",
    "service.failed": "It is down and stays down; `data.cause` says why.",
    "service.recovered": "It is ready again after trouble.",
    "service.completed": "A one-shot ended with success.",
    "service.reloading": "A reload begins.",
    "service.reloaded": "Every process was replaced.",
    "service.reload_failed": "The new processes did not get ready; the old ones go on serving.",
    "service.unlimited": "A limit that was asked for can't be had on this machine.",
    "service.set": "Settings were changed at run time, or given back: `data.settings`, `reset`.",
    "service.scaled": "Its number of processes was changed.",
    "process.spawned": "A process was started.",
    "process.ready": "It is ready.",
    "process.unready": "It lost its readiness.",
    "process.stopping": "It was asked to end.",
    "process.killed": "It did not end in time and was killed.",
    "process.exited": "It ended: `data.code` or `signal`, last `lines`, the `cause`; or `asked`.",
    "process.spawn_failed": "It could not be started.",
    "process.backoff": "It will be started again after `data.delay_s`.",
    "process.unhealthy": "Its liveness probe or watchdog failed; `data.stacks`: its stacks.",
    "process.refused": "It asked by sd_notify for what is not given; `data.hint`.",
    "process.status": "It told its status in words.",
    "socket.bound": "A listening socket is bound.",
    "socket.closed": "A listening socket was closed.",
    "log.dropped": "Output was dropped; `data.bytes`, `data.why`.",
    "command.done": "A person's or program's command ended; `who` says whose.",
    "hook.done": "A hook ended well; `data.hook`: which.",
    "hook.failed": "A hook failed or took too long; `data`: `hook`, `why`, `lines`, `outcome`.",
    "plugin.message": "A plugin has something to say.",
}

# How a kind looks wherever events are shown. What is not here is the usual course of things.
TONES: Final[dict[str, str]] = {
    "supervisor.brain_died": "bad",
    "supervisor.safe_mode": "bad",
    "supervisor.keeper_died": "bad",
    "service.failed": "bad",
    "service.reload_failed": "bad",
    "process.killed": "bad",
    "process.spawn_failed": "bad",
    "process.unhealthy": "bad",
    "log.dropped": "bad",
    "hook.failed": "bad",
    "supervisor.swept": "warn",
    "service.waiting": "warn",
    "service.unlimited": "warn",
    "process.unready": "warn",
    "process.exited": "warn",
    "process.backoff": "warn",
    "process.refused": "warn",
    "supervisor.started": "good",
    "service.ready": "good",
    "service.recovered": "good",
    "service.completed": "good",
    "service.reloaded": "good",
    "process.ready": "good",
    "hook.done": "good",
    "supervisor.stopping": "people",
    "supervisor.config_applied": "people",
    "supervisor.draining": "people",
    "supervisor.drained": "people",
    "supervisor.undrained": "people",
    "supervisor.upgraded": "people",
    "service.set": "people",
    "service.scaled": "people",
    "command.done": "people",
}


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


_MAY_LACK: Final = ("service", "process", "pid", "who", "text", "data")
_ALL: Final = frozenset(Event.__dataclass_fields__)


def event_fields(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A Happening's fields as in the event stream. Raises TypeError for what is no field."""
    if not facts.keys() <= _ALL:
        raise TypeError(f"a happening has no {', '.join(sorted(facts.keys() - _ALL))}")
    full = {"seq": facts["seq"], "time": round(facts["time"], 6), "kind": facts["kind"]}
    for key in _MAY_LACK:
        if value := facts.get(key):
            full[key] = value
    return full
