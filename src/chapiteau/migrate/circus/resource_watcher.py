"""The resource watcher: acts when a process stays beyond a bound of CPU or memory."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from chapiteau.core.units import format_duration, format_size
from chapiteau.run.config.plugin_settings import ResourceOptions, matches_any
from chapiteau.run.errors import NotRunningError
from chapiteau.run.plugins.plugin import Plugin

__all__ = ["ProcessUsage", "ResourceWatcher", "ThresholdTracker"]


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
