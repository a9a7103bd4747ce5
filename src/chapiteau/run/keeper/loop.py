"""The keeper's loop, its brain and its protocol.

Laws of this file
  1. Any error on the brain's socket means "the brain has gone": another is started. Nothing that
     a brain sends, and no brain's death, ends the keeper.
  2. What must outlive a brain is here: children, their ends not yet acknowledged, sockets, pipes,
     and small notes that brains leave for each other.

The protocol is JSON over a SOCK_SEQPACKET pair, descriptors beside it as SCM_RIGHTS
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
from .children import Children, reap_orphans
from .reexec import exec_keeper, load_state, try_state
from .shutdown import KeeperShutdown
from .syscalls import (
    HANDLED_SIGNALS,
    channel_pair,
    close_all,
    dup_high,
    log_line,
    no_new_privs,
    open_log,
    pidfd_of,
    protect,
    receive,
    receive_buffer,
    sd_notify,
    start_time,
    wait_or_kill,
)

__all__ = ["Keeper"]

Message = dict[str, Any]
LARGEST: Final = 1 << 18  # bytes of one message
FIRST_PING: Final = 2.0  # seconds after a brain's start: the first services have started by then
IN_A_ROW: Final = 8  # messages that are done before signals are looked at again
FOSTER_PATIENCE: Final = 3.0  # seconds for the kernel to tell how a foster child ended
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
        self.ending = KeeperShutdown(self.children, self.notes)
        self.brain_pid, self.brain_starts = 0, 0
        self.owner_pid = owner_pid  # when this process ends, so does everything; 0: no such one
        self.owner = pidfd_of(owner_pid) if owner_pid else -1
        self.link: socket.socket | None = None
        self.outgoing: list[tuple[bytes, tuple[int, ...]]] = []  # what the brain did not take yet
        self.deaths = BrainRestarts()
        self._since = self._due = self._heard = self._pinged = 0.0
        self._silent = False  # whether we killed the brain because it did not answer
        self._late: dict[int, float] = {}  # foster children that ended, and since when
        self._code: int | None = None
        self._poll = select.poll()
        self._full = False  # whether the brain does not take what we send
        self._room = receive_buffer(LARGEST)
        self._wake = (-1, -1)

    def run(self) -> int:
        """Loop; the exit code."""
        self._prepare()
        while self._code is None:
            if not (self.brain_pid or self.ending.alone) and time.monotonic() >= self._due:
                self._start_brain()
            try:
                for fd, what in self._poll.poll(self._patience()):
                    self._handle(fd, what)
            except (OSError, MemoryError) as exc:  # what was not read is there at the next turn
                log_line(f"poll: {exc!r}")
                time.sleep(0.02)  # noqa: TID251 — no Clock this far down
            self._look_after_brain()
        self.children.kill_all()
        self._wait_for_brain()
        reap_orphans()
        return self._code

    def _prepare(self) -> None:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        for number in HANDLED_SIGNALS:
            signal.signal(number, _noted)
        self.children.starting.get_ready()
        for fd in (self._wake[0], self.owner):
            if fd >= 0:
                self._poll.register(fd, select.POLLIN)
        if self.link is not None:  # another keeper was here before us
            self._full = True
            self._poll.register(self.link, select.POLLIN | select.POLLOUT)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for fd in self.children.fosters:
            self._poll.register(fd, select.POLLIN)
        self._reap()

    def _patience(self) -> int:
        """Milliseconds until something is due."""
        now = time.monotonic()
        every, limit = self.ending.rhythm
        start = [] if self.ending.alone else [self._due]
        due = [self._pinged + every, self._heard + limit] if self.brain_pid else start
        if self._late or self.children.lingering:
            due.append(now + 0.1)
        if self.ending.asked_at:
            due.append(self.ending.deadline)
        return max(0, int((min(due, default=now) - now) * 1000) + 1)

    def _handle(self, fd: int, what: int) -> None:
        if fd == self._wake[0]:
            self._on_signals()
        elif fd in self.children.fosters:
            self._foster_ended(fd)
        elif fd == self.owner:
            self._poll.unregister(fd)
            self._ask("owner-gone")
        elif self.link is not None and fd == self.link.fileno():
            if what & select.POLLOUT:
                self._flush()
            if what & ~select.POLLOUT:
                all(self._on_message() for _ in range(IN_A_ROW))  # until there is none

    def _foster_ended(self, fd: int) -> None:
        """A process that an earlier keeper started has ended; its new parent tells how, a little
        later: until then the descriptor stays out of the poll, and is looked at again."""
        now = time.monotonic()
        since = self._late.setdefault(fd, now)
        ended = self.children.foster_ended(fd, patient=now - since < FOSTER_PATIENCE)
        with contextlib.suppress(KeyError):
            self._poll.unregister(fd)
        if ended is not None:
            del self._late[fd]
            key, end = ended
            pid = self.children.known[key]["pid"]
            self._send({"op": "exited", "key": key, "pid": pid, "exit": end})

    def _on_signals(self) -> None:
        numbers: set[int] = set()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._wake[0], 4096):
                numbers.update(data)
        for number in numbers - {signal.SIGCHLD}:
            self._ask("reload" if number == signal.SIGHUP else "stop")
        self._reap()  # signals coalesce: whatever came, look for the dead

    def _ask(self, what: str) -> None:
        """Tell the brain what a person or the system wants of us."""
        self._send({"op": "asked", "what": what})
        if what != "reload":
            self._press()

    def _press(self) -> None:
        """The end is wanted: a brain that hangs is found out soon."""
        self.ending.ask()
        self._heard = self._pinged = time.monotonic()
        self._send({"op": "ping"})

    def _reap(self) -> None:
        for key, end in self.children.reap(self.brain_pid):
            if key:
                pid = self.children.known[key]["pid"]
                self._send({"op": "exited", "key": key, "pid": pid, "exit": end})
            else:
                self._brain_died(end)

    # ── the brain ───────────────────────────────────────────────────────────────────────────
    def _start_brain(self) -> None:
        opened: list[int] = []
        ours = None
        must_act = not self.children.known or bool(self.ending.asked_at)
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
                "CHAPITEAU_BRAIN_LOOKS": self.deaths.why_only_look(time.monotonic(), must_act),
            }
            moves = [(opened[0], 3), (opened[2], 0), (log, 1), (log, 2)]
            self.brain_pid = self.children.starting.as_usual(self.brain_argv, env, moves)
            protect(self.brain_pid)
        except OSError as exc:
            log_line(f"cannot start the brain: {exc}")
            self._due = time.monotonic() + self.deaths.unborn(f"{exc}")
            self.ending.brain_failed(self.deaths.in_vain(self.run_dir))
            if ours is not None:
                ours.close()
            return
        finally:
            close_all(opened)
        self._speak_by(ours)
        self.outgoing, self._full = [], False
        self.brain_starts += 1
        self._poll.register(ours, select.POLLIN)
        self._brain_lives()

    def adopt_brain(self, pid: int, link: int) -> None:
        """A brain that was forked before we became the keeper is our first."""
        os.set_inheritable(link, False)
        self.brain_pid, self.brain_starts = pid, 1
        self._speak_by(socket.socket(fileno=link))
        self._brain_lives()

    def _speak_by(self, link: socket.socket) -> None:
        link.setblocking(False)
        self.link, self.children.starting.hold = link, link.fileno()

    def _brain_lives(self) -> None:
        self._since = self._heard = time.monotonic()
        every = self.ending.rhythm[0]
        self._pinged = self._since - max(0.0, every - FIRST_PING)

    def _brain_died(self, end: Message) -> None:
        while self._on_message():  # what it asked before it died was asked
            pass
        self._close_link()
        now = time.monotonic()
        self._due = now + self.deaths.count(end, now - self._since, now, silent=self._silent)
        self.brain_pid, self._silent = 0, False
        if self._code is None:
            self.ending.brain_failed(self.deaths.in_vain(self.run_dir))
            log_line(
                f"the brain ended ({end})" + ("" if self.ending.alone else "; starting another")
            )

    def _close_link(self) -> None:
        if self.link is not None:
            with contextlib.suppress(KeyError, OSError, ValueError):
                self._poll.unregister(self.link)
            self.link.close()
            self.link, self.children.starting.hold = None, -1

    def _look_after_brain(self) -> None:
        now = time.monotonic()
        for fd in list(self._late):
            self._foster_ended(fd)
        if self.children.lingering:
            self._reap()
        every, limit = self.ending.rhythm
        if self.link is not None and now - self._pinged >= every:
            self._pinged = now
            self._send({"op": "ping"})
            self.children.protect_us()
        if self.brain_pid and now - self._heard > limit:
            log_line("the brain does not answer; killing it")
            self._heard, self._silent = now, True
            os.kill(self.brain_pid, signal.SIGKILL)
        if self._code is None and self.ending.is_over():
            self._code = 1  # no brain managed to end things in time: all is killed

    def _wait_for_brain(self) -> None:
        """The brain said quit: it leaves by itself, or is killed after two seconds."""
        if self.brain_pid:
            with contextlib.suppress(OSError):
                wait_or_kill(self.brain_pid, 2.0)

    # ── messages ────────────────────────────────────────────────────────────────────────────
    def _send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        if self.link is not None:
            self.outgoing.append((json.dumps(message).encode(), fds))
            if len(self.outgoing) == 1:
                self._flush()

    def _flush(self) -> None:
        while self.outgoing and self.link is not None:
            data, fds = self.outgoing[0]
            try:
                socket.send_fds(self.link, [data], list(fds))
            except (BlockingIOError, InterruptedError):
                self._full = True
                self._poll.modify(self.link, select.POLLIN | select.POLLOUT)
                return
            except OSError:
                pass  # the brain has gone (its exit will tell), or a descriptor has
            del self.outgoing[0]
        if self._full and self.link is not None:
            self._full = False
            self._poll.modify(self.link, select.POLLIN)

    def _on_message(self) -> bool:
        """Read and do one message; False when there was none."""
        if self.link is None:
            return False
        try:
            data, fds = receive(self.link, self._room)
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionResetError:  # it died before it read all of ours; what it said is there
            return True
        except OSError:
            data, fds = b"", []
        if not data:
            self._close_link()
            return False
        self._heard = time.monotonic()
        self._answer(data, fds)
        return True

    def _answer(self, data: bytes, fds: list[int]) -> None:
        try:
            message = json.loads(data)
        except Exception:  # noqa: BLE001 — law 1: whatever a brain sends, the keeper lives
            close_all(fds)
            return
        self._reply(message, fds)

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
            self._send({"re": number, **answer}, tuple(self.fds[name] for name in names))

    def _do(self, message: Message, fds: list[int]) -> tuple[Message, tuple[str, ...]]:
        """The answer, and the names of stored descriptors that go with it."""
        if message["op"] == "store":
            self._drop({"name": message["name"]})
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
            self._send({"op": "child", "key": key, **child, "pipes": pipes}, fds)
        return {
            "pid": os.getpid(),
            "brain_starts": self.brain_starts,
            "brain_died": self.deaths.last,
            "notes": self.notes,
            "fds": sorted(name for name in self.fds if not name.startswith("pipe/")),
            "asked": bool(self.ending.asked_at),
            "no_new_privs": no_new_privs(),
            "owner": [self.owner_pid, start_time(self.owner_pid) if self.owner_pid else 0],
            "many": True,
            **self.children.starting.facts(),
        }

    def _drop(self, message: Message) -> None:
        if message["name"] in self.fds:
            os.close(self.fds.pop(message["name"]))

    def _note(self, message: Message) -> None:
        if message.get("value") is None:
            self.notes.pop(message["name"], None)
        else:
            self.notes[message["name"]] = message["value"]
        if message["name"] == "stopping" and not self.ending.asked_at:
            self._press()  # the brain has begun the end: from now on it has only so much time

    def _acknowledge(self, message: Message) -> None:
        for name in self.children.forget(message["key"]):
            self._drop({"name": name})

    def _quit(self, message: Message) -> None:
        self._code = int(message.get("code", 0))
        if why := message.get("why"):
            log_line(f"ends with exit code {self._code}: {why}")

    def become_next(self, message: Message) -> None:
        """Become another keeper by exec: the pid stays, so we stay the parent. Raises OSError."""
        state = {name: getattr(self, name) for name in KEPT} | {
            "children": self.children.known,
            "limit": self.children.starting.limit,
            "asked_at": self.ending.asked_at,
            "link": self.link.fileno() if self.link is not None else -1,
            "outgoing": [[data.decode(), fds] for data, fds in self.outgoing],
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
        made.ending = KeeperShutdown(made.children, made.notes)
        made.ending.asked_at = state["asked_at"]
        made._since = made._heard = made._pinged = time.monotonic()
        if state["link"] >= 0:
            made._speak_by(socket.socket(fileno=state["link"]))
        made.outgoing = [(data.encode(), tuple(fds)) for data, fds in state["outgoing"]]
        if state["reply"] is not None:
            reply = {"re": state["reply"], "pid": os.getpid()}
            made.outgoing.append((json.dumps(reply).encode(), ()))
        return made


_OPS: Final[dict[str, Callable[[Keeper, Message], Message | None]]] = {
    "hello": Keeper._hello,
    "fetch": lambda keeper, message: {"ok": message["name"] in keeper.fds},
    "drop": Keeper._drop,
    "note": Keeper._note,
    "many": Keeper._many,
    "pong": lambda _keeper, _message: None,
    "base": lambda keeper, message: keeper.base.update(message["env"]),
    "spawn": lambda keeper, message: keeper.children.spawn(message, keeper.base),
    "row": lambda keeper, _message: keeper.children.starting.foresee(),
    "spare": lambda keeper, message: keeper.children.starting.prepare(message["cgroup"]),
    "signal": lambda keeper, message: keeper.children.signal(message),
    "ack": Keeper._acknowledge,
    "memo": lambda keeper, message: keeper.children.update_memo(message),
    "notify": lambda _keeper, message: sd_notify(message["text"]),
    "quit": Keeper._quit,
    "upgrade": Keeper.become_next,
}


def _noted(_number: int, _frame: object) -> None:
    """The wake-up descriptor tells; a handler must exist so that Python writes to it."""
