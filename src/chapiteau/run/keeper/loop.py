"""The keeper's loop, its brain and its protocol.

Laws of this file
  1. Any error on the brain's socket means that the brain is gone, and another is started. Nothing
     that a brain sends, and no brain's death, ends the keeper.
  2. What must outlive a brain is here: children, their exits until acknowledged, sockets, pipes,
     and small notes that brains leave for each other.

The protocol is JSON over a SOCK_SEQPACKET pair, with descriptors as SCM_RIGHTS
(docs/explanation/keeper-and-brain.md). A request {"op": …, "id": n} gets {"re": n, …}.
"""

import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from .brain_restarts import BrainRestarts
from .channel import Channel
from .children import Children, reap_orphans
from .reexec import exec_keeper, load_state, try_state
from .shutdown import KeeperShutdown
from .syscalls import (
    HANDLED_SIGNALS,
    channel_pair,
    close_all,
    dup_high,
    ended_for_ever,
    log_line,
    no_new_privs,
    open_log,
    pidfd_of,
    protect,
    sd_notify,
    start_time,
    wait_or_kill,
)

__all__ = ["Keeper"]

Message = dict[str, Any]
FIRST_PING: Final = 2.0  # seconds after a brain's start: the first services have started by then
BATCH: Final = 8  # messages that are handled before signals are looked at again
EXIT_TIMEOUT: Final = 3.0  # seconds for the kernel to tell how an adopted child ended
BRAIN_EXIT_TIMEOUT: Final = 2.0  # seconds for a brain that said quit to end
KEPT: Final = "brain_argv run_dir fds notes base brain_pid brain_starts owner owner_pid".split()


