"""Load tests of this project: what ran, what runs now."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

__all__ = ["LiveLoad", "report_path", "result", "results"]

_LOOK: Final = 1.0  # seconds between two looks at the folder


def _client() -> Any:
    return importlib.import_module("chapiteau.load.client")


def results(folder: Path) -> list[dict[str, Any]]:
    """Finished load tests, newest first."""
    found: list[dict[str, Any]] = _client().results(folder)
    return found


def result(folder: Path, name: str) -> dict[str, Any]:
    """Everything about one load test. Raises NotFoundError."""
    found: dict[str, Any] = _client().result(folder, name)
    return found


def report_path(folder: Path, name: str) -> Path:
    """Its HTML report. Raises NotFoundError."""
    return Path(_client().report_path(folder, name))


class LiveLoad:
    """Looks at the running load test once per second, while anybody watches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """What changed: the running test ("live", None when there is none) and the results."""
        before: dict[str, Any] | None = None
        while True:
            now = await asyncio.to_thread(self._look)
            if now != before:
                yield now
            before = now
            await asyncio.sleep(_LOOK)

    def _look(self) -> dict[str, Any]:
        return {"live": _client().live(self._folder), "results": results(self._folder)}
