"""A shop, and load processes that run a scenario file of another tester against it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.load.scenario.shape import Shape, Stage
from chapiteau.load.stats.totals import Totals
from chapiteau.load.workers.local_workers import LocalWorkers
from chapiteau.load.workers.messages import LoadStep
from chapiteau.load.workers.plan import FileSource, Plan, Source
from tests.migrate.shims.shop import Shop, open_shop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

FILES = Path(__file__).parent / "files"


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files write what they have seen."""
    path = tmp_path / "report.txt"
    monkeypatch.setenv("REPORT", str(path))
    return path


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, report: Path) -> Iterator[Shop]:
    with open_shop() as opened:
        monkeypatch.setenv("SHOP", opened.url)
        yield opened


@pytest.fixture
def played() -> Callable[..., Awaitable[Totals]]:
    """Run a scenario file with so many users until so many sessions are done."""

    async def play(
        source: Source, *, users: int = 2, sessions: int = 40, workers: int = 1, **plan: Any
    ) -> Totals:
        totals = Totals()
        order = LoadStep(
            shape=Shape((Stage(users, users, 15.0),)), open=False, sessions=sessions, drain=2.0
        )
        whole = Plan(source=source, most_users=1000, timeout=10.0, **plan)
        async with LocalWorkers(whole, workers) as team:
            await team.run(order, totals)
        return totals

    return play


def file(name: str) -> FileSource:
    return FileSource(str(FILES / name))
