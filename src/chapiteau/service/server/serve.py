"""The main thread of a worker: signals, readiness, the watch over the leading thread."""

import logging
import os
import signal
import socket
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.io.sd_notify import Notifier
from chapiteau.service.server.options import ServeOptions
from chapiteau.service.server.worker import Worker
from chapiteau.service.server.wsgi import Application

__all__ = ["serve"]

_log = logging.getLogger("chapiteau.service.worker")

_TICK: Final = 0.005  # seconds between two looks while requests come
_QUIET: Final = 40  # looks without a request after which the watch sleeps until one comes
_STUCK: Final = 5.0  # seconds without a turn of the loop: say nothing more to the watchdog


def serve(
    app: Application,
    listeners: list[socket.socket],
    clock: Clock,
    options: ServeOptions,
    notifier: Notifier,
) -> int:
    """Serve until TERM or INT; returns the exit code (0: everything asked was answered)."""
    worker = Worker(app, listeners, clock, options)
    signals: list[int] = []

    def stop(number: int, _frame: Any) -> None:
        signals.append(number)
        if len(signals) > 1 and number == signal.SIGINT:
            os._exit(130)  # Ctrl-C twice: somebody means it
        worker.drain()
        worker.ring()

    before = {s: signal.signal(s, stop) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        worker.start()
        notifier.send("READY=1", f"STATUS=serving with {options.threads} threads")
        return _watch(worker, clock, options, notifier, signals)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(
    worker: Worker, clock: Clock, options: ServeOptions, notifier: Notifier, signals: list[int]
) -> int:
    quiet, deadline, beat = 0, 0.0, 0.0
    while not worker.finished.is_set():
        now = clock.now()
        if signals and not deadline:
            notifier.send("STOPPING=1")
            deadline = now + options.drain_timeout
        if deadline and now > deadline:
            _log.warning("requests still run %g s after TERM: leaving them", options.drain_timeout)
            return 1
        if notifier.watchdog and now >= beat and now - worker.last_turn < _STUCK:
            notifier.send("WATCHDOG=1")
            beat = now + notifier.watchdog
        if quiet < _QUIET:
            worker.alarm.acquire(timeout=_TICK)
        else:
            # Law: first say "asleep", then look once more; the leader first shows its request,
            # then looks whether we are asleep. So one of the two always notices.
            worker.asleep = True
            rung = worker.relieve() or worker.alarm.acquire(
                timeout=min(notifier.watchdog or 1.0, 1.0)
            )
            worker.asleep = False
            quiet = 0 if rung else quiet
        quiet = 0 if worker.relieve() else quiet + 1
    return 0
