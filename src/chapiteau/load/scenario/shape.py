"""Load over time as data: stages with a rate (or a number of users) that one can add up and draw.

"200/s 30s"                          constant
"50/s->500/s 1m"                     a ramp
"100/s 10s, 1000/s 5s, 100/s 30s"    a spike
"50/s~150/s every 20s 2m"            a sine wave between the two
"""

import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from chapiteau.core.errors import UsageError
from chapiteau.core.units import format_duration, parse_duration, parse_rate
from chapiteau.load.errors import ScenarioError

__all__ = ["Shape", "Stage", "constant_shape", "parse_shape", "shape_of_rates"]

_STAGE: Final = re.compile(
    r"(?P<low>[\d./a-z]+?)(?:\s*(?P<how>->|~)\s*(?P<high>[\d./a-z]+?))?"
    r"(?:\s+every\s+(?P<period>\S+))?\s+(?P<seconds>\S+)"
)


@dataclass(frozen=True, slots=True)
class Stage:
    """From one level to another in a time; with a `period`, waves between the two instead, which
    begin `into` seconds after a trough."""

    first: float
    last: float
    seconds: float
    period: float = 0.0
    into: float = 0.0

    def level(self, at: float) -> float:
        """Rate or users after this many seconds."""
        if self.period:
            middle, swing = (self.first + self.last) / 2, (self.last - self.first) / 2
            return middle - swing * math.cos(2 * math.pi * (self.into + at) / self.period)
        if not self.seconds:
            return self.last
        return self.first + (self.last - self.first) * at / self.seconds

    def area(self, at: float) -> float:
        """Arrivals within the first `at` seconds: the integral of `level`."""
        if self.period:
            middle, swing = (self.first + self.last) / 2, (self.last - self.first) / 2
            turn = 2 * math.pi / self.period
            waves = math.sin(turn * (self.into + at)) - math.sin(turn * self.into)
            return middle * at - swing * waves / turn
        return self.first * at + (self.last - self.first) * at * at / (2 * (self.seconds or 1.0))

    def when(self, count: float) -> float:
        """The moment at which `count` arrivals have come; the inverse of `area`."""
        if self.period:
            return self._search(count)
        slope = (self.last - self.first) / (self.seconds or 1.0)
        if abs(slope) < 1e-12:
            return count / self.first if self.first else math.inf
        # The root that stays exact when the slope is small or the first level 0.
        inside = max(0.0, self.first * self.first + 2 * slope * count)
        return 2 * count / (self.first + math.sqrt(inside)) if count else 0.0

    def _search(self, count: float) -> float:
        low, high = 0.0, self.seconds
        for _ in range(60):
            middle = (low + high) / 2
            if self.area(middle) < count:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    def scaled(self, share: float) -> "Stage":
        """The same with this share of the load."""
        return Stage(self.first * share, self.last * share, self.seconds, self.period, self.into)

    def raised(self, by: float) -> "Stage":
        """The same, higher by so much all the time."""
        return Stage(self.first + by, self.last + by, self.seconds, self.period, self.into)

    def cut(self, at: float) -> tuple["Stage", "Stage"]:
        """What comes before this moment of it, and what comes after."""
        rest = self.seconds - at
        if self.period:
            before = Stage(self.first, self.last, at, self.period, self.into)
            return before, Stage(self.first, self.last, rest, self.period, self.into + at)
        middle = self.level(at)
        return Stage(self.first, middle, at), Stage(middle, self.last, rest)


