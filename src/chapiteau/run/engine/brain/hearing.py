"""What processes say of themselves (sd_notify), and whether it was them who said it."""

import contextlib
import os
from pathlib import Path

from chapiteau.run.engine.ground import Ground
from chapiteau.run.engine.instance import Instance
from chapiteau.run.engine.service.fdstore import FdStore
from chapiteau.run.engine.service.slot import Slot

__all__ = ["Hearing"]

_GENERATIONS = 16  # how far up the family tree a speaker may stand below its process


class Hearing:
    """`heard(pid, values, fds)` is for the notify socket."""

    def __init__(self, ground: Ground, store: FdStore) -> None:
        self._ground, self._store = ground, store

    def heard(self, pid: int, values: dict[str, str], fds: list[int]) -> None:
        """sd_notify from a process, or from a descendant of one."""
        entry = self._speaker(pid)
        try:
            if entry is None:
                return
            instance, slot = entry
            if text := values.get("STATUS"):
                instance.status_text = text[:200]
                self._say("process.status", instance.status_text, instance)
            if slot is not None:
                self._of_life(instance, slot, values)
                self._of_store(instance, slot, values, fds)
        finally:
            for fd in fds:  # only now: with BARRIER=1 the speaker waits for that
                with contextlib.suppress(OSError):
                    os.close(fd)

    def _of_life(self, instance: Instance, slot: Slot, values: dict[str, str]) -> None:
        if values.get("READY") == "1":
            slot.became_ready(instance)
        if values.get("RELOADING") == "1":
            self._say("process.status", "it reloads by itself", instance)
        if values.get("STOPPING") == "1" and not instance.asked:
            self._say("process.unready", "it stops by itself", instance)
        if values.get("WATCHDOG") == "1" and instance.ready and slot.spec.watchdog:
            self._ground.feed_watchdog(instance, slot.spec, slot)
        if extra := values.get("EXTEND_TIMEOUT_USEC"):
            with contextlib.suppress(ValueError):
                slot.extend(instance, int(extra) / 1e6)
        if values.get("MAINPID", str(instance.pid)) != str(instance.pid):
            what = f"MAINPID={values['MAINPID'][:20]}: another main process is not followed"
            self._refuse(instance, what, "start it in the foreground, without forking")

    def _of_store(
        self, instance: Instance, slot: Slot, values: dict[str, str], fds: list[int]
    ) -> None:
        name, owner = values.get("FDNAME", ""), (instance.service, instance.number)
        if values.get("FDSTOREREMOVE") == "1":
            self._store.remove(*owner, name)
        elif values.get("FDSTORE") == "1" and not slot.spec.fd_store:
            hint = f"service.{instance.service}.fd_store says how many it may leave"
            self._refuse(instance, "FDSTORE=1: it may leave no descriptors", hint)
        elif values.get("FDSTORE") == "1":
            given = [os.dup(fd) for fd in fds]
            if why := self._store.put(*owner, name, given, slot.spec.fd_store):
                self._refuse(instance, f"FDSTORE=1: {why}", "")

    def _refuse(self, instance: Instance, what: str, hint: str) -> None:
        """Say it once per process."""
        if what not in instance.refused:
            instance.refused.add(what)
            self._say("process.refused", what, instance, {"hint": hint} if hint else None)

    def _say(
        self, kind: str, text: str, instance: Instance, data: dict[str, str] | None = None
    ) -> None:
        self._ground.say(kind, text, service=instance.service, process=instance.number,
                         pid=instance.pid, data=data or {})  # fmt: skip

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
