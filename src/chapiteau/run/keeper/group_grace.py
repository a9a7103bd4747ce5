"""Process groups whose leader has ended while the others still have time.

A stop signal to a whole group gives each member the same grace period: the leader's exit (a
shell's, perhaps) is held back until the others have ended.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any, Final

from .syscalls import pids_in, write_to

__all__ = ["POLL_INTERVAL", "GroupGracePeriod", "is_running", "stop_settings"]

Message = dict[str, Any]
POLL_INTERVAL: Final = 0.05  # seconds between two looks at the groups
MARGIN: Final = 2.0  # seconds beyond the grace: a living brain kills them first, and says so


class GroupGracePeriod:
    """Kept in `known`: "until" (on time.monotonic()), and "held", the exit not yet told."""

    def __init__(self, known: dict[str, Message]) -> None:
        self._known = known
        self.keys = {key for key, child in known.items() if "held" in child}

    def __bool__(self) -> bool:
        return bool(self.keys)

    def grant(self, key: str, grace: float) -> None:
        """The whole group was asked to end and has so many seconds."""
        self._known[key]["until"] = time.monotonic() + grace + MARGIN

    def has_time(self, key: str) -> bool:
        """Whether the others may go on although the leader has ended."""
        return bool(self._known[key].get("until", 0.0) > time.monotonic())

    def hold(self, key: str, end: Message) -> None:
        """The leader has ended and was reaped."""
        self._known[key]["held"] = end
        self.keys.add(key)

    def ended(self) -> Iterator[tuple[str, Message]]:
        """(key, exit) of groups that are empty now, or whose time is over: then they are killed.

        While a group has members its number, and the leader's pid, are nobody else's.
        """
        for key in list(self.keys):
            child = self._known[key]
            there = _anybody(child["pid"])
            if there and self.has_time(key):
                continue
            self.keys.remove(key)
            child["exit"] = {**child.pop("held"), "left": _kill(child, there)}
            yield key, child["exit"]


def is_running(child: Message) -> bool:
    """Whether its pid is its own: it has not been waited for."""
    return child["exit"] is None and "held" not in child


def stop_settings(memo: Any) -> tuple[int, float, str]:
    """(signal, seconds of grace, scope) as a brain noted it, else the defaults."""
    try:
        number, grace, *whole = memo["stop"]
        scope = "group" if any(whole) else "process"
        return int(signal.Signals(number)), max(0.0, float(grace)), scope
    except (TypeError, ValueError, LookupError):
        return int(signal.SIGTERM), 1.0, "process"


def _anybody(group: int) -> bool:
    """Whether the process group has members; our children among them are reaped."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _kill(child: Message, there: bool) -> list[int]:
    """Kill who is left in its cgroup, where it has one, else in its group; their pids."""
    group = child.get("cgroup")
    left = pids_in(group) if group else []
    with contextlib.suppress(OSError):
        if left:
            write_to(f"{group}/cgroup.kill", "1")
        elif there and not group:
            os.killpg(child["pid"], signal.SIGKILL)
    return left
