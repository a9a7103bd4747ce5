"""What a locust task may raise to steer its user, and locust's event hooks."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = [
    "CatchResponseError",
    "EventHook",
    "Events",
    "InterruptTaskSet",
    "LocustError",
    "MissingWaitTimeError",
    "RescheduleTask",
    "RescheduleTaskImmediately",
    "ResponseError",
    "Steering",
    "StopTest",
    "StopUser",
]

F = TypeVar("F", bound=Callable[..., Any])
Fired = Callable[[str, Mapping[str, Any]], None]


class LocustError(Exception):
    """Root of locust's errors."""


class ResponseError(LocustError):
    """The answer is not good."""


class CatchResponseError(LocustError):
    """`failure(…)` was called with a text."""


class MissingWaitTimeError(LocustError):
    """A user has no wait_time; never raised here."""


class Steering(LocustError):  # noqa: N818 — no error
    """What a task raises to steer its user."""


class InterruptTaskSet(Steering):
    """Leave this TaskSet; go on in the parent at once, or after its wait."""

    def __init__(self, reschedule: bool = True) -> None:
        super().__init__("interrupted")
        self.reschedule = reschedule


class StopUser(Steering):
    """This user stops for good."""


class StopTest(Steering):
    """Every user of this process stops for good."""


class RescheduleTask(Steering):
    """Drop this task, wait, take another."""


class RescheduleTaskImmediately(Steering):
    """Drop this task, take another at once."""


def _ignore(_name: str, _info: Mapping[str, Any]) -> None:
    """Nobody asked to see what is fired."""


class EventHook:
    """Listeners of one event: `@events.request.add_listener`."""

    def __init__(self, name: str = "", fired: Fired = _ignore) -> None:
        self.listeners: list[Callable[..., Any]] = []
        self._name, self._fired = name, fired
        self._failed: set[Callable[..., Any]] = set()

    def add_listener(self, handler: F) -> F:
        self.listeners.append(handler)
        return handler

    def remove_listener(self, handler: Callable[..., Any]) -> None:
        self.listeners.remove(handler)

    def fire(self, *, reverse: bool = False, **info: Any) -> None:
        """A file fires `request` for what it measured by itself."""
        self._fired(self._name, info)
        self.emit(info, reverse=reverse)

    def emit(self, info: Mapping[str, Any], *, reverse: bool = False) -> None:
        """Call the listeners. One that fails ends neither the test nor the task, as in locust;
        but it may steer the user."""
        for listener in self.listeners[::-1] if reverse else list(self.listeners):
            try:
                listener(**info)
            except Steering:
                raise
            except Exception as exc:  # noqa: BLE001 — a listener's faults are its own: told once
                if listener not in self._failed:
                    self._failed.add(listener)
                    name = getattr(listener, "__name__", repr(listener))
                    what = f"{type(exc).__name__}: {exc}"
                    sys.stderr.write(f"warning: the listener {name} failed: {what}\n")


class Events:
    """All hooks of one file, made when they are first asked for."""

    def __init__(self, fired: Fired = _ignore) -> None:
        self._fired = fired

    def register(self, name: str) -> EventHook:
        """The hook of that name."""
        hook: EventHook = self.__dict__.setdefault(name, EventHook(name, self._fired))
        return hook

    def __getattr__(self, name: str) -> EventHook:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.register(name)
