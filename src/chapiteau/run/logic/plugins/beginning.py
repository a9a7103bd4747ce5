"""From which event on a plugin listens when it has just been started."""

from collections.abc import Iterable

from chapiteau.run.logic.events import Happening

__all__ = ["heard_from"]


def heard_from(events: Iterable[Happening], name: str, pid: int, last: int) -> int:
    """The number after which the plugin `name`, process `pid`, listens.

    To be loaded takes it longer than many a service takes to get ready, or to fail. So what
    happened meanwhile is heard too: all since the supervisor began, if it began with it; else all
    since its own process was made. `last` where neither is known: it was started by hand.
    """
    found, began, first = last, 0, False
    for event in events:
        if event.kind == "supervisor.started" and not event.data.get("attached"):
            began, first = event.seq, True
        elif event.kind == "supervisor.config_applied":
            first = False
        elif event.kind == "process.spawned" and event.service == name:
            if event.pid == pid:
                found = began if first else event.seq
            first = False
    return found
