"""A new brain is pinged soon, and never later than the current interval."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from chapiteau.run.keeper.loop import FIRST_PING, Keeper
from chapiteau.run.keeper.shutdown import FORCED, RUNNING, STOPPING
from chapiteau.run.keeper.syscalls import channel_pair

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("asked", "times"), [(0, RUNNING), (1, STOPPING), (2, FORCED)], ids=["calm", "asked", "hurried"]
)
def test_first_ping_comes_within_the_interval(
    tmp_path: Path, asked: int, times: tuple[float, float]
) -> None:
    keeper = Keeper([], str(tmp_path))
    for _ in range(asked):
        keeper.shutdown.ask()
    ours, theirs = channel_pair()
    with theirs:
        keeper.adopt_brain(0, ours.detach())
        every, _limit = keeper.shutdown.ping_times
        assert (every, _limit) == times
        due = keeper._pinged_at + every - time.monotonic()
        assert due == pytest.approx(min(FIRST_PING, every), abs=0.2)
        keeper.channel.close()
