"""The supervisor's own log over the page: searched, followed, and safe from what is odd."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.core.errors import UsageError
from chapiteau.dash.nodes import local as ownlog
from chapiteau.dash.nodes.local import host_address, supervisor_log
from chapiteau.run.logs.messages import LogQuery


async def texts(items: AsyncIterator[dict[str, Any]]) -> list[str]:
    return [item["text"] async for item in items if "text" in item]


async def test_its_end_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, clock = tmp_path / "supervisor.log", ManualClock()
    assert await texts(supervisor_log(log, LogQuery(), clock)) == []  # nothing was ever said
    log.write_bytes(b"one\n\nerror: two\nWARNING three \xff\nhalf a li")
    assert await texts(supervisor_log(log, LogQuery(), clock)) == [
        "one",
        "error: two",
        "WARNING three \ufffd",
    ]
    assert await texts(supervisor_log(log, LogQuery(last=1), clock)) == ["WARNING three \ufffd"]
    assert await texts(supervisor_log(log, LogQuery(level="error"), clock)) == ["error: two"]
    assert await texts(supervisor_log(log, LogQuery(grep="^o"), clock)) == ["one"]
    (last,) = [item async for item in supervisor_log(log, LogQuery(last=1), clock)]
    been = {"@supervisor/0/stderr": last["at"] - len("WARNING three x\n")}
    assert await texts(supervisor_log(log, LogQuery(after=been), clock)) == ["WARNING three \ufffd"]
    with pytest.raises(UsageError, match="for ever"):
        await texts(supervisor_log(log, LogQuery(grep="(a+)+b"), clock))
    items = [item async for item in supervisor_log(log, LogQuery(last=1, pages=True), clock)]
    assert items[-1] == {"older": {}, "unread": []}
    monkeypatch.setattr(ownlog, "_MOST", 30)  # of a log that is long only its end is read
    assert await texts(supervisor_log(log, LogQuery(whole=True, last=1), clock)) == [
        "WARNING three \ufffd"
    ]


async def test_it_is_followed_also_when_it_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownlog, "_LOOK", 0.001)
    log, clock = tmp_path / "supervisor.log", ManualClock(wall=50.0)
    log.write_text("first\nhal")
    lines = supervisor_log(log, LogQuery(follow=True), clock)
    assert (await anext(lines))["text"] == "first"
    with log.open("a") as file:
        file.write("f and half\n")
    line = await anext(lines)
    assert (line["text"], line["time"], line["stream"]) == ("half and half", 50.0, "stderr")
    log.write_text("anew\n")
    assert (await anext(lines))["text"] == "anew"


def test_the_address_is_one_that_others_may_use() -> None:
    found = host_address()
    assert not found or not ipaddress.ip_address(found).is_loopback
