"""Locust's event hooks: `@events.request.add_listener`."""

import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

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
    "StopTest",
    "StopUser",
]


# What a locust task may raise to steer its user.


class LocustError(Exception):
    """Root of them."""


class ResponseError(LocustError):
    """The answer is no good."""


class CatchResponseError(LocustError):
    """`failure(…)` was called with a text."""


class InterruptTaskSet(LocustError):  # noqa: N818 — locust's name
    """Leave this TaskSet; go on in the parent at once, or after its wait."""

    def __init__(self, reschedule: bool = True) -> None:
        super().__init__("interrupted")
        self.reschedule = reschedule


class StopUser(LocustError):  # noqa: N818 — locust's name
    """This user stops for good."""


class StopTest(LocustError):  # noqa: N818 — locust's name
    """Every user of this process stops for good."""


class MissingWaitTimeError(LocustError):
    """A user has no wait_time; never raised here."""


class RescheduleTask(LocustError):  # noqa: N818 — locust's name
    """Drop this task, wait, take another."""


class RescheduleTaskImmediately(LocustError):  # noqa: N818 — locust's name
    """Drop this task, take another at once."""


F = TypeVar("F", bound=Callable[..., Any])
_STEERING: Final = (
    InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser,
)  # fmt: skip

_NAMES: Final = (
    "request", "user_error", "report_to_master", "worker_report", "worker_connect",
    "spawning_complete", "quitting", "quit", "init", "init_command_line_parser", "test_start",
    "test_stopping", "test_stop", "reset_stats", "cpu_warning", "heartbeat_sent",
    "heartbeat_received", "usage_monitor", "request_success", "request_failure",
)  # fmt: skip


class EventHook:
    """Listeners of one event."""

    def __init__(self) -> None:
        self.listeners: list[Callable[..., Any]] = []
        self.fired: Callable[[dict[str, Any]], None] | None = None  # told of what a file fires
        self._failed: set[Callable[..., Any]] = set()

    def add_listener(self, handler: F) -> F:
        """Have it called; also a decorator."""
        self.listeners.append(handler)
        return handler

    def remove_listener(self, handler: Callable[..., Any]) -> None:
        """Have it called no more."""
        self.listeners.remove(handler)

    def fire(self, *, reverse: bool = False, **info: Any) -> None:
        """Tell everybody. A file fires `request` for what it measured by itself."""
        if self.fired is not None:
            self.fired(info)
        self.tell(info, reverse=reverse)

    def tell(self, info: dict[str, Any], *, reverse: bool = False) -> None:
        """Call the listeners. One that fails ends neither the test nor the task, as in locust;
        but it may steer the user."""
        for listener in self.listeners[::-1] if reverse else list(self.listeners):
            try:
                listener(**info)
            except _STEERING:
                raise
            except Exception as exc:  # noqa: BLE001 — a listener's faults are its own: told once
                if listener not in self._failed:
                    self._failed.add(listener)
                    name = getattr(listener, "__name__", repr(listener))
                    what = f"{type(exc).__name__}: {exc}"
                    sys.stderr.write(f"warning: the listener {name} failed: {what}\n")


class Events:
    """All hooks of one file; a name that locust does not know is an own one."""

    def __init__(self) -> None:
        for name in _NAMES:
            setattr(self, name, EventHook())

    def register(self, name: str) -> EventHook:
        """A hook of the file's own."""
        hook = EventHook()
        setattr(self, name, hook)
        return hook

    def __getattr__(self, name: str) -> EventHook:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.register(name)
