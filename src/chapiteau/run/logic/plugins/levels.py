"""When a figure has stayed beyond a bound for long enough."""

from collections.abc import Iterable
from dataclasses import dataclass

from chapiteau.core.units import format_duration, format_size
from chapiteau.run.logic.plugins.settings import Resources

__all__ = ["Figures", "Levels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one process uses now."""

    service: str
    process: int
    pid: int
    cpu: float  # percent of one core
    rss: int  # bytes


class Levels:
    """Remembers since when each process is beyond each bound."""

    def __init__(self, rule: Resources) -> None:
        self._rule = rule
        self._since: dict[tuple[int, str], float] = {}
        self._acted: dict[str, float] = {}

    def look(self, figures: Iterable[Figures], now: float) -> list[tuple[str, str]]:
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


def _bounds(rule: Resources, one: Figures) -> list[tuple[str, bool, str]]:
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
