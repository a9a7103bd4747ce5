"""What only the hub's own file does: others write it too."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from chapiteau.dash.nodes.contract import DesiredServices
from chapiteau.dash.nodes.embedded import SqliteDesiredState


def wants(count: int) -> DesiredServices:
    return DesiredServices(node="far", services={"web": {"processes": count}}, who="ana")


async def test_who_watches_sees_what_another_process_writes(tmp_path: Path) -> None:
    hub, command = (
        SqliteDesiredState(tmp_path / "hub.sqlite3"),
        SqliteDesiredState(tmp_path / "hub.sqlite3"),
    )
    async with asyncio.timeout(60), contextlib.aclosing(hub.watch("far", 0)) as newer:  # type: ignore[type-var]
        for count in (1, 2):
            waiting = asyncio.ensure_future(anext(newer))
            await asyncio.sleep(0)  # let it begin to watch
            made = await command.put(wants(count), expect=count - 1)
            assert await waiting == made
    hub.close()
    command.close()


async def test_nobody_looks_when_nobody_watches(tmp_path: Path) -> None:
    states = SqliteDesiredState(tmp_path / "hub.sqlite3")
    before = asyncio.all_tasks()
    await states.put(wants(1), expect=0)
    for _ in range(2):
        newer = states.watch("far", 0)
        assert (await anext(newer)).generation == 1
        assert len(asyncio.all_tasks() - before) == 1
        await newer.aclose()  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
    states.close()