class Keeper:
    """`run` loops until a brain says quit, and returns the exit code it said."""

    def __init__(
        self, brain_argv: list[str], run_dir: str, owner_pid: int = 0, lock: int = -1
    ) -> None:
        self.brain_argv, self.run_dir = brain_argv, run_dir
        self.fds: dict[str, int] = {"lock": dup_high(lock)} if lock >= 0 else {}
        self.children = Children(self.fds)
        self.notes: dict[str, Any] = {}
        self.base: dict[str, str] = {}  # the environment that most spawns start from
        self.shutdown = KeeperShutdown(self.children, self.notes)
        self.brain_pid, self.brain_starts = 0, 0
        self.owner_pid = owner_pid  # all ends when this process does; 0: there is none
        self.owner = pidfd_of(owner_pid) if owner_pid else -1
        if owner_pid and self.owner < 0:  # it ended before we looked: that is no "nobody"
            self.owner = ended_for_ever()
        self.restarts = BrainRestarts()
        self._poll = select.poll()
        self.channel = Channel(self._poll)
        self._started_at = self._start_at = self._heard_at = self._pinged_at = 0.0
        self._silent = False  # whether we killed the brain because it did not answer
        self._late: dict[int, float] = {}  # adopted children that ended: pidfd → since when
        self._code: int | None = None
        self._wake = (-1, -1)

    def run(self) -> int:
        """Loop; the exit code."""
        self._prepare()
        while self._code is None:
            if not (self.brain_pid or self.shutdown.alone) and time.monotonic() >= self._start_at:
                self._start_brain()
            try:
                for fd, what in self._poll.poll(self._timeout()):
                    self._handle(fd, what)
            except (OSError, MemoryError) as exc:  # what was not read is still there next time
                log_line(f"poll: {exc!r}")
                time.sleep(0.02)  # noqa: TID251 — no Clock this far down
            self._check_brain()
        self.children.kill_all()
        if self.brain_pid:  # it leaves by itself, or is killed
            with contextlib.suppress(OSError):
                wait_or_kill(self.brain_pid, BRAIN_EXIT_TIMEOUT)
        reap_orphans()
        return self._code

    def _prepare(self) -> None:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        for number in HANDLED_SIGNALS:
            signal.signal(number, _wake_up)
        self.children.starter.prepare()
        for fd in (self._wake[0], self.owner, *self.children.adopted):
            if fd >= 0:
                self._poll.register(fd, select.POLLIN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._reap()

    def _timeout(self) -> int:
        """Milliseconds until something is due."""
        now = time.monotonic()
        every, limit = self.shutdown.ping_times
        start = [] if self.shutdown.alone else [self._start_at]
        due = [self._pinged_at + every, self._heard_at + limit] if self.brain_pid else start
        if self._late or self.children.groups:
            due.append(now + 0.1)
        if self.shutdown.asked_at:
            due.append(self.shutdown.deadline)
        return max(0, int((min(due, default=now) - now) * 1000) + 1)

    def _handle(self, fd: int, what: int) -> None:
        if fd == self._wake[0]:
            self._on_signals()
        elif fd in self.children.adopted:
            self._on_adopted_exit(fd)
        elif fd == self.owner:
            self._poll.unregister(fd)
            self._ask("owner-gone")
        elif fd == self.channel.fileno():
            if what & select.POLLOUT:
                self.channel.flush()
            if what & ~select.POLLOUT:
                all(self._on_message() for _ in range(BATCH))  # until there is none

    def _on_adopted_exit(self, fd: int) -> None:
        """A child of an earlier keeper has ended; how, its new parent tells a little later: until
        then the descriptor stays out of the poll and is looked at again."""
        now = time.monotonic()
        since = self._late.setdefault(fd, now)
        ended = self.children.adopted_ended(fd, patient=now - since < EXIT_TIMEOUT)
        with contextlib.suppress(KeyError):
            self._poll.unregister(fd)
        if ended is not None:
            del self._late[fd]
            self._send_exit(*ended)

    def _on_signals(self) -> None:
        numbers: set[int] = set()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._wake[0], 4096):
                numbers.update(data)
        for number in numbers - {signal.SIGCHLD}:
            self._ask("reload" if number == signal.SIGHUP else "stop")
        self._reap()  # signals coalesce: whatever came, look for the dead

    def _ask(self, what: str) -> None:
        """Pass on to the brain what a person or the system wants of us."""
        self.channel.send({"op": "asked", "what": what})
        if what != "reload":
            self._begin_shutdown()

    def _begin_shutdown(self) -> None:
        """From now on a brain that hangs is found out soon."""
        self.shutdown.ask()
        self._heard_at = self._pinged_at = time.monotonic()
        self.channel.send({"op": "ping"})

    def _reap(self) -> None:
        for key, end in self.children.reap(self.brain_pid):
            if key:
                self._send_exit(key, end)
            else:
                self._on_brain_exit(end)

    def _send_exit(self, key: str, end: Message) -> None:
        pid = self.children.known[key]["pid"]
        self.channel.send({"op": "exited", "key": key, "pid": pid, "exit": end})

    # ── the brain ───────────────────────────────────────────────────────────────────────────
    def _start_brain(self) -> None:
        opened: list[int] = []
        ours = None
        must_act = not self.children.known or bool(self.shutdown.asked_at)
        try:
            ours, theirs = channel_pair()
            with theirs:
                opened.append(dup_high(theirs.fileno()))
            log = open_log(self.run_dir)
            opened += [log, os.open("/dev/null", os.O_RDONLY)]
            env = {
                **os.environ,
                "CHAPITEAU_KEEPER_FD": "3",
                "CHAPITEAU_BRAIN_START": str(self.brain_starts),
                "CHAPITEAU_SAFE_MODE": self.restarts.read_only_reason(time.monotonic(), must_act),
            }
            moves = [(opened[0], 3), (opened[2], 0), (log, 1), (log, 2)]
            self.brain_pid = self.children.starter.start_brain(self.brain_argv, env, moves)
            protect(self.brain_pid)
        except OSError as exc:
            log_line(f"cannot start the brain: {exc}")
            self._start_at = time.monotonic() + self.restarts.not_started(f"{exc}")
            self.shutdown.brain_failed(self.restarts.hopeless_reason(self.run_dir))
            if ours is not None:
                ours.close()
            return
        finally:
            close_all(opened)
        self.brain_starts += 1
        self._brain_started(ours)

    def adopt_brain(self, pid: int, link: int) -> None:
        """Take as first brain one that was forked before we became the keeper."""
        os.set_inheritable(link, False)
        self.brain_pid, self.brain_starts = pid, 1
        self._brain_started(socket.socket(fileno=link))

    def _brain_started(self, link: socket.socket) -> None:
        self._open_channel(link)
        self._started_at = self._heard_at = time.monotonic()
        every = self.shutdown.ping_times[0]
        self._pinged_at = self._started_at - max(0.0, every - FIRST_PING)

    def _open_channel(
        self, link: socket.socket, queued: list[tuple[bytes, tuple[int, ...]]] | None = None
    ) -> None:
        self.channel.open(link, queued)
        self.children.starter.hold = link.fileno()

    def _on_brain_exit(self, end: Message) -> None:
        while self._on_message():  # what it asked before it died was asked
            pass
        self.channel.close()
        self.children.starter.hold = -1
        now = time.monotonic()
        lived = now - self._started_at
        self._start_at = now + self.restarts.count(end, lived, now, silent=self._silent)
        self.brain_pid, self._silent = 0, False
        if self._code is None:
            self.shutdown.brain_failed(self.restarts.hopeless_reason(self.run_dir))
            more = "" if self.shutdown.alone else "; starting another"
            log_line(f"the brain ended ({end}){more}")

    def _check_brain(self) -> None:
        now = time.monotonic()
        for fd in list(self._late):
            self._on_adopted_exit(fd)
        if self.children.groups:
            self._reap()
        every, limit = self.shutdown.ping_times
        if self.channel.fileno() >= 0 and now - self._pinged_at >= every:
            self._pinged_at = now
            self.channel.send({"op": "ping"})
            self.children.protect_keeper()
        if self.brain_pid and now - self._heard_at > limit:
            log_line("the brain does not answer; killing it")
            self._heard_at, self._silent = now, True
            os.kill(self.brain_pid, signal.SIGKILL)
        if self._code is None and self.shutdown.is_over():
            self._code = 1  # no brain managed to end things in time: all is killed

    # ── messages ────────────────────────────────────────────────────────────────────────────
    def _on_message(self) -> bool:
        """Read and handle one message; False when there was none."""
        if (received := self.channel.receive()) is None:
            return False
        data, fds = received
        self._heard_at = time.monotonic()
        try:
            message = json.loads(data)
        except Exception:  # noqa: BLE001 — law 1: whatever a brain sends, the keeper lives
            close_all(fds)
        else:
            self._reply(message, fds)
        return True

    def _reply(self, message: Message, fds: list[int]) -> None:
        number = None
        names: tuple[str, ...] = ()
        try:
            number = message.get("id")
            answer, names = self._do(message, fds)
        except Exception as exc:  # noqa: BLE001 — law 1
            answer = {"error": f"{type(exc).__name__}: {exc}"}
        finally:
            close_all(fds)
        if number is not None:
            self.channel.send({"re": number, **answer}, tuple(self.fds[name] for name in names))

    def _do(self, message: Message, fds: list[int]) -> tuple[Message, tuple[str, ...]]:
        """The answer, and the names of stored descriptors that go with it."""
        if message["op"] == "store":
            self._drop(message["name"])
            self.fds[message["name"]] = dup_high(fds[0])
            return {}, ()
        answer = _OPS[message["op"]](self, message) or {}
        if message["op"] == "fetch":
            return answer, (message["name"],) if message["name"] in self.fds else ()
        if message["op"] == "spawn" and "pid" in answer:
            return answer, tuple(f"pipe/{message['key']}/{n}" for n in answer["pipes"])
        return answer, ()

    def _many(self, message: Message) -> None:
        """Several requests, each answered as if it had come alone."""
        for one in message["all"]:
            self._reply(one, [])

    def _hello(self, _message: Message) -> Message:
        """The whole state; before it one message per child, each with its pipes."""
        for key, child in self.children.known.items():
            pipes = self.children.pipes_of(key)
            fds = tuple(self.fds[f"pipe/{key}/{name}"] for name in pipes)
            self.channel.send({"op": "child", "key": key, **child, "pipes": pipes}, fds)
        return {
            "pid": os.getpid(),
            "brain_starts": self.brain_starts,
            "brain_died": self.restarts.last,
            "notes": self.notes,
            "fds": sorted(name for name in self.fds if not name.startswith("pipe/")),
            "asked": bool(self.shutdown.asked_at),
            "no_new_privs": no_new_privs(),
            "owner": [self.owner_pid, start_time(self.owner_pid) if self.owner_pid else 0],
            "nofile": self.children.starter.limit[0],
        }

    def _drop(self, name: str) -> None:
        if name in self.fds:
            os.close(self.fds.pop(name))

    def _note(self, message: Message) -> None:
        if message.get("value") is None:
            self.notes.pop(message["name"], None)
        else:
            self.notes[message["name"]] = message["value"]
        if message["name"] == "stopping" and not self.shutdown.asked_at:
            self._begin_shutdown()

    def _acknowledge(self, message: Message) -> None:
        for name in self.children.forget(message["key"]):
            self._drop(name)

    def _quit(self, message: Message) -> None:
        self._code = int(message.get("code", 0))
        if why := message.get("why"):
            log_line(f"ends with exit code {self._code}: {why}")

    def reexec(self, message: Message) -> None:
        """Become another keeper by exec: the pid stays, so we stay the parent. Raises OSError."""
        state = {name: getattr(self, name) for name in KEPT} | {
            "children": self.children.known,
            "limit": self.children.starter.limit,
            "asked_at": self.shutdown.asked_at,
            "link": self.channel.fileno(),
            "queued": [[data.decode(), fds] for data, fds in self.channel.queued],
            "reply": message.get("id"),
        }
        try_state(state, message["python"], message["folder"])
        # Until the next keeper has its handlers, a TERM would end us and a CHLD would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)
        try:
            exec_keeper(state, message["python"], message["folder"])
        finally:  # only when it failed
            signal.pthread_sigmask(signal.SIG_SETMASK, ())

    @classmethod
    def resumed(cls, memory: int) -> "Keeper":
        """The keeper that the one before became, or that a brain made in its place."""
        state = load_state(memory)
        made = cls(state["brain_argv"], state["run_dir"])
        for name in KEPT:
            setattr(made, name, state.get(name, getattr(made, name)))  # an older one lacks some
        made.children = Children(made.fds)
        made.children.restore(state["children"], tuple(state["limit"]))
        made.shutdown = KeeperShutdown(made.children, made.notes, state["asked_at"])
        made._started_at = made._heard_at = made._pinged_at = time.monotonic()
        queued = [(data.encode(), tuple(fds)) for data, fds in state["queued"]]
        if state["reply"] is not None:
            reply = {"re": state["reply"], "pid": os.getpid()}
            queued.append((json.dumps(reply).encode(), ()))
        if state["link"] >= 0:
            made._open_channel(socket.socket(fileno=state["link"]), queued)
        return made


_OPS: Final[dict[str, Callable[[Keeper, Message], Message | None]]] = {
    "hello": Keeper._hello,
    "fetch": lambda keeper, message: {"ok": message["name"] in keeper.fds},
    "drop": lambda keeper, message: keeper._drop(message["name"]),
    "note": Keeper._note,
    "many": Keeper._many,
    "pong": lambda _keeper, _message: None,
    "base": lambda keeper, message: keeper.base.update(message["env"]),
    "spawn": lambda keeper, message: keeper.children.spawn(message, keeper.base),
    "signal": lambda keeper, message: keeper.children.signal(message),
    "ack": Keeper._acknowledge,
    "memo": lambda keeper, message: keeper.children.update_memo(message),
    "notify": lambda _keeper, message: sd_notify(message["text"]),
    "quit": Keeper._quit,
    "upgrade": Keeper.reexec,
}


def _wake_up(_number: int, _frame: object) -> None:
    """The wake-up descriptor tells; a handler must exist so that Python writes to it."""
