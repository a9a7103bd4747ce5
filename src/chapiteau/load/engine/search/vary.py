"""Does it scale? One capacity search for each size of a supervised service."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from chapiteau.core.clock import Clock
from chapiteau.core.errors import UsageError
from chapiteau.load.engine.conduct import Job, Watch
from chapiteau.load.engine.search.seek import seek
from chapiteau.load.engine.telling.supervised import Supervised
from chapiteau.load.logic.capacity.scaling import scaling_part

__all__ = ["vary"]


async def vary(
    job: Job,
    clock: Clock,
    watch: Watch,
    say: Callable[[str], None],
    supervised: Supervised | None,
) -> dict[str, Any]:
    """A search at each size of `vary`; the largest one's document with the part `scaling`.

    The service gets its old size back, whatever happens.
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
    try:
        for size in sizes:
            await asyncio.to_thread(supervised.scale, service, size)
            say(f"── {service}: {size} process{'' if size == 1 else 'es'}")
            documents.append(await seek(job, clock, watch, say, supervised))
    finally:
        await asyncio.to_thread(supervised.scale, service, before)
    points = [(n, d["capacity"]["held"]) for n, d in zip(sizes, documents, strict=True)]
    part = scaling_part(points, random.Random("scaling"))  # noqa: S311 — repeatable
    last = documents[-1]
    last["scaling"] = {"service": service, **part}
    last["capacity"]["notes"].insert(0, f"{service}: {part['line']}")
    last["capacity"]["notes"][1:1] = [
        f"{row['size']}: {row['capacity']:.4g}/s, {row['efficiency']:.0%}" for row in part["sizes"]
    ]
    return last
