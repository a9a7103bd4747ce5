"""Probes: when a process is ready, and whether it stays healthy."""

import asyncio
import contextlib
import os
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from chapiteau.run.config.spec import Check, Service
from chapiteau.run.logs.collector import LogCollector
from chapiteau.run.logs.messages import LogQuery, OutputStream
from chapiteau.run.process.process import Process
from chapiteau.run.system.port_owner import has_accepted

__all__ = ["STALLED", "ProbeContext", "effective_ready", "probe", "until_ready", "until_unhealthy"]

_MAX_PROBES: Final = 32  # at once
_STALL: Final = 1.0  # seconds: a timeout that comes so late says that we were stopped or starved
_CONNECTIONS: Final = 8
_ACCEPT_WINDOW: Final = 0.05  # seconds that they stay open
_ACCEPT_POLL: Final = 0.005
_DEFAULT_ALIVE: Final = 1.0  # seconds: long enough to see a program that dies at once
STALLED: Final = "nobody listened for the answer"
_slots: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeContext:
    """What a probe of one process needs to know."""

    addresses: Mapping[str, str] = field(default_factory=dict)  # socket name → host:port or path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    pid: int = 0  # of the process


async def probe(check: Check, context: ProbeContext) -> str:
    """ "" when the probe passes, else why it did not; STALLED when that was our own fault."""
    loop = asyncio.get_running_loop()
    kind = next(kind for kind in _PROBES if getattr(check, kind))
    async with _slots.setdefault(loop, asyncio.Semaphore(_MAX_PROBES)):
        asked = loop.time()
        try:
            async with asyncio.timeout(check.timeout):
                return await _PROBES[kind](getattr(check, kind), context)
        except TimeoutError:
            stalled = loop.time() - asked > check.timeout + _STALL
            return STALLED if stalled else f"no answer within {check.timeout:g} s"
        except OSError as exc:
            return exc.strerror or str(exc)


async def _tcp(target: str, _context: ProbeContext) -> str:
    host, _, port = target.rpartition(":")
    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.close()
    return ""


async def _accept(name: str, context: ProbeContext) -> str:
    """Whether it, or a process that it started, has accepted a connection to this socket.

    Other processes of the service accept ours as well, and some then wait for a request: so they
    are closed soon. Several at a time: an idle process gets one.
    """
    address, opened = context.addresses[name], []
    loop = asyncio.get_running_loop()
    try:
        for _ in range(_CONNECTIONS):
            if address.startswith("/"):
                opened.append((await asyncio.open_unix_connection(address))[1])
            else:
                host, _, port = address.rpartition(":")
                opened.append((await asyncio.open_connection(host.strip("[]"), int(port)))[1])
        end = loop.time() + _ACCEPT_WINDOW
        while loop.time() < end:
            if has_accepted(context.pid, address):
                return ""
            await asyncio.sleep(_ACCEPT_POLL)
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
        env={**context.env, "CHAPITEAU_KEY": f"probe-{os.getpid()}-"},  # see process_tree.py
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

_PROBES: Final[dict[str, Callable[[str, ProbeContext], Awaitable[str]]]] = {
    "http": _http,
    "tcp": _tcp,
    "accept": _accept,
    "exec": _exec,
}


def effective_ready(service: Service) -> Check:
    """The readiness check with its default: our own worker notifies, others stay alive."""
    if service.ready.kinds:
        return service.ready
    if service.app:
        return replace(service.ready, notify=True)
    return replace(service.ready, alive=_DEFAULT_ALIVE)


async def until_ready(process: Process, context: ProbeContext, output: LogCollector) -> None:
    """Wait until the process is ready: its check passes, or it says READY=1."""
    check = effective_ready(process.spec)
    if any(getattr(check, kind) for kind in _PROBES):
        await _until_passes(process, check, context)
    elif check.log:
        await _until_logged(process, check.log, output)
    elif check.alive:
        await process.until(lambda: process.ready, check.alive)
    else:
        await process.until(lambda: process.ready)
    process.mark_ready()


async def _until_passes(process: Process, check: Check, context: ProbeContext) -> None:
    pause = min(check.interval, 0.1)  # people wait at a start: probe often, then less
    shared = _shared_socket(process.spec, check)
    # Whoever shares the socket may answer for it: first it must be seen to accept itself.
    accepts = replace(check, http="", accept=shared) if shared else check
    growth = 1.0 if accepts.accept else 1.5  # among several only some attempts reach this process
    while not process.ready:
        why = await _probed(process, accepts, context)
        if not why and accepts is not check:
            accepts = check
            continue
        if not why:
            return
        process.report_status(f"not ready: {why}")
        await process.until(lambda: process.ready, pause)
        pause = min(check.interval, pause * growth)


def _shared_socket(service: Service, check: Check) -> str:
    """The held socket of its own on which an HTTP probe asks; "" where it asks elsewhere."""
    name = check.http.removeprefix("socket:").partition("/")[0]
    return name if check.http.startswith("socket:") and name in service.sockets else ""


async def _until_logged(process: Process, pattern: str, output: LogCollector) -> None:
    wanted = re.compile(pattern)
    rest: dict[OutputStream, bytes] = {}

    def deliver(stream: OutputStream, data: bytes) -> None:
        *lines, rest[stream] = (rest.get(stream, b"") + data)[-65536:].split(b"\n")
        if any(wanted.search(line.decode("utf-8", "replace")) for line in lines):
            process.mark_ready()

    output.follow(LogQuery(services=(process.service,), process=process.number), deliver)
    # A quick process has said it before anybody followed.
    for stream, data in output.output_of(process.key):
        deliver(stream, data)
    try:
        await process.until(lambda: process.ready)
    finally:
        output.unfollow(deliver)


async def _probed(process: Process, check: Check, context: ProbeContext) -> str:
    """A probe; its result is kept with the process."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    why = await probe(check, context)
    if why != STALLED:
        ms = round(1000 * (loop.time() - begun), 1)
        what = check.http or check.tcp or check.exec or f"accepts on {check.accept}"
        process.report_health({"what": what, "ok": not why, "why": why, "ms": ms})
    return why


async def until_unhealthy(process: Process, check: Check, context: ProbeContext) -> str:
    """Probe until `failures` in a row have failed; why.

    A gap in our own time (we were stopped, or starved) starts the count anew: that was our fault.
    """
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        before = loop.time()
        await asyncio.sleep(check.interval)
        stalled = loop.time() - before > 2 * check.interval + 1
        why = STALLED if stalled else await _probed(process, check, context)
        failures = failures + 1 if why and why != STALLED else 0
        if failures >= check.failures:
            return f"{failures} probes in a row failed: {why}"
