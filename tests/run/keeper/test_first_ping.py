"""A new brain is asked for a sign soon, and never later than the rhythm of the hour has it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from chapiteau.run.keeper.loop import FIRST_PING, Keeper
from chapiteau.run.keeper.shutdown import CALM, HURRIED, PRESSED
from chapiteau.run.keeper.syscalls import channel_pair

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("asked", "rhythm"), [(0, CALM), (1, PRESSED), (2, HURRIED)], ids=["calm", "asked", "hurried"]
)
def test_it_comes_in_time(tmp_path: Path, asked: int, rhythm: tuple[float, float]) -> None:
    keeper = Keeper([], str(tmp_path))
    for _ in range(asked):
        keeper.ending.ask()
    ours, theirs = channel_pair()
    with theirs:
        keeper.adopt_brain(0, ours.detach())
        every, _limit = keeper.ending.rhythm
        assert (every, _limit) == rhythm
        due = keeper._pinged + every - time.monotonic()
        assert due == pytest.approx(min(FIRST_PING, every), abs=0.2)
        assert keeper.link is not None
        keeper.link.close()
