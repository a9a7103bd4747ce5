"""Probes: HTTP, TCP and commands, each with its time limit; never more than a few at once."""

import asyncio
import contextlib
import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from chapiteau.run.config.spec import Check, Service
from chapiteau.run.logs.collector import LogCollector
from chapiteau.run.logs.messages import LogQuery, OutputStream
from chapiteau.run.process.process import Process
from chapiteau.run.system.port_owner import has_accepted

__all__ = [
    "STALLED",
    "ProbeContext",
    "effective_ready",
    "probe",
    "watch_liveness",
    "watch_readiness",
]

_AT_ONCE: Final = 32
_LATE: Final = 1.0  # seconds: a limit that rings so late says that we were halted or starved
_AT_THE_DOOR: Final = 8  # connections
_AT_ONE_GLANCE: Final = 0.05  # seconds that they stay open
_GLANCE: Final = 0.005
STALLED: Final = "nobody listened for the answer"
_gate: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeContext:
    """What a probe of one process needs to know."""

    addresses: Mapping[str, str] = field(default_factory=dict)  # socket name → host:port or path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    pid: int = 0  # of the process


async def probe(check: Check, context: ProbeContext) -> str:
    """ "" when the probe passes, else why it did not; AWAY when that was our own fault."""
    loop = asyncio.get_running_loop()
    gate = _gate.setdefault(loop, asyncio.Semaphore(_AT_ONCE))
    async with gate:
        asked = loop.time()
        try:
            async with asyncio.timeout(check.timeout):
                return await _one(check, context)
        except TimeoutError:
            away = loop.time() - asked > check.timeout + _LATE
            return STALLED if away else f"no answer within {check.timeout:g} s"
        except OSError as exc:
            return exc.strerror or str(exc)


async def _one(check: Check, context: ProbeContext) -> str:
    if check.http:
        return await _http(check.http, context)
    if check.tcp:
        return await _tcp(check.tcp)
    if check.accept:
        return await _accept(check.accept, context)
    return await _exec(check.exec, context)


async def _tcp(target: str) -> str:
    host, _, port = target.rpartition(":")
    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.close()
    return ""


async def _accept(name: str, context: ProbeContext) -> str:
    """Whether it, or a process that it started, has a connection to this socket.

    Neighbours accept ours as well, and some then wait for a request: so they are let go soon.
    Several at a time: who has nothing to do gets one.
    """
    address, opened = context.addresses[name], []
    loop = asyncio.get_running_loop()
    try:
        for _ in range(_AT_THE_DOOR):
            if address.startswith("/"):
                opened.append((await asyncio.open_unix_connection(address))[1])
            else:
                host, _, port = address.rpartition(":")
                opened.append((await asyncio.open_connection(host.strip("[]"), int(port)))[1])
        end = loop.time() + _AT_ONE_GLANCE
        while loop.time() < end:
            if has_accepted(context.pid, address):
                return ""
            await asyncio.sleep(_GLANCE)
        return f"it has accepted no connection to {name} yet"
    finally:
        for writer in opened:
            writer.close()


async def _http(url: str, context: ProbeContext) -> str:
    reader, writer, host, path = await _open(url, context)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        writer.write(f"{request}User-Agent: chapiteau-probe\r\n\r\n".encode())
        line = await reader.readline()
        words = line.split(None, 2)
        if len(words) < 2 or not words[1].isdigit():
            return "the answer is not HTTP"
        status = int(words[1])
        return "" if 200 <= status < 400 else f"GET {path} answered {status}"
    finally:
        writer.close()


async def _open(
    url: str, context: ProbeContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str, str]:
    """`socket:NAME/path` goes to a held socket, anything else is an URL."""
    if url.startswith("socket:"):
        name, slash, path = url.removeprefix("socket:").partition("/")
        address = context.addresses[name]
        if address.startswith("/"):
            return (*await asyncio.open_unix_connection(address), "localhost", slash + path)
        url = f"http://{address}{slash}{path}"
    parts = urlsplit(url)
    host, secure = parts.hostname or "127.0.0.1", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    where = await asyncio.open_connection(host, port, ssl=secure or None)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return (*where, parts.netloc, target)


async def _exec(command: str, context: ProbeContext) -> str:
    child = await asyncio.create_subprocess_exec(
        *shlex.split(command),
        cwd=context.cwd,
        env={**context.env, "CHAPITEAU_KEY": f"probe-{os.getpid()}-"},  # strays.py knows it by that
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, said = await child.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, 9)
        await child.wait()
        raise
    last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or [""]
    return "" if child.returncode == 0 else f"ended with {child.returncode} {last[0]}".strip()


# Finds out when a process is ready, and later whether it is still well.

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
    instance: Process,
    check: Check,
    context: ProbeContext,
    output: LogCollector,
    ready: Callable[[Process], None],
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
    instance: Process, check: Check, context: ProbeContext, ready: Callable[[Process], None]
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


async def _probed(instance: Process, check: Check, context: ProbeContext) -> str:
    """A probe, and its outcome kept with the process for whoever looks at it."""
    begun = asyncio.get_running_loop().time()
    why = await probe(check, context)
    if why != STALLED:
        took = asyncio.get_running_loop().time() - begun
        what = check.http or check.tcp or check.exec or f"accepts on {check.accept}"
        instance.health = {"what": what, "ok": not why, "why": why, "ms": round(1000 * took, 1)}
    return why


def _watch_log(
    instance: Process, pattern: str, output: LogCollector, ready: Callable[[Process], None]
) -> None:
    wanted = re.compile(pattern)
    rest: dict[OutputStream, bytes] = {}

    def deliver(stream: OutputStream, data: bytes) -> None:
        *lines, rest[stream] = (rest.get(stream, b"") + data)[-65536:].split(b"\n")
        if any(wanted.search(line.decode("utf-8", "replace")) for line in lines):
            output.unfollow(deliver)
            ready(instance)

    query = LogQuery(services=(instance.service,), process=instance.number)
    output.follow(query, deliver)
    instance.on_end.append(lambda: output.unfollow(deliver))


async def watch_liveness(
    instance: Process,
    check: Check,
    context: ProbeContext,
    unhealthy: Callable[[Process, str], None],
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
        if why == STALLED:
            failures = 0
            continue
        failures = failures + 1 if why else 0
        if failures >= check.failures:
            unhealthy(instance, f"{failures} probes in a row failed: {why}")
            return
