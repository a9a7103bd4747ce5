"""The far side of Dask and Ray: a relay as a child process, its lines in a box and out by a hand.

The load never shares an interpreter with the engine that carries it: neither's heartbeats nor the
load's clock wait for the other's lock. When the engine's process dies, the relay's stdin ends.
"""

import contextlib
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Final

__all__ = ["MODULE", "boxes", "push", "serve"]

_GOODBYE: Final = 5.0  # seconds for a relay whose line has ended
MODULE: Final = "chapiteau.load.engine.cluster.relay"
boxes: dict[str, "queue.Queue[bytes | None]"] = {}  # test → orders that wait
_guard = threading.Lock()


def push(test: str, line: bytes) -> None:
    """An order for this test's relay, which may not have started yet."""
    _box(test).put(line)


def serve(test: str, hand: Callable[[bytes], None]) -> int:
    """Run the relay until it leaves; `hand` takes each line that it says. Its exit code."""
    relay = subprocess.Popen(
        [sys.executable, "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert relay.stdin is not None  # noqa: S101 — asked for above
    assert relay.stdout is not None  # noqa: S101
    feeder = threading.Thread(target=_feed, args=(_box(test), relay.stdin), daemon=True)
    feeder.start()
    try:
        for line in relay.stdout:
            hand(line)
        return relay.wait()
    finally:
        relay.stdout.close()
        _box(test).put(None)  # its line has ended: it leaves by itself, and nothing behind
        with contextlib.suppress(subprocess.TimeoutExpired):
            relay.wait(_GOODBYE)
        relay.kill()
        relay.wait()
        feeder.join(5)
        with _guard:
            boxes.pop(test, None)


def _feed(box: "queue.Queue[bytes | None]", stdin: object) -> None:
    write, flush, close = (getattr(stdin, name) for name in ("write", "flush", "close"))
    with contextlib.suppress(OSError, ValueError):
        while (line := box.get()) is not None:
            write(line)
            flush()
    with contextlib.suppress(OSError):
        close()


def _box(test: str) -> "queue.Queue[bytes | None]":
    with _guard:
        return boxes.setdefault(test, queue.Queue())
