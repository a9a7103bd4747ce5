"""Calibrate the generator: what a request of this scenario costs it, against a null responder."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec

from chapiteau.load.execution.job import Job
from chapiteau.load.scenario.shape import constant_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.workers.local_workers import LocalWorkers
from chapiteau.load.workers.messages import LoadStep

__all__ = ["Calibration", "calibrate"]

_SECONDS = 1.5
_USERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """CPU seconds of a load process for one request; 0 when it could not be measured."""

    cost: float

    @property
    def ceiling(self) -> float:
        """Requests a second that one process can send when it has a core for itself."""
        return 1 / self.cost if self.cost else 0.0


async def calibrate(job: Job) -> Calibration:
    """Run the scenario against the null responder for a moment.

    Its answers are `{}`; a scenario that wants more fails early, which still tells what a request
    costs. Measured as CPU time, so a busy machine does not disturb it.
    """
    async with _responder() as port:
        # Whatever the scenario names as its service, the responder gets it.
        divert = f"http://127.0.0.1:{port}"
        plan = msgspec.structs.replace(job.plan(), divert=divert, most_users=_USERS)
        totals = Totals()
        with contextlib.suppress(Exception):  # a failed calibration must not stop the test
            async with LocalWorkers(plan, 1) as team:
                await team.run(
                    LoadStep(shape=constant_shape(_USERS, _SECONDS), open=False, drain=1.0), totals
                )
    cpu = sum(sum(parts) for parts in totals.cpu.values())
    counted = sum(r.pace.get(s, 0) for r in totals.rows.values() for s in totals.cpu)
    return Calibration(cost=cpu / counted if counted > 200 and cpu > 0 else 0.0)


@contextlib.asynccontextmanager
async def _responder() -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "chapiteau.load.engine.null_responder",
        stdout=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None  # noqa: S101 — asked for above
        line: Any = await asyncio.wait_for(process.stdout.readline(), 10)
        yield int(line)
    finally:
        process.kill()
        await process.wait()
