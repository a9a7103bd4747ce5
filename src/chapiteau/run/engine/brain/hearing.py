"""What processes say of themselves (sd_notify), and whether it was them who said it."""

import contextlib
from pathlib import Path

from chapiteau.run.engine.ground import Ground
from chapiteau.run.engine.instance import Instance
from chapiteau.run.engine.service.slot import Slot

__all__ = ["Hearing"]

_GENERATIONS = 16  # how far up the family tree a speaker may stand below its process


class Hearing:
    """`heard(pid, values)` is for the notify socket."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def heard(self, pid: int, values: dict[str, str]) -> None:
        """sd_notify from a process, or from a descendant of one."""
        entry = self._speaker(pid)
        if entry is None:
            return
        instance, slot = entry
        if text := values.get("STATUS"):
            instance.status_text = text[:200]
            self._ground.say("process.status", instance.status_text, service=instance.service,
                            process=instance.number, pid=instance.pid)  # fmt: skip
        if slot is None:
            return
        if values.get("READY") == "1":
            slot.became_ready(instance)
        if values.get("WATCHDOG") == "1" and instance.ready and slot.spec.watchdog:
            self._ground.feed_watchdog(instance, slot.spec, slot)
        if extra := values.get("EXTEND_TIMEOUT_USEC"):
            with contextlib.suppress(ValueError):
                slot.extend_start(instance, int(extra) / 1e6)

    def _speaker(self, pid: int) -> tuple[Instance, Slot | None] | None:
        by_pid = {entry[0].pid: entry for entry in self._ground.by_key.values()}
        for _ in range(_GENERATIONS):  # up the family tree
            if pid in by_pid:
                return by_pid[pid]
            if pid <= 1:
                return None
            pid = _parent_of(pid)
        return None


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
