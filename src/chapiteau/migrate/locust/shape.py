"""LoadTestShape: users over time in code; asked for each second before anything runs."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from chapiteau.core.units import format_duration, parse_duration

__all__ = ["LoadTestShape", "shape_of_ticks"]


class LoadTestShape:
    """Subclasses answer `tick()` with (users, spawn rate) or None at the end."""

    abstract = True
    use_common_options = False
    runner: Any = None

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "abstract" not in cls.__dict__:
            cls.abstract = False

    def __init__(self) -> None:
        self._seconds = 0.0
        self._users = 0

    def at(self, seconds: float) -> Any:
        """The answer for this moment of the run."""
        self.__dict__["_seconds"] = seconds
        self.__dict__.setdefault("_users", 0)
        answer = self.tick()
        if answer:
            self._users = int(answer[0])
        return answer

    def reset_time(self) -> None:
        """Nothing: time is told to the shape."""

    def get_run_time(self) -> float:
        return float(self.__dict__.get("_seconds", 0.0))

    def get_current_user_count(self) -> int:
        return int(self.__dict__.get("_users", 0))

    def tick(self) -> Any:
        """(users, spawn rate), or None when the run is over."""
        return None


_LONGEST: Final = 24 * 3600  # seconds; a shape without an end is cut here


def shape_of_ticks(tick: Callable[[float], Any], longest: int = _LONGEST) -> str:
    """Users over time as `10->50 8s, 50 1m`; "" when the shape ends at once.

    `tick(seconds)` gives (users, spawn rate, …) or None at the end. Users come and go at the
    spawn rate, as Locust would have it. Raises ValueError for an answer that is neither.
    """
    levels = [0.0]
    for second in range(longest):
        wanted = tick(float(second))
        if wanted is None or _is_end(wanted):
            break
        users, rate = _pair(wanted)
        now = levels[-1]
        step = rate or math.inf  # no rate at all: at once
        levels.append(min(users, now + step) if users > now else max(users, now - step))
    return ", ".join(_stages(levels))


def _is_end(wanted: Any) -> bool:
    """Whether it ends as shapes did before locust 1.0: (0, 0, True)."""
    return isinstance(wanted, Sequence) and len(wanted) > 2 and wanted[2] is True


def _pair(wanted: Any) -> tuple[float, float]:
    if not isinstance(wanted, Sequence) or isinstance(wanted, str) or len(wanted) < 2:
        raise ValueError(f"tick() must give (users, spawn rate) or None, not {wanted!r}")
    users, rate = float(wanted[0]), float(wanted[1])
    if not (math.isfinite(users) and users >= 0 and rate >= 0):
        raise ValueError(f"tick() gave {wanted!r}: users from 0 up, and a spawn rate from 0 up")
    return users, rate


def _stages(levels: list[float]) -> list[str]:
    """Neighbouring seconds with the same slope are one stage."""
    found: list[tuple[float, float, int]] = []  # first, last, seconds
    for before, after in itertools.pairwise(levels):
        if found and math.isclose(after - before, (found[-1][1] - found[-1][0]) / found[-1][2]):
            found[-1] = (found[-1][0], after, found[-1][2] + 1)
        else:
            found.append((before, after, 1))
    return [_text(first, last, seconds) for first, last, seconds in found]


def _text(first: float, last: float, seconds: int) -> str:
    time = format_duration(float(seconds)).replace(" ", "")
    if parse_duration(time) != seconds:
        time = f"{seconds}s"  # what is shown to people is rounded
    if first == last:
        return f"{first:g} {time}"
    return f"{first:g}->{last:g} {time}"
