"""The socket on which processes report their own state: sd_notify(3).

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
from chapiteau.run.system.process_tree import parent_of

__all__ = ["NotifyHandler", "NotifySocket", "parse_notify"]

_CREDENTIALS = struct.Struct("iII")
_MAX_SIZE = 8192
_MAX_READS = 64  # messages that are read before others have a turn
_MAX_STATUS = 200  # characters
_GENERATIONS = 16  # how far below its process a sender may stand in the family tree
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
    """`on_message(pid, values, fds)` learns what was sent and by whom; the descriptors are its."""

    def __init__(
        self, sock: socket.socket, on_message: Callable[[int, dict[str, str], list[int]], None]
    ) -> None:
        self._sock, self._on_message = sock, on_message
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        asyncio.get_running_loop().add_reader(sock, self._read)

    @staticmethod
    def bind(path: Path) -> socket.socket:
        """A datagram socket at the path, writable for every user that services run as."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(path))
        path.chmod(0o666)  # its folder decides who gets near; the kernel tells who sends
        return made

    def _read(self) -> None:
        for _ in range(_MAX_READS):
            try:
                data, ancillary, _flags, _address = self._sock.recvmsg(
                    _MAX_SIZE, _ROOM, socket.MSG_CMSG_CLOEXEC
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
            self._on_message(pid, parse_notify(data), fds)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._sock.fileno()

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()


class NotifyHandler:
    """What a message means for the process that sent it."""

    def __init__(self, host: ProcessHost, store: FdStore) -> None:
        self._host, self._store = host, store

    def on_message(self, pid: int, values: dict[str, str], fds: list[int]) -> None:
        """sd_notify from a process, or from a descendant of one."""
        try:
            if (process := self._sender(pid)) is None:
                return
            if text := values.get("STATUS"):
                process.report_status(text[:_MAX_STATUS])
                self._emit(process, "process.status", process.status_text)
            if values.get("READY") == "1":
                process.mark_ready()
            if not self._host.read_only:
                self._on_life(process, values)
            self._on_store(process, values, fds)
        finally:
            for fd in fds:  # only now: with BARRIER=1 the sender waits for that
                with contextlib.suppress(OSError):
                    os.close(fd)

    def _on_life(self, process: Process, values: dict[str, str]) -> None:
        now = self._host.clock.now()
        if values.get("RELOADING") == "1":
            self._emit(process, "process.status", "it reloads by itself")
        if values.get("STOPPING") == "1" and not process.stop_requested:
            self._emit(process, "process.unready", "it stops by itself")
        if values.get("WATCHDOG") == "1":
            process.beat(now)
        if extra := values.get("EXTEND_TIMEOUT_USEC"):
            with contextlib.suppress(ValueError):
                process.extend(now + int(extra) / 1e6)
                self._host.note_deadlines(process)
        if values.get("MAINPID", str(process.pid)) != str(process.pid):
            what = f"MAINPID={values['MAINPID'][:20]}: another main process is not followed"
            self._refuse(process, what, "start it in the foreground, without forking")

    def _on_store(self, process: Process, values: dict[str, str], fds: list[int]) -> None:
        name, owner = values.get("FDNAME", ""), (process.service, process.number)
        limit = process.spec.fd_store
        if values.get("FDSTOREREMOVE") == "1":
            self._store.remove(*owner, name)
        elif values.get("FDSTORE") == "1" and not limit:
            hint = f"service.{process.service}.fd_store says how many it may leave"
            self._refuse(process, "FDSTORE=1: it may leave no descriptors", hint)
        elif values.get("FDSTORE") == "1":
            given = [os.dup(fd) for fd in fds]
            if why := self._store.put(*owner, name, given, limit):
                self._refuse(process, f"FDSTORE=1: {why}", "")

    def _refuse(self, process: Process, what: str, hint: str) -> None:
        """Report it once per process."""
        if what not in process.refused:
            process.refused.add(what)
            self._emit(process, "process.refused", what, {"hint": hint} if hint else None)

    def _emit(
        self, process: Process, kind: str, text: str, data: dict[str, str] | None = None
    ) -> None:
        self._host.emit_of(process, kind, text, data=data or {})

    def _sender(self, pid: int) -> Process | None:
        by_pid = {process.pid: process for process in self._host.processes.values() if process.pid}
        for _ in range(_GENERATIONS):
            if pid in by_pid:
                return by_pid[pid]
            if pid <= 1:
                return None
            pid = parent_of(pid)
        return None
