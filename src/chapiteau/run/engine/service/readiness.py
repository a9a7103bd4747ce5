"""Finds out when a process is ready, and later whether it is still well."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace

from chapiteau.run.engine.instance import Instance
from chapiteau.run.engine.output.pipes import Output, Stream
from chapiteau.run.engine.port import LogQuery
from chapiteau.run.engine.service.probes import AWAY, ProbeContext, probe
from chapiteau.run.logic.spec import Check, Service

__all__ = ["effective_ready", "watch_liveness", "watch_readiness"]

_DEFAULT_ALIVE = 1.0  # seconds: long enough to see a program that dies at once


def effective_ready(service: Service) -> Check:
    """The readiness rule with its default: our own worker notifies, others stay alive."""
    check = service.ready
    if check.notify or check.http or check.tcp or check.exec or check.log:
        return check
    if check.accept or check.alive:
        return check
    if service.app:
        return replace(check, notify=True)
    return replace(check, alive=_DEFAULT_ALIVE)


def watch_readiness(
    instance: Instance,
    check: Check,
    context: ProbeContext,
    output: Output,
    ready: Callable[[Instance], None],
) -> None:
    """Call `ready` when the process is; sd_notify's READY=1 comes another way."""
    if check.http or check.tcp or check.exec or check.accept:
        task = asyncio.ensure_future(_until_passes(instance, check, context, ready))
        instance.task(task)
    elif check.log:
        _watch_log(instance, check.log, output, ready)
    elif check.alive:
        instance.after(check.alive, lambda: ready(instance))


async def _until_passes(
    instance: Instance, check: Check, context: ProbeContext, ready: Callable[[Instance], None]
) -> None:
    pause = min(check.interval, 0.1)  # starting is when people wait: look often, then calm down
    growth = 1.0 if check.accept else 1.5  # who is beside neighbours gets one only now and then
    while instance.alive:
        if not (why := await _probed(instance, check, context)):
            ready(instance)
            return
        instance.status_text = f"not ready: {why}"
        await asyncio.sleep(pause)
        pause = min(check.interval, pause * growth)


async def _probed(instance: Instance, check: Check, context: ProbeContext) -> str:
    """A probe, and its outcome kept with the process for whoever looks at it."""
    begun = asyncio.get_running_loop().time()
    why = await probe(check, context)
    if why != AWAY:
        took = asyncio.get_running_loop().time() - begun
        what = check.http or check.tcp or check.exec or f"accepts on {check.accept}"
        instance.health = {"what": what, "ok": not why, "why": why, "ms": round(1000 * took, 1)}
    return why


def _watch_log(
    instance: Instance, pattern: str, output: Output, ready: Callable[[Instance], None]
) -> None:
    wanted = re.compile(pattern)
    rest: dict[Stream, bytes] = {}

    def deliver(stream: Stream, data: bytes) -> None:
        *lines, rest[stream] = (rest.get(stream, b"") + data)[-65536:].split(b"\n")
        if any(wanted.search(line.decode("utf-8", "replace")) for line in lines):
            output.unfollow(deliver)
            ready(instance)

    query = LogQuery(services=(instance.service,), process=instance.number)
    output.follow(query, deliver)
    instance.on_end.append(lambda: output.unfollow(deliver))


async def watch_liveness(
    instance: Instance,
    check: Check,
    context: ProbeContext,
    unhealthy: Callable[[Instance, str], None],
) -> None:
    """Probe for ever; after `failures` in a row call `unhealthy` once.

    A gap in our own time (we were stopped, or starved) starts the count anew: the fault was ours.
    """
    loop = asyncio.get_running_loop()
    failures = 0
    while instance.alive:
        before = loop.time()
        await asyncio.sleep(check.interval)
        if loop.time() - before > 2 * check.interval + 1:
            failures = 0
            continue
        why = await _probed(instance, check, context)
        if why == AWAY:
            failures = 0
            continue
        failures = failures + 1 if why else 0
        if failures >= check.failures:
            unhealthy(instance, f"{failures} probes in a row failed: {why}")
            return
