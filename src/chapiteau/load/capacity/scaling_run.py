"""Does it scale? One capacity search for each size of a supervised service."""

import asyncio
import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from chapiteau.core.clock import Clock
from chapiteau.core.errors import UsageError
from chapiteau.load.capacity.capacity_run import find_capacity
from chapiteau.load.capacity.scaling_law import SizeResult, scaling_section
from chapiteau.load.execution.job import Job, RunObserver
from chapiteau.load.report.result import LoadResult, ScalingSection
from chapiteau.load.telemetry.supervisor_monitor import SupervisorMonitor

__all__ = ["add_scaling", "measure_scaling"]

_INTERRUPTED: Final = 128  # exit codes above are a signal's


async def measure_scaling(
    job: Job,
    clock: Clock,
    watch: RunObserver,
    say: Callable[[str], None],
    supervised: SupervisorMonitor | None,
) -> LoadResult:
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
    results: list[LoadResult] = []
    watch = dataclasses.replace(
        watch, leaving=lambda: supervised.scale(service, before, wait=False)
    )
    try:
        for size in sizes:
            await asyncio.to_thread(supervised.scale, service, size)
            say(f"── {service}: {size} process{'' if size == 1 else 'es'}")
            results.append(await find_capacity(job, clock, watch, say, supervised))
            if results[-1].verdict.exit_code > _INTERRUPTED:
                break  # whoever pressed Ctrl-C means the whole of it
    finally:
        await asyncio.to_thread(supervised.scale, service, before)
        say(f"── {service}: back at {before} process{'' if before == 1 else 'es'}")
    found = [_size(size, result) for size, result in zip(sizes, results, strict=False)]
    section = scaling_section(found, random.Random("scaling"))  # noqa: S311 — repeatable
    return add_scaling(results, replace(section, service=service))


def _size(size: int, result: LoadResult) -> SizeResult:
    found = result.capacity
    return SizeResult(
        size=size,
        capacity=found.held if found else 0.0,
        word=result.verdict.word,
        interval=found.interval if found else None,
    )


def add_scaling(results: Sequence[LoadResult], section: ScalingSection) -> LoadResult:
    """The last size's result with the answer to "does it scale?" in front.

    A size at which nothing was found leaves that open: the verdict is then that size's.
    """
    verdict = results[-1].verdict
    verdict = replace(verdict, line=f"with {section.sizes[-1].size}: {verdict.line}")
    for one, row in zip(results, section.sizes, strict=True):
        if verdict.exit_code == 0 and one.verdict.exit_code in {2, 3}:
            line = f"with {row.size}: {one.verdict.line}"
            verdict = replace(one.verdict, line=line, findings=verdict.findings)
    verdict = replace(verdict, line=f"{section.service}: {section.line}; {verdict.line}")
    return replace(results[-1], verdict=verdict, scaling=section)
