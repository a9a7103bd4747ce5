"""Lost output is told soon, seldom, and in the end to the byte."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chapiteau.run.logs import collector as module
from chapiteau.run.logs.collector import DroppedOutput
from chapiteau.run.logs.messages import OutputStream
from tests.support import wait_for_async


async def test_every_byte_is_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REPORT_EVERY", 0.05)
    told: list[int] = []

    def emit(kind: str, text: str, **facts: Any) -> None:
        told.append(facts["data"]["bytes"])

    found, stream = DroppedOutput(emit), OutputStream("web", 1, "stdout")
    for _ in range(100):
        found.add(stream, 10, "full")
    assert told == [10], "at once, then not for every piece"
    await wait_for_async(lambda: told == [10, 990])
    await asyncio.sleep(0)
    found.add(stream, 5, "full")
    found.add(stream, 7, "full")
    found.close()
    assert (sum(told), found.totals["web"]) == (1012, 1012)
