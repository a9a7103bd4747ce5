"""What runs inside Dask's own processes: on workers the task that carries a relay.

Everything here is pickled by its name, so scheduler and workers need Chapiteau.
"""

import asyncio
import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from distributed import Client, Event, get_client, get_worker

from chapiteau.load.workers.messages import Carried, Stop, encode_message

__all__ = [
    "MODULE",
    "boxes",
    "carry",
    "fail_once",
    "files_of",
    "forget",
    "order",
    "push",
    "serve",
    "stop_of",
]


# The far side of Dask: a relay as a child process, its lines in a box and out by a hand.
#
# The load never shares an interpreter with the engine that carries it: neither's heartbeats nor the
# load's clock wait for the other's lock. When the engine's process dies, the relay's stdin ends.

_GOODBYE: Final = 5.0  # seconds for a relay whose line has ended
MODULE: Final = "chapiteau.load.cluster.relay"
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


_LOOK: Final = 1.0  # seconds of a wait for an event, after which the newest step is looked up
_TASKS: Final = 10.0  # seconds until the scheduler knows a task that was submitted to it
_turns: dict[str, int] = {}  # relay → the step of its last `go`


def stop_of(topic: str, turn: int) -> str:
    """The name of the event that ends a step."""
    return f"{topic}-stop-{turn}"


def files_of(topic: str) -> str:
    """The name of the plugin that lays out the scenario's files."""
    return f"{topic}-files"


def order(topic: str, host: str, line: bytes, turn: int) -> None:
    """An order for the relay on this worker; `turn` is the step that it begins, or 0."""
    if turn:
        _turns[topic + host] = turn
    push(topic + host, line)


def carry(topic: str, host: str, archive: str) -> int:
    """The task: a relay as this worker's child, its reports as events; its exit code."""
    worker, client = get_worker(), get_client()

    def hand(line: bytes) -> None:
        worker.log_event(topic, {"host": host, "line": line})

    hand(encode_message(Carried()))
    over = threading.Event()
    watch = threading.Thread(target=_obey_stops, args=(client, topic, host, over), daemon=True)
    watch.start()
    try:
        return serve(topic + host, hand)
    finally:
        over.set()
        _turns.pop(topic + host, None)
        _clean_up(client, topic, Path(worker.local_directory) / archive)


def _obey_stops(client: Client, topic: str, host: str, over: threading.Event) -> None:
    """Pass the event of the newest step on; without a scheduler the relay's own end comes."""
    stopped = 0
    while not over.is_set():
        turn = _turns.get(topic + host, 0)
        if turn <= stopped:
            over.wait(_LOOK / 10)
            continue
        event: Any = Event(stop_of(topic, turn), client=client)  # type: ignore[no-untyped-call]
        try:
            if event.wait(timeout=_LOOK):
                push(topic + host, encode_message(Stop(turn)))
                stopped = turn
        except Exception:  # noqa: BLE001 — whatever a lost scheduler raises, on its way or ours
            over.wait(_LOOK)


def _clean_up(client: Client, topic: str, archive: Path) -> None:
    """Take the files away, if the coordinator did not come to it."""
    if archive.exists():
        archive.unlink(missing_ok=True)
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            client.unregister_worker_plugin(files_of(topic))  # type: ignore[no-untyped-call]


async def fail_once(keys: list[str], dask_scheduler: Any) -> int:
    """On the scheduler: these tasks fail with the first worker that dies under them.

    What `allowed-failures: 0` does for all tasks, for ours alone: a scheduler may be shared, and
    the tasks of others have been promised their tries. Returns how many those are.
    """
    until = time.monotonic() + _TASKS
    allowed = int(dask_scheduler.allowed_failures)
    for key in keys:
        while key not in dask_scheduler.tasks and time.monotonic() < until:  # noqa: ASYNC110 — nothing tells
            await asyncio.sleep(0.01)
        # A worker's death is one more suspicion; more of them than are allowed end a task.
        if key in dask_scheduler.tasks:
            dask_scheduler.tasks[key].suspicious = allowed
    return allowed


def forget(topic: str, dask_scheduler: Any) -> None:
    """On the scheduler: drop the last thousand reports, which it would keep as long as it lives."""
    with contextlib.suppress(AttributeError):  # a scheduler of another version keeps them
        dask_scheduler._broker._topics.pop(topic, None)  # noqa: SLF001 — no public way is there
