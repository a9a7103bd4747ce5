"""Plugins for what Circus's ResourceWatcher, HttpObserver and WatchDog do."""

import asyncio
import contextlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.core.units import format_duration, format_size
from chapiteau.run.api.status import ProcessStatus
from chapiteau.run.config.plugin_settings import (
    HeartbeatOptions,
    ResourceOptions,
    UrlObserverOptions,
    matches_any,
)
from chapiteau.run.errors import NotRunningError
from chapiteau.run.events import Event
from chapiteau.run.plugins.plugin import Plugin

__all__ = [
    "HeartbeatWatchdog",
    "Heartbeats",
    "ProcessUsage",
    "ResourceWatcher",
    "ThresholdTracker",
    "UrlObserver",
]


class Heartbeats:
    """Counts, per process, the intervals in a row in which it said nothing."""

    def __init__(self, rule: HeartbeatOptions) -> None:
        self._rule = rule
        self._message = re.compile(rule.message)
        self._heard: set[int] = set()
        self._missed: dict[int, int] = {}

    def pid_of(self, datagram: bytes) -> int:
        """Whom a datagram speaks for; 0 when it makes no sense."""
        match = self._message.search(datagram.decode("utf-8", "replace").strip())
        try:
            return int(match["pid"]) if match else 0
        except ValueError:
            return 0

    def heard(self, pid: int) -> None:
        """It is alive."""
        self._heard.add(pid)

    def interval_over(self, pids: Iterable[int]) -> list[int]:
        """Those of the watched processes that must end now; each is said once."""
        missed = {
            # The interval in which a process was started was not a whole one: -1 to begin with.
            pid: 0 if pid in self._heard else self._missed.get(pid, -1) + 1
            for pid in pids
        }
        self._heard.clear()
        late = [pid for pid, count in missed.items() if count == self._rule.missed]
        self._missed = missed
        return late


# The watchdog: processes say by UDP that they are well; one that has gone silent is replaced.


class HeartbeatWatchdog(Plugin):
    """Ends the one silent process; the supervisor's restart policy starts its successor."""

    Options = HeartbeatOptions
    options: HeartbeatOptions

    async def started(self) -> None:
        """Listen."""
        rule = self.options
        self._beats = Heartbeats(rule)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Ear(self._beats), local_addr=(rule.host, rule.port)
        )
        self._waiting: dict[int, asyncio.Event] = {}  # pids that were asked to end
        self.every(rule.interval, self._look)

    async def stopped(self) -> None:
        """Listen no more."""
        self._transport.close()

    async def on_event(self, event: Event) -> None:
        """One that was asked to end has ended."""
        if event.kind == "process.exited" and event.pid in self._waiting:
            self._waiting[event.pid].set()

    async def _look(self) -> None:
        watched = {
            process.pid: (service.name, process)
            for service in (await self.status()).services
            if matches_any(service.name, self.options.services)
            for process in service.processes
            if process.pid and process.state in ("running", "starting")
        }
        for pid in self._beats.interval_over(watched):
            self.around.start(self._end(*watched[pid]))

    async def _end(self, service: str, process: ProcessStatus) -> None:
        rule = self.options
        silent = rule.missed * rule.interval
        text = f"{service} {process.number} (pid {process.pid}) was silent for {silent:g} s"
        await self.say(text, service=service)
        signal = rule.signal or await self._stop_signal(service)
        await self.command("signal", service, signal=signal, process=process.number)
        if not await self._ends(process.pid):
            await self.command("signal", service, signal="KILL", process=process.number)

    async def _ends(self, pid: int) -> bool:
        """Whether it ends within the grace time."""
        gone = self._waiting.setdefault(pid, asyncio.Event())
        try:
            async with asyncio.timeout(self.options.grace):
                return await gone.wait()
        except TimeoutError:
            return False
        finally:
            del self._waiting[pid]

    async def _stop_signal(self, service: str) -> str:
        services: dict[str, Any] = (await self.client.config()).get("service", {})
        return str(services.get(service, {}).get("stop_signal", "TERM"))


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, beats: Heartbeats) -> None:
        self._beats = beats

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """A heartbeat, or nonsense."""
        if pid := self._beats.pid_of(data[:1024]):
            self._beats.heard(pid)


# The URL observer: asks an address again and again, and acts when it does not answer well.

_PATIENCE: Final = 60.0  # seconds for a restart or reload; it goes on when that is not enough
_LOOKED_AT: Final = 64 << 10  # bytes of the answer in which `contains` is looked for


