"""Load tests of this project: what ran, what runs now."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import NotFoundError
from chapiteau.load import client
from chapiteau.load.logic.comparing import compared
from chapiteau.load.logic.report.live import samples, stored_rows

__all__ = [
    "LiveLoad",
    "add",
    "comparison",
    "mark",
    "report",
    "result",
    "results",
    "rows",
    "set_baseline",
    "stop",
]

_MARGIN: Final = 0.05  # differences below this share are none, as for `chapiteau load compare`
_LOOK: Final = 1.0  # seconds between two looks at the folder


def results(folder: Path) -> list[dict[str, Any]]:
    """Finished load tests, newest first, each with the number of its test's `baseline` (or None).

    `folder` is the project's run folder.
    """
    held = client.baselines(folder)
    return [one.to_dict() | {"baseline": held.get(one.test)} for one in client.results(folder)]


def result(folder: Path, number: int) -> dict[str, Any]:
    """Everything about one load test. Raises NotFoundError."""
    return client.result(folder, number)


def rows(folder: Path, number: int) -> dict[str, Any]:
    """Its requests by name, with what a look at one shows, and samples of its failures.

    Raises NotFoundError.
    """
    document = result(folder, number)
    told = {key: document.get(key, []) for key in ("seconds", "soundness", "marks")}
    load = document["plan"].get("load", [])
    failures = samples(document["failures"])
    return {**told, "rows": stored_rows(document), "failures": failures, "load": load}


def comparison(folder: Path, before: int, after: int) -> dict[str, Any]:
    """Is `after` faster or slower than `before`? With the curves of both.

    Raises NotFoundError, and UsageError when one of them has no requests.
    """
    a, b = result(folder, before), result(folder, after)
    # The same draws for the same two tests: who looks twice sees the same.
    chance = random.Random(f"{before} {after}")  # noqa: S311 — resamples, guards nothing
    found = compared(a, b, _MARGIN, chance)
    marks = {"a": a.get("marks", []), "b": b.get("marks", [])}
    return {**found, "curves": {"a": a["timeline"], "b": b["timeline"]}, "marks": marks}


def stop(folder: Path, run: str, who: str) -> None:
    """End a running test; it judges and stores what it has. Raises NotFoundError."""
    if not client.stop(folder, run, who):
        raise NotFoundError(f"no load test {run[:40]!r} runs here", hint="it may be over")


def mark(folder: Path, run: str, text: str, who: str, time: float) -> None:
    """Note what happened at `time` in a running test's result. Raises NotFoundError."""
    if not client.mark(folder, run, text, who=who, time=time):
        raise NotFoundError(f"no load test {run[:40]!r} runs here", hint="it may be over")


def add(folder: Path, run: str, *, users: int, rate: float, who: str) -> dict[str, Any]:
    """Put more load on in a running test; its answer. Raises NotFoundError, RefusedError."""
    return client.add(folder, run, users=users, rate=rate, who=who)


def set_baseline(folder: Path, number: int, who: str, *, on: bool) -> None:
    """Hold later results of its test against this one, or no longer. Raises NotFoundError."""
    client.set_baseline(folder, number, who=who, on=on)


def report(folder: Path, number: int) -> str:
    """Its HTML report. Raises NotFoundError."""
    path = client.report_path(folder, number)
    if path is None:
        raise NotFoundError(f"load test {number} has no report any more")
    return path.read_text(encoding="utf-8")


class LiveLoad:
    """Looks at the running load tests once per second, while anybody watches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """{"live": […], "results": […]}, whenever it changed."""
        before: dict[str, Any] | None = None
        while True:
            now = await asyncio.to_thread(self._look)
            if now != before:
                yield now
            before = now
            await asyncio.sleep(_LOOK)

    def _look(self) -> dict[str, Any]:
        return {"live": client.live(self._folder), "results": results(self._folder)}
