"""Counting connections as they come to listening sockets, whoever accepts them.

The kernel keeps no such count, and whoever polls a socket misses what another accepts at once. But
it can send a signal at each arrival (fcntl(2): O_ASYNC, F_SETSIG), and real-time signals queue up.
A thread of our own holds them back and takes them from its queue four times a second: nobody is
woken when a connection comes, and no other thread ever sees such a signal.
"""

import contextlib
import fcntl
import os
import signal
import socket
import struct
import termios
import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from chapiteau.core.clock import Clock

__all__ = ["AcceptCounter", "estimate_arrivals"]


# How many connections came to each listening socket, from what could be counted of it.


def estimate_arrivals(
    counted: Mapping[str, int], tcp: Collection[str], opened: int, watched: float
) -> dict[str, float]:
    """Connections to each name in the time of one look.

    `watched`: the share of that time in which each arrival was counted. At 1 they are known;
    below it there were too many, and what the network namespace took beyond the counted ones
    (`opened` in all, -1 when that isn't known) belongs to those of `tcp` in proportion. What is
    not TCP goes on at its pace.
    """
    if watched >= 1:
        return dict(counted)
    known = sum(counted[name] for name in counted if name in tcp)
    more = max(0, opened - known) / known if known and opened >= 0 else 0.0
    return {
        name: count * (1 + more) if name in tcp and opened >= 0 else count / watched
        for name, count in counted.items()
    }


_MOST: Final = 1_000  # arrivals in one pause; of what comes faster only the sum is known
_PAUSE: Final = 0.25  # seconds between two looks at the queue
_SETSIG: Final = 10  # F_SETSIG, fcntl(2)
_SETOWN_EX: Final = 15  # F_SETOWN_EX, with {F_OWNER_TID, thread}
_SNMP: Final = Path("/proc/net/snmp")
# Elsewhere than on Linux there are no such signals, and nothing is counted.
_SIGNAL: Final = signal.SIGRTMIN + 7 if hasattr(signal, "SIGRTMIN") else 0


class AcceptCounter:
    """Counts from the first look until `close`; of datagrams it knows nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began, self._opened = 0.0, -1
        self._thread_of_signals: _SignalThread | None = None

    def look(self, bound: Mapping[str, Sequence[socket.socket]]) -> dict[str, float]:
        """Arrivals a second since the last look; empty at the first, and after a change."""
        listeners = {one: name for name, all_ in bound.items() for one in all_ if _has_queue(one)}
        now, opened = self._clock.now(), _opened_by_all()
        passed = max(0.001, now - self._began)
        more = opened - self._opened if min(opened, self._opened) >= 0 else -1
        self._began, self._opened = now, opened
        if self._thread_of_signals is None or self._thread_of_signals.listeners != listeners:
            self.close()
            self._thread_of_signals = (
                _SignalThread(listeners, self._clock) if listeners and _SIGNAL else None
            )
            return {}
        counted, share = self._thread_of_signals.take(now - passed, now)
        tcp = {name for one, name in listeners.items() if one.family != socket.AF_UNIX}
        return {
            n: count / passed for n, count in estimate_arrivals(counted, tcp, more, share).items()
        }

    def close(self) -> None:
        """Let no more signals be sent."""
        if self._thread_of_signals is not None:
            self._thread_of_signals.close()
        self._thread_of_signals = None


class _SignalThread:
    """The thread that takes the kernel's signals."""

    def __init__(self, listeners: dict[socket.socket, str], clock: Clock) -> None:
        self.listeners = listeners
        self._clock = clock
        self._counts: Counter[int] = Counter()  # by descriptor
        self._overflow_since = 0.0
        self._guard = threading.Lock()
        self._over, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._listen, name="accept-counter", daemon=True)
        self._thread.start()
        self._ready.wait(1.0)
        self._arm()

    def take(self, began: float, now: float) -> tuple[dict[str, int], float]:
        """What was counted since the last call, by name, and in which share of the time."""
        with self._guard:
            counts, self._counts = self._counts, Counter()
            overflow, self._overflow_since = self._overflow_since, 0.0
        found: Counter[str] = Counter()
        for one, name in self.listeners.items():
            found[name] += counts[one.fileno()]
        self._arm()
        return dict(found), max(0.001, (overflow - began) / (now - began)) if overflow else 1.0

    def close(self) -> None:
        """End it."""
        self._set_notify(on=False)
        self._over.set()
        self._thread.join(1.0)

    def _arm(self) -> None:
        """Also again and again: who shares a socket may have taken the flag away."""
        owner = struct.pack("ii", 0, self._thread.native_id or 0)
        for one in self.listeners:
            with contextlib.suppress(OSError, ValueError):  # closed meanwhile
                if not fcntl.fcntl(one, fcntl.F_GETFL) & os.O_ASYNC:
                    fcntl.fcntl(one, _SETOWN_EX, owner)
                    fcntl.fcntl(one, _SETSIG, _SIGNAL)
                    _notify(one, on=True)

    def _set_notify(self, *, on: bool) -> None:
        for one in self.listeners:
            with contextlib.suppress(OSError, ValueError):
                _notify(one, on=on)

    def _listen(self) -> None:
        held = (_SIGNAL, signal.SIGIO)  # the second comes when the queue had no room
        signal.pthread_sigmask(signal.SIG_BLOCK, held)
        self._ready.set()
        while not self._over.wait(_PAUSE):
            fds: list[int] = []
            while len(fds) < _MOST and (told := signal.sigtimedwait(held, 0)) is not None:
                # For these signals the third word is the descriptor (si_fd, sigaction(2)).
                fds.append(told.si_status if told.si_signo == _SIGNAL else -1)
            with self._guard:
                self._counts.update(fds)
                if (len(fds) >= _MOST or -1 in fds) and not self._overflow_since:
                    self._overflow_since = self._clock.now()
                    self._set_notify(on=False)


def _notify(one: socket.socket, *, on: bool) -> None:
    # Not by F_SETFL, which would write all flags, while the others may be changing theirs.
    fcntl.ioctl(one, termios.FIOASYNC, struct.pack("i", on))


def _has_queue(one: socket.socket) -> bool:
    return one.type == socket.SOCK_STREAM and one.fileno() >= 0


def _opened_by_all() -> int:
    """TCP connections that came into this network namespace (RFC 2012, tcpPassiveOpens); or -1."""
    with contextlib.suppress(OSError, ValueError):
        lines = [line for line in _SNMP.read_text().splitlines() if line.startswith("Tcp:")]
        names, values = (line.split() for line in lines)
        return int(values[names.index("PassiveOpens")])
    return -1