@dataclass(frozen=True, slots=True)
class Shape:
    """Stages one after the other."""

    stages: tuple[Stage, ...]

    @property
    def seconds(self) -> float:
        """How long all of it takes."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def total(self) -> float:
        """Arrivals in all (of rates), or user-seconds."""
        return sum(stage.area(stage.seconds) for stage in self.stages)

    @property
    def peak(self) -> float:
        """The highest level."""
        return max(max(stage.first, stage.last) for stage in self.stages)

    def level(self, at: float) -> float:
        """Rate or users after this many seconds; 0 after the end."""
        for stage in self.stages:
            if at < stage.seconds:
                return stage.level(at)
            at -= stage.seconds
        return 0.0

    def when(self, count: float) -> float | None:
        """Seconds until `count` arrivals have come; None when there are not that many."""
        start = 0.0
        for stage in self.stages:
            inside = stage.area(stage.seconds)
            if count < inside:
                return start + min(stage.seconds, stage.when(count))
            count -= inside
            start += stage.seconds
        return None

    def scaled(self, share: float) -> "Shape":
        """The same with this share of the load."""
        return Shape(tuple(stage.scaled(share) for stage in self.stages))

    def raised(self, at: float, by: float) -> "Shape":
        """The same until `at` seconds, and from then on higher by so much, to the end."""
        return Shape(tuple(self._raised(at, by)))

    def _raised(self, at: float, by: float) -> Iterator[Stage]:
        for stage in self.stages:
            if at <= 0:
                yield stage.raised(by)
            elif at >= stage.seconds:
                yield stage
            else:
                before, after = stage.cut(at)
                yield before
                yield after.raised(by)
            at -= stage.seconds

    def peak_after(self, at: float) -> float:
        """The highest level from `at` seconds on; 0 after the end."""
        highest = 0.0
        for stage in self.stages:
            if at < stage.seconds:
                rest = stage.cut(at)[1] if at > 0 else stage
                highest = max(highest, rest.first, rest.last)
            at -= stage.seconds
        return highest

    def outline(self, unit: str = "/s") -> list[str]:
        """A line for each stage."""
        return [_line(stage, unit) for stage in self.stages]


def _line(stage: Stage, unit: str) -> str:
    span = format_duration(stage.seconds)
    if stage.period:
        period = format_duration(stage.period)
        return f"waves of {stage.first:g} to {stage.last:g}{unit}, {period} each, for {span}"
    if stage.first == stage.last:
        return f"{stage.first:g}{unit} for {span}"
    return f"{stage.first:g}{unit} to {stage.last:g}{unit} in {span}"


def constant_shape(level: float, seconds: float) -> Shape:
    """The same level all the time."""
    return Shape((Stage(level, level, seconds),))


def parse_shape(text: str, *, rates: bool) -> Shape:
    """Stages from text; levels are rates ("50/s") or numbers of users. Raises UsageError."""
    stages = []
    for part in text.split(","):
        match = _STAGE.fullmatch(part.strip())
        try:
            if match is None:
                raise ValueError("not a stage")
            stages.append(_stage(match, rates=rates))
        except ValueError as exc:
            example = "50/s->200/s 30s, 200/s 1m" if rates else "10->50 30s, 50 1m"
            raise UsageError(
                f"shape {part.strip()!r}: {exc}", hint=f"for example {example}"
            ) from None
    return Shape(tuple(stages))


def _stage(match: "re.Match[str]", *, rates: bool) -> Stage:
    first = _level(match["low"], rates=rates)
    last = _level(match["high"], rates=rates) if match["high"] else first
    period = parse_duration(match["period"]) if match["period"] else 0.0
    if (match["how"] == "~") != bool(period):
        raise ValueError('a wave needs both: LOW~HIGH and "every PERIOD"')
    return Stage(first, last, parse_duration(match["seconds"]), period)


def _level(text: str, *, rates: bool) -> float:
    if rates and "/" in text:
        return parse_rate(text)
    try:
        return float(text)
    except ValueError:
        kind = 'a rate ("50/s")' if rates else "a number of users"
        raise ValueError(f"{text!r} is not {kind}") from None


# Rates that a scenario file works out by itself → a shape: asked each second before it runs.

_LONGEST: Final = 24 * 3600  # seconds


def shape_of_rates(rate: Callable[[float], float], seconds: float) -> str:
    """The rates at each second, straight lines between them: "50/s->62/s 1s, 62/s->70/s 1s".

    Raises ScenarioError for what is no rate, and for a time that is none.
    """
    if not 1 <= seconds <= _LONGEST:
        raise ScenarioError(f"@rates({seconds!r}): from one second up to a day")
    levels = [_rate(rate, float(second)) for second in range(math.floor(seconds) + 1)]
    stages: list[tuple[float, float, int]] = []  # first, last, seconds
    for before, after in itertools.pairwise(levels):
        slope = after - before
        if stages and math.isclose(slope, (stages[-1][1] - stages[-1][0]) / stages[-1][2]):
            stages[-1] = (stages[-1][0], after, stages[-1][2] + 1)
        else:
            stages.append((before, after, 1))
    return ", ".join(f"{first:.6g}/s->{last:.6g}/s {time}s" for first, last, time in stages)


def _rate(rate: Callable[[float], float], at: float) -> float:
    name = getattr(rate, "__name__", "rates")
    try:
        found = float(rate(at))
    except Exception as exc:
        raise ScenarioError(f"{name}({at:g}) failed: {type(exc).__name__}: {exc}") from exc
    if not 0 <= found < math.inf:
        raise ScenarioError(f"{name}({at:g}) gave {found!r}: a rate is a number from 0 up")
    return found
