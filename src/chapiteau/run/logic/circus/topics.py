"""Our events as those that Circus publishes: a topic and a body."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from chapiteau.run.logic.events import Happening

__all__ = ["changes_of", "publications", "resource_name"]

Publication = tuple[str, dict[str, Any]]

_PLAIN: Final = {
    "service.ready": "start",
    "service.recovered": "start",
    "service.completed": "stop",
    "service.failed": "stop",
    "service.stopped": "stop",
    "service.reloaded": "reload",
    "service.scaled": "updated",
    "process.spawned": "spawn",
    "process.stopping": "kill",
    "process.killed": "kill",
    "process.exited": "reap",
    "hook.done": "hook_success",
    "hook.failed": "hook_failure",
}


def resource_name(service: str) -> str:
    """A service's name inside a topic: a dot or a space would make two parts of it."""
    return service.lower().replace(" ", "_").replace(".", "_")


def publications(event: Happening) -> Iterator[Publication]:
    """What an event is to Circus; nothing when it has no such event."""
    action = _PLAIN.get(event.kind)
    if action is None or not event.service:
        return
    body: dict[str, Any] = {"time": event.time}
    if action in ("spawn", "kill", "reap"):
        body["process_pid"] = event.pid
    if action == "reap":
        signal = event.data.get("signal")
        body["exit_code"] = -signal if signal is not None else event.data.get("code", 0)
    if action.startswith("hook_"):
        body["name"] = event.data.get("hook", "")
        if action == "hook_failure":
            body["error"] = str(event.data.get("why", ""))
    yield f"watcher.{resource_name(event.service)}.{action}", body


def changes_of(before: Iterable[str], after: Iterable[str], time: float) -> Iterator[Publication]:
    """`add` and `remove`, when the configuration has changed."""
    old, new = set(before), set(after)
    for name in sorted(new - old):
        yield f"watcher.{resource_name(name)}.add", {"time": time}
    for name in sorted(old - new):
        yield f"watcher.{resource_name(name)}.remove", {"time": time}
