"""Does it scale? One capacity search for each size of a supervised service."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.core.errors import UsageError
from chapiteau.load.capacity.capacity_run import find_capacity
from chapiteau.load.capacity.capacity_verdict import add_scaling
from chapiteau.load.capacity.scaling_law import SizeResult, scaling_result
from chapiteau.load.execution.job import Job, RunObserver
from chapiteau.load.telemetry.supervisor_monitor import SupervisorMonitor

__all__ = ["measure_scaling"]

_INTERRUPTED: Final = 128  # exit codes above are a signal's


async def measure_scaling(
    job: Job,
    clock: Clock,
    watch: RunObserver,
    say: Callable[[str], None],
    supervised: SupervisorMonitor | None,
) -> dict[str, Any]:
    """A search at each size of `vary`; the last one's document with the part `scaling`.

    The service gets its old size back, whatever happens, Ctrl-C included.
    """
    if supervised is None:
        raise UsageError(
            "--vary needs a supervisor that runs the service, and none answers here",
            hint="start it with `chapiteau up -d` in the project's folder, or pass --config",
        )
    service, _, numbers = job.test.vary.replace(" ", "").partition("=")
    sizes = sorted({int(number) for number in numbers.split(",")})
    before = await asyncio.to_thread(supervised.processes, service)
    documents: list[dict[str, Any]] = []
    watch = replace(watch, leaving=lambda: supervised.scale(service, before, wait=False))
    try:
        for size in sizes:
            await asyncio.to_thread(supervised.scale, service, size)
            say(f"── {service}: {size} process{'' if size == 1 else 'es'}")
            documents.append(await find_capacity(job, clock, watch, say, supervised))
            if documents[-1]["verdict"]["exit_code"] > _INTERRUPTED:
                break  # whoever pressed Ctrl-C means the whole of it
    finally:
        await asyncio.to_thread(supervised.scale, service, before)
        say(f"── {service}: back at {before} process{'' if before == 1 else 'es'}")
    found = [_size(size, made) for size, made in zip(sizes, documents, strict=False)]
    part = scaling_result(found, random.Random("scaling"))  # noqa: S311 — repeatable
    return add_scaling(documents, service, part)


def _size(size: int, made: dict[str, Any]) -> SizeResult:
    capacity = made["capacity"]
    edges = capacity["interval"]
    return SizeResult(
        size=size,
        capacity=capacity["held"],
        word=made["verdict"]["word"],
        interval=(edges[0], edges[1]) if edges else None,
    )
