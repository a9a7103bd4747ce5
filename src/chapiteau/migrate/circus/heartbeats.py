"""Which processes have been silent for too long."""

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from chapiteau.run.api.status import ProcessStatus
from chapiteau.run.config.plugin_settings import HeartbeatOptions, matches_any
from chapiteau.run.events import Event
from chapiteau.run.plugins.plugin import Plugin

__all__ = ["HeartbeatWatchdog", "Heartbeats"]


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
