"""Tests in the background: start one, follow it to its result."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import ChapiteauError, NotFoundError
from chapiteau.load.client import live
from chapiteau.load.logic.results import LIVE
from chapiteau.plumbing.clock import SystemClock

__all__ = ["follow", "log_of", "start"]

_BEGIN: Final = 90.0  # seconds until the first numbers must have come
_LOOK: Final = 0.1
_AFTER: Final = 15.0  # seconds that judging, storing and telling may take after the last numbers


def start(words: Sequence[str], folder: Path, clock: SystemClock) -> str:
    """Run `chapiteau WORDS…` apart from this terminal; what the test is called.

    Comes back when the load has begun. Raises ChapiteauError with what the test said when it
    ended before.
    """
    (folder / LIVE).mkdir(parents=True, exist_ok=True)
    draft = folder / LIVE / "starting.log"
    with draft.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "chapiteau", *words],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    run = str(process.pid)
    draft.replace(log_of(folder, run))
    end = clock.now() + _BEGIN
    while clock.now() < end:
        if any(state["run"] == run for state in live(folder)):
            return run
        if process.poll() is not None:
            said = log_of(folder, run).read_text(errors="replace").strip()
            error = ChapiteauError(f"the test ended with {process.returncode}: {said[-2000:]}")
            error.exit_code = process.returncode or 1  # type: ignore[misc]
            raise error
        clock.sleep(_LOOK)
    raise ChapiteauError(f"test {run} shows no numbers", hint=f"see {log_of(folder, run)}")


def log_of(folder: Path, run: str) -> Path:
    """Where a test in the background writes."""
    return folder / LIVE / f"{run}.log"


def follow(
    folder: Path, run: str, clock: SystemClock, *, known: bool = False
) -> Iterator[dict[str, Any]]:
    """Its state, each time it has changed; at last {"run", "result": the stored number}.

    `known` says that it was there a moment ago. Raises NotFoundError when there is no such test,
    or when it left no result.
    """
    before: dict[str, Any] | None = None
    gone: float | None = None
    while True:
        done = _done(folder, run)
        if done is not None:
            yield {"run": run, "result": done}
            return
        state = next((one for one in live(folder) if one["run"] == run), None)
        if state is None:
            gone = gone or clock.now()
            if not (known or before) or clock.now() - gone > _AFTER:
                raise NotFoundError(
                    f"no load test {run} runs here", hint="see `chapiteau load list`"
                )
        elif state != before:
            before = state
            yield state
        clock.sleep(_LOOK)


def _done(folder: Path, run: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(json.loads((folder / LIVE / f"{run}.done").read_text())["result"])
    return None
