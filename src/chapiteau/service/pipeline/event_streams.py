"""How many event streams a worker runs: each holds a thread, and one thread is kept for requests.

A worker puts its EventStreams into the environ of its requests; under another server there is none,
and no limit.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from chapiteau.io.openmetrics import format_labels
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.problem import ProblemError

__all__ = ["EVENT_STREAM", "STREAMS_KEY", "EventStreams", "StreamsBusyError", "check_room"]

EVENT_STREAM: Final = "text/event-stream"
STREAMS_KEY: Final = "chapiteau.event_streams"  # in the environ

_RETRY: Final = 5  # seconds after which a client may ask again
_REPEAT: Final = 60.0  # seconds between two warnings

_log = logging.getLogger("chapiteau.service.worker")


class StreamsBusyError(ProblemError):
    """The worker runs as many event streams as it may."""

    status = 503
    code = "streams-busy"
    title = "All event streams are taken"

    def __init__(self, most: int) -> None:
        super().__init__(f"this worker runs {most} at most", headers={"Retry-After": str(_RETRY)})


class EventStreams:
    """Those of one worker. With a single thread a stream takes that one, as any request does."""

    def __init__(self, threads: int, now: Callable[[], float]) -> None:
        self.most = max(1, threads - 1)
        self._threads = threads
        self._now = now
        self._lock = threading.Lock()
        self._running = 0
        self._refused = 0
        self._quiet_until = 0.0

    def __repr__(self) -> str:
        return f"<EventStreams {self._running} of {self.most}>"

    @property
    def full(self) -> bool:
        """Whether the next one is refused."""
        return self._running >= self.most

    def enter(self) -> None:
        """Begin one; each ends with `leave`. Raises StreamsBusyError."""
        with self._lock:
            if not self.full:
                self._running += 1
                return
        raise self.refusal()

    def leave(self) -> None:
        """One has ended."""
        with self._lock:
            self._running -= 1

    def refusal(self) -> StreamsBusyError:
        """Count and log one that is refused."""
        with self._lock:
            self._refused += 1
            now = self._now()
            told = now < self._quiet_until
            if not told:
                self._quiet_until = now + _REPEAT
        if not told:
            _log.warning(
                "%d event streams hold %d of %d threads: further ones get 503, so that requests"
                " go on; more threads (--threads) or processes carry more",
                self._running, self._running, self._threads,
            )  # fmt: skip
        return StreamsBusyError(self.most)

    def lines(self, process: str) -> list[str]:
        """What a scraper reads of them, as OpenMetrics."""
        name, labels = "chapiteau_event_streams", format_labels({"process": process})
        return [
            f"# TYPE {name} gauge",
            f"# HELP {name} Event streams that run, each in a thread of this process.",
            f"{name}{labels} {self._running}",
            f"# TYPE {name}_limit gauge",
            f"# HELP {name}_limit How many may run; one thread is kept for requests.",
            f"{name}_limit{labels} {self.most}",
            f"# TYPE {name}_refused counter",
            f"# HELP {name}_refused Event streams that got 503.",
            f"{name}_refused_total{labels} {self._refused}",
        ]


def check_room(environ: Environ) -> None:
    """Before a handler begins what a stream would tell. Raises StreamsBusyError."""
    streams: EventStreams | None = environ.get(STREAMS_KEY)
    if streams is not None and streams.full and environ["REQUEST_METHOD"] != "HEAD":
        raise streams.refusal()
