"""A hub takes its turn again when whoever keeps the leases was away."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from chapiteau.dash.errors import HubGoneError
from chapiteau.dash.nodes.contract import Lease, LeaseHeldError
from chapiteau.dash.nodes.leadership import Leadership
from tests.support import wait_for_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Keeper:
    """Leases that fail when they are told to."""

    def __init__(self) -> None:
        self.broken: Exception | None = None
        self.holder = ""
        self.fence = 0

    async def take(self, name: str, holder: str, ttl: float) -> Lease:
        self._check()
        if self.holder not in ("", holder):
            raise LeaseHeldError(f"{self.holder} has the lease")
        self.holder, self.fence = holder, self.fence + 1
        return Lease(name=name, holder=holder, fence=self.fence, ttl=ttl)

    async def keep(self, lease: Lease) -> None:
        self._check()
        if self.holder != lease.holder:
            raise LeaseHeldError(f"{self.holder} has the lease")

    async def drop(self, lease: Lease) -> None:
        self.holder = ""

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken


@contextlib.asynccontextmanager
async def held(keeper: Keeper) -> AsyncIterator[Leadership]:
    term = Leadership(keeper, "one", ttl=0.03)
    await term.open()
    yield term
    await term.close()


@pytest.mark.parametrize("ill", [HubGoneError("no answer"), sqlite3.OperationalError("disk full")])
async def test_a_keeper_that_was_away_is_asked_again(ill: Exception) -> None:
    keeper = Keeper()
    async with held(keeper) as term:
        assert term.leads
        keeper.broken = ill
        await wait_for_async(lambda: "which hub leads" in term.why)
        keeper.broken, keeper.holder = None, "two"  # meanwhile another took over
        await wait_for_async(lambda: not term.leads)
        assert "two has the lease" in term.why
        keeper.holder = ""  # and went
        await wait_for_async(lambda: term.leads)
        assert (term.why, term.fence) == ("", 2)


async def test_the_first_turn_is_refused_aloud() -> None:
    keeper = Keeper()
    keeper.broken = HubGoneError("no answer")
    with pytest.raises(HubGoneError):
        await Leadership(keeper, "one").open()
    await asyncio.sleep(0)
