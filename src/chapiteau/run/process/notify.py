"""The socket on which processes speak for themselves: sd_notify(3).

The kernel tells the sender's pid with every datagram (SCM_CREDENTIALS); a message counts only for
the process that sent it, or for the process whose descendant did.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from chapiteau.run.process.fdstore import FdStore
from chapiteau.run.process.host import ProcessHost
from chapiteau.run.process.process import Process
from chapiteau.run.process.replica import Replica

__all__ = ["NotifyHandler", "NotifySocket", "parse_notify"]

_CREDENTIALS = struct.Struct("iII")
_LARGEST = 8192
_MOST_FDS = 253  # the kernel's SCM_MAX_FD
_ROOM = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4 * _MOST_FDS)


def parse_notify(data: bytes) -> dict[str, str]:
    """NAME=value lines of one datagram; lines without "=" are skipped."""
    found = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found[name] = value
    return found


class NotifySocket:
    """Listens; `on_message(pid, values, fds)` hears what was said and by whom.

    The descriptors that came along are the hearer's to close.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.on_message: Callable[[int, dict[str, str], list[int]], None] = _unheard
        asyncio.get_running_loop().add_reader(sock, self._read)

    @staticmethod
    def bind(path: Path) -> socket.socket:
        """A datagram socket at the path, writable for every user that services run as."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(path))
        path.chmod(0o666)  # its folder decides who comes near; the kernel tells who speaks
        return made

    def _read(self) -> None:
        for _ in range(64):
            try:
                data, ancillary, _flags, _address = self._sock.recvmsg(
                    _LARGEST, _ROOM, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            pid, fds = 0, []
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    pid = _CREDENTIALS.unpack_from(content)[0]
                elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    whole = content[: len(content) // 4 * 4]
                    fds += [fd for (fd,) in struct.iter_unpack("i", whole)]
            if pid:
                self.on_message(pid, parse_notify(data), fds)
            else:
                _unheard(pid, {}, fds)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._sock.fileno()

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()


def _unheard(_pid: int, _values: dict[str, str], fds: list[int]) -> None:
    """Nobody listens: never keep a stranger's file open."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


# What processes say of themselves (sd_notify), and whether it was them who said it.

_GENERATIONS = 16  # how far up the family tree a speaker may stand below its process


class NotifyHandler:
    """`heard(pid, values, fds)` is for the notify socket."""

    def __init__(self, ground: ProcessHost, store: FdStore) -> None:
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

    def _of_life(self, instance: Process, slot: Replica, values: dict[str, str]) -> None:
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
        self, instance: Process, slot: Replica, values: dict[str, str], fds: list[int]
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

    def _refuse(self, instance: Process, what: str, hint: str) -> None:
        """Say it once per process."""
        if what not in instance.refused:
            instance.refused.add(what)
            self._say("process.refused", what, instance, {"hint": hint} if hint else None)

    def _say(
        self, kind: str, text: str, instance: Process, data: dict[str, str] | None = None
    ) -> None:
        self._ground.say(kind, text, service=instance.service, process=instance.number,
                         pid=instance.pid, data=data or {})  # fmt: skip

    def _speaker(self, pid: int) -> tuple[Process, Replica | None] | None:
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
