"""The keeper's children: start, signal, reap, keep their exits until a brain acknowledges them.

Law: one process per key, ever. A spawn for a key that is known is refused.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any, Final

from .group_grace import GroupGracePeriod, is_running, stop_settings
from .start import ProcessStarter, argv_on_terminal, open_input, open_terminal
from .syscalls import (
    close_all,
    exit_from_status,
    foreign_exit,
    log_line,
    make_pipe,
    own_children,
    pidfd_of,
    pids_in,
    protect,
    start_time,
    write_to,
)

__all__ = ["Children", "reap_orphans", "unknown_exit"]

Message = dict[str, Any]
STREAMS: Final = {"in": 0, "out": 1, "err": 2}
KILL_TIMEOUT: Final = 2.0  # seconds for killed orphans to end


class Children:
    """`known` maps key → {"pid", "start", "memo", "exit"}; `fds` is the keeper's store."""

    def __init__(self, fds: dict[str, int]) -> None:
        self.known: dict[str, Message] = {}
        self.fds = fds
        self._by_pid: dict[int, str] = {}
        self.starter = ProcessStarter()
        self._protected = False  # whether our own OOM score is low
        self.groups = GroupGracePeriod(self.known)
        self.adopted: dict[int, str] = {}  # pidfd → key, of another keeper's children

    def restore(self, known: dict[str, Message], limit: tuple[int, int]) -> None:
        """What another keeper in this process knew before it became this one."""
        self.known, self.starter.limit, self.groups = known, limit, GroupGracePeriod(known)
        self._protected = True  # it may have been: the score is the process's, or a brain's
        for key, child in known.items():
            if is_running(child) and child.get("adopted"):
                self._adopt(key, child)
            elif is_running(child):
                self._by_pid[child["pid"]] = key

    def pipes_of(self, key: str) -> list[str]:
        """Which standard streams of a child are kept here."""
        return [name for name in STREAMS if f"pipe/{key}/{name}" in self.fds]

    def spawn(self, message: Message, base: dict[str, str]) -> Message:
        """Start a process: {"pid", "start", "pipes"}, or {"error", "stage", "errno"}.

        Its environment is `base` without `unset`, with `env` over it.
        """
        key = message["key"]
        unset = message.get("unset")
        if unset is not None:
            kept = {name: value for name, value in base.items() if name not in unset}
            message["env"] = {**kept, **message["env"]}
        if key in self.known:
            return {"error": f"{key} exists already", "stage": "key"}
        pipes: list[tuple[str, int, int]] = []  # (stream, our end, the child's)
        self.starter.stage = "descriptors"
        try:
            moves = []
            for stream in message.get("pipes", ()):  # first: their numbers may be low
                ends = open_input() if stream == "in" else make_pipe()
                pipes.append((stream, *ends))
                moves.append((ends[1], STREAMS[stream]))
            moves += [(self.fds[name], target) for name, target in message.get("fds", ())]
            if "tty" in message:  # all three streams are one terminal; we keep its other side
                terminal, path = open_terminal(message["tty"])
                pipes.append(("out", terminal, -1))
                message["argv"] = argv_on_terminal(path, message["argv"])
            pid, start = self.starter.start(message, moves)
            self._set_oom_score(pid, message)
        except OSError as exc:
            close_all(fd for _, *pair in pipes for fd in pair)
            return {"error": exc.strerror, "errno": exc.errno, "stage": self.starter.stage}
        for stream, ours, _ in pipes:
            self.fds[f"pipe/{key}/{stream}"] = ours
        close_all(theirs for *_, theirs in pipes if theirs >= 0)
        self.known[key] = {
            "pid": pid,
            "start": start,
            "memo": message.get("memo"),
            "exit": None,
            "cgroup": message.get("cgroup", ""),
        }
        self._by_pid[pid] = key
        return {"pid": pid, "start": start, "pipes": self.pipes_of(key)}

    def protect_keeper(self) -> None:
        """Let services go before us when memory runs out. A little after our start, since those
        started meanwhile inherit the score."""
        self._protected = self._protected or protect("self")

    def _set_oom_score(self, pid: int, message: Message) -> None:
        """Once our score is low, theirs must not be."""
        if self._protected or message.get("oom_score"):
            with contextlib.suppress(OSError):
                write_to(f"/proc/{pid}/oom_score_adj", str(message.get("oom_score", 0)))

    def reap(self, brain_pid: int) -> Iterator[tuple[str, Message]]:
        """(key, exit) of every child that has ended, ("", exit) for the brain. Orphans that the
        kernel gave us are reaped too."""
        while True:
            try:
                seen = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if seen is None:
                break
            key, end = self.reap_one(seen.si_pid)
            if key or seen.si_pid == brain_pid:
                yield key, end
        yield from self.groups.ended()

    def is_known(self, pid: int) -> bool:
        """Whether this is a child that we started and have not reaped."""
        return pid in self._by_pid

    def reap_one(self, pid: int) -> tuple[str, Message]:
        """(key, exit) of a child that has ended. The key is "" for one of no service, and for one
        whose group still has time to end."""
        key = self._by_pid.pop(pid, "")
        # Not yet waited for, so the pid, and the group with its number, are still the child's.
        group_lives = bool(key) and self.groups.has_time(key)
        left = self._kill_rest(pid, key) if key and not group_lives else []
        _, status, used = os.wait4(pid, 0)
        if not key:
            return "", exit_from_status(status)
        end = {
            **exit_from_status(status),
            "time": time.time(),  # noqa: TID251 — no Clock this far down
            "max_rss": used.ru_maxrss * 1024,
            "cpu": round(used.ru_utime + used.ru_stime, 4),
            "left": left,
        }
        if group_lives:
            self.groups.hold(key, end)
            return "", end
        self.known[key]["exit"] = end
        return key, end

    # ── adopted children: those of a keeper that was killed ─────────────────────────────────
    def _adopt(self, key: str, child: Message) -> None:
        """Watch a process that is not our child, if it is still the same process."""
        pidfd = pidfd_of(child["pid"])
        if pidfd >= 0 and start_time(child["pid"]) == child["start"]:
            self.adopted[pidfd] = key
            return
        close_all([pidfd] if pidfd >= 0 else [])
        child["exit"] = unknown_exit()

    def adopted_ended(self, pidfd: int, *, patient: bool) -> tuple[str, Message] | None:
        """(key, exit) of an adopted child that has ended; None while the kernel can't tell how and
        we are patient. A code that nobody knows is "unknown", never made up."""
        key = self.adopted[pidfd]
        found = foreign_exit(pidfd)
        if found is None and patient:
            return None
        del self.adopted[pidfd]
        os.close(pidfd)
        child = self.known[key]
        end = {**unknown_exit(), **(found or {}), "unknown": found is None}
        child["exit"] = end
        if child.get("cgroup"):
            end["left"] = pids_in(child["cgroup"])
            with contextlib.suppress(OSError):
                write_to(f"{child['cgroup']}/cgroup.kill", "1")
        return key, end

    def _kill_rest(self, pid: int, key: str) -> list[int]:
        """The end of a process is the end of all that it started; who was left."""
        group = self.known[key].get("cgroup")
        left = pids_in(group) if group else []
        if pid in left:
            left.remove(pid)
        with contextlib.suppress(OSError):
            if left:
                write_to(f"{group}/cgroup.kill", "1")
            elif not group:
                os.killpg(pid, signal.SIGKILL)
        return left

    def signal(self, message: Message) -> Message:
        """Signal a child or its process group; never a reaped pid, since we are its parent."""
        child = self.known.get(message["key"])
        whole = message.get("scope") == "group"
        if child is None or not (whole or is_running(child)):
            return {"ok": False}
        if whole and message.get("grace"):
            self.groups.grant(message["key"], float(message["grace"]))
        pidfd = next((fd for fd, key in self.adopted.items() if key == message["key"]), -1)
        try:
            if pidfd >= 0:  # not our child: its pid could be another's by now, its pidfd can't
                signal.pidfd_send_signal(pidfd, message["signal"])
            if pidfd < 0 or whole:
                (os.killpg if whole else os.kill)(child["pid"], message["signal"])
        except (ProcessLookupError, PermissionError):
            return {"ok": False}
        return {"ok": True}

    def update_memo(self, message: Message) -> None:
        """What the next brain shall know of this child."""
        child = self.known.get(message["key"])
        if child is not None:
            child["memo"] = {**(child["memo"] or {}), **message["memo"]}

    def forget(self, key: str) -> list[str]:
        """A brain knows of this end: names of the pipes that may go too."""
        child = self.known.get(key)
        if child is None or child["exit"] is None:
            return []
        names = [f"pipe/{key}/{stream}" for stream in self.pipes_of(key)]
        del self.known[key]
        return names

    def any_alive(self) -> bool:
        """Whether a child is left."""
        return any(child["exit"] is None for child in self.known.values())

    def ask_all_to_end(self) -> float:
        """To every child the stop signal that a brain noted for it; the longest grace time."""
        longest = 0.0
        for key, child in self.known.items():
            if child["exit"] is None:
                number, grace, scope = stop_settings(child["memo"])
                for one in (number, signal.SIGCONT):  # a stopped process would sleep over it
                    self.signal({"key": key, "signal": one, "scope": scope, "grace": grace})
                longest = max(longest, grace)
        return longest

    def kill_all(self) -> None:
        """SIGKILL for all that is left, when no brain can end it properly."""
        for key, child in self.known.items():
            if child["exit"] is not None:
                continue
            log_line(f"killing {key}, which was left")
            for send in (os.kill, os.killpg)[not is_running(child) :]:
                with contextlib.suppress(OSError):
                    send(child["pid"], signal.SIGKILL)
            with contextlib.suppress(OSError):
                write_to(f"{child['cgroup']}/cgroup.kill", "1")


def reap_orphans() -> None:
    """Kill and reap every child that we still have: orphans of services, which came to us."""
    end = time.monotonic() + KILL_TIMEOUT
    while time.monotonic() < end:
        for pid in own_children():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)  # noqa: TID251 — no Clock this far down


def unknown_exit() -> Message:
    """An end of which only the fact is known."""
    now = time.time()  # noqa: TID251 — no Clock this far down
    facts: Message = {"code": None, "signal": None, "core": False, "unknown": True}
    return {**facts, "time": now, "max_rss": 0, "cpu": 0.0, "left": []}