class UrlObserver(Plugin):
    """Counts failures in a row; acts at every `failures` of them; tells when it is well again."""

    Options = UrlObserverOptions
    options: UrlObserverOptions

    async def started(self) -> None:
        """Begin to ask."""
        self._failed = 0
        self.every(self.options.interval, self._ask)

    async def _ask(self) -> None:
        why = await self._why_not()
        rule, before = self.options, self._failed
        self._failed = before + 1 if why else 0
        if not why and before >= rule.failures:
            await self.say(f"{rule.url} answers again", service=rule.service, resolved=True)
        elif why and self._failed % rule.failures == 0:
            await self._act(f"{rule.url}: {why} ({self._failed} times in a row)")

    async def _act(self, why: str) -> None:
        rule = self.options
        said = why if rule.action == "alert" else f"{why}: {rule.action} of {rule.service}"
        await self.say(said, service=rule.service, action=rule.action)
        if rule.action == "alert":
            return
        # No question meanwhile: that nobody answers during a restart is no reason for another.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self.command(rule.action, rule.service)

    async def _why_not(self) -> str:
        """ "" when the address answers as it should."""
        try:
            async with asyncio.timeout(self.options.timeout):
                return await asyncio.to_thread(self._get)
        except TimeoutError:
            return f"no answer within {self.options.timeout:g} s"

    def _get(self) -> str:
        rule = self.options
        request = urllib.request.Request(rule.url, headers={"User-Agent": "chapiteau-observer"})  # noqa: S310 — http(s) by rule
        try:
            with urllib.request.urlopen(request, timeout=rule.timeout) as reply:  # noqa: S310
                status, body = reply.status, reply.read(_LOOKED_AT) if rule.contains else b""
        except urllib.error.HTTPError as exc:
            with exc:
                status, body = exc.code, exc.read(_LOOKED_AT) if rule.contains else b""
        except (OSError, http.client.HTTPException) as exc:
            return str(getattr(exc, "reason", "")) or str(exc) or type(exc).__name__
        if status not in rule.status if rule.status else not 200 <= status < 400:
            return f"answered {status}"
        if rule.contains and rule.contains not in body.decode("utf-8", "replace"):
            return f"the answer lacks {rule.contains!r}"
        return ""


# The resource watcher: acts when a process stays beyond a bound of CPU or memory.

# When a figure has stayed beyond a bound for long enough.


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessUsage:
    """What one process uses now."""

    service: str
    process: int
    pid: int
    cpu: float  # percent of one core
    rss: int  # bytes


class ThresholdTracker:
    """Remembers since when each process is beyond each bound."""

    def __init__(self, rule: ResourceOptions) -> None:
        self._rule = rule
        self._since: dict[tuple[int, str], float] = {}
        self._acted: dict[str, float] = {}

    def look(self, figures: Iterable[ProcessUsage], now: float) -> list[tuple[str, str]]:
        """Services to act on, each with the reason; at most once within `pause`."""
        rule, found = self._rule, {}
        seen: set[tuple[int, str]] = set()
        for one in figures:
            for bound, beyond, text in _bounds(rule, one):
                key = (one.pid, bound)
                if not beyond:
                    continue
                seen.add(key)
                since = self._since.setdefault(key, now)
                quiet = now - self._acted.get(one.service, -rule.pause) >= rule.pause
                if now - since >= rule.window and quiet:
                    shown = format_duration(rule.window)
                    found[one.service] = f"{one.service} {one.process} {text} for {shown}"
        self._since = {key: since for key, since in self._since.items() if key in seen}
        for service in found:
            self._acted[service] = now
        return list(found.items())


def _bounds(rule: ResourceOptions, one: ProcessUsage) -> list[tuple[str, bool, str]]:
    cpu, rss = f"uses {one.cpu:.0f} % CPU", f"uses {format_size(one.rss)}"
    return [
        ("max_cpu", bool(rule.max_cpu) and one.cpu > rule.max_cpu, f"{cpu} (> {rule.max_cpu:g})"),
        ("min_cpu", one.cpu < rule.min_cpu, f"{cpu} (< {rule.min_cpu:g})"),
        (
            "max_memory",
            bool(rule.max_memory) and one.rss > rule.max_memory,
            f"{rss} (> {format_size(rule.max_memory)})",
        ),
        ("min_memory", one.rss < rule.min_memory, f"{rss} (< {format_size(rule.min_memory)})"),
    ]


class ResourceWatcher(Plugin):
    """Reads the supervisor's figures once a second."""

    Options = ResourceOptions
    options: ResourceOptions

    async def started(self) -> None:
        """Begin to look."""
        self._levels = ThresholdTracker(self.options)
        self.every(0.1, self._follow)

    async def _follow(self) -> None:
        """As long as one brain lives; the next one is asked anew."""
        with contextlib.suppress(NotRunningError):
            async for sample in self.client.stats():
                figures = [
                    ProcessUsage(service=name, process=int(number), pid=pid, cpu=cpu, rss=rss)
                    for (name, _, number), pid, cpu, rss in zip(
                        (key.rpartition("/") for key in sample["ids"]),
                        sample["pid"],
                        sample["cpu"],
                        sample["rss"],
                        strict=True,
                    )
                    if matches_any(name, self.options.services) and name != self.name
                ]
                for service, why in self._levels.look(figures, self.clock.now()):
                    await self._act(service, why)

    async def _act(self, service: str, why: str) -> None:
        action = self.options.action
        said = why if action == "alert" else f"{why}: {action}"
        await self.say(said, service=service, action=action)
        if action != "alert":
            await self.command(action, service, wait=False)
