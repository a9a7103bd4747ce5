"""Does it scale? Capacities at several sizes, the scalability law through them, its peak.

X(N) = γN / (1 + σ(N-1) + κN(N-1)): γ is what one alone carries, σ the share that can't be done side
by side, κ the cost of keeping each other informed (N. J. Gunther, Guerrilla Capacity Planning,
2007). In N/X it is linear, so three numbers come from least squares, none of them negative.
"""

import asyncio
import dataclasses
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from chapiteau.core.clock import Clock
from chapiteau.core.errors import UsageError
from chapiteau.load.capacity.capacity_run import find_capacity
from chapiteau.load.execution.job import Job, RunObserver
from chapiteau.load.report.result import LawSection, LoadResult, ScalingSection, SizeRow
from chapiteau.load.telemetry.supervisor_monitor import SupervisorMonitor

__all__ = [
    "ScalabilityLaw",
    "SizeResult",
    "add_scaling",
    "fit_law",
    "measure_scaling",
    "scaling_section",
]

_DRAWS: Final = 400
_NOISE: Final = 0.025  # standard error of a capacity that tells none of its own, as a share of it
_LEAST: Final = 0.018  # … and no capacity is known better (bench/load/capacity_truth.py)
_COVER: Final = 4.8  # standard errors that a capacity's interval is wide (load/capacity/search.py)
_Z: Final = 1.645  # standard errors to each side that hold 90 %
_SURE: Final = 0.2  # a peak is told when its interval is narrower than this share of it
_REACH: Final = 0.8  # … or when the measured sizes came this close to it


@dataclass(frozen=True, slots=True)
class ScalabilityLaw:
    """The law's three numbers; `peak` is the size beyond which more carry less."""

    alone: float
    contention: float
    coherency: float

    def rate(self, size: float) -> float:
        """Capacity at a size."""
        n = size - 1
        return self.alone * size / (1 + self.contention * n + self.coherency * size * n)

    @property
    def peak(self) -> float:
        """Size of the highest capacity; infinite when there is none."""
        if self.coherency <= 0:
            return math.inf
        return math.sqrt(max(0.0, 1 - self.contention) / self.coherency)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeResult:
    """What the search at one size has found; a capacity of 0 when it found none."""

    size: int
    capacity: float
    word: str = "met"  # the verdict's
    interval: tuple[float, float] | None = None  # 90 %, of the capacity

    @property
    def error(self) -> float:
        """Standard error of the capacity, as a share of it."""
        if self.interval is None or self.interval[0] <= 0:
            return _NOISE
        return max(_LEAST, math.log(self.interval[1] / self.interval[0]) / _COVER)


def fit_law(points: Sequence[tuple[int, float]]) -> ScalabilityLaw | None:
    """The law through (size, capacity); None with fewer than three sizes.

    Residuals are weighed by what 1 % of each capacity is. Of the fits with each set of numbers
    held at 0, the best one without a negative number counts.
    """
    if len({size for size, _ in points}) < 3:
        return None
    best: tuple[float, ScalabilityLaw] | None = None
    for columns in ((0, 1, 2), (0, 1), (0, 2), (0,)):
        found = _least_squares(points, columns)
        if found is None or found[0] <= 0 or min(found) < 0:
            continue
        law = ScalabilityLaw(1 / found[0], found[1] / found[0], found[2] / found[0])
        error = sum((law.rate(n) / x - 1) ** 2 for n, x in points)
        if best is None or error < best[0] - 1e-12:
            best = (error, law)
    return best[1] if best else None


def _least_squares(
    points: Sequence[tuple[int, float]], columns: Sequence[int]
) -> tuple[float, float, float] | None:
    rows = []
    for n, x in points:
        weight = x / n  # N/X is off by 1 % when X is
        full = (1.0, n - 1.0, n * (n - 1.0))
        rows.append(([full[c] * weight for c in columns], 1.0))
    size = len(columns)
    matrix = [
        [sum(r[i] * r[j] for r, _ in rows) for j in range(size)] + [sum(r[i] * y for r, y in rows)]
        for i in range(size)
    ]
    solved = _solved(matrix)
    if solved is None:
        return None
    values = [0.0, 0.0, 0.0]
    for column, value in zip(columns, solved, strict=True):
        values[column] = value
    return values[0], values[1], values[2]


def _solved(matrix: list[list[float]]) -> list[float] | None:
    """Gauss's elimination with pivots; None when there is no single solution."""
    size = len(matrix)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        if abs(matrix[pivot][column]) < 1e-12:
            return None
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(size):
            if row != column:
                factor = matrix[row][column] / matrix[column][column]
                matrix[row] = [
                    a - factor * b for a, b in zip(matrix[row], matrix[column], strict=True)
                ]
    return [matrix[row][size] / matrix[row][row] for row in range(size)]


def scaling_section(found: Sequence[SizeResult], chance: "random.Random") -> ScalingSection:
    """The document's part: efficiency at each size, the law, and a peak when one can be told."""
    ordered = sorted(found, key=lambda one: one.size)
    sizes = [_row(one, ordered[0]) for one in ordered]
    usable = [one for one in ordered if one.capacity > 0]
    law = fit_law([(one.size, one.capacity) for one in usable])
    line = _line(sizes)
    if law is None or len(usable) < len(ordered):
        return ScalingSection(sizes=sizes, line=line)
    drawn = _drawn(usable, chance)
    low, high = _middle(sorted(one.peak for one in drawn))
    told = (
        law.peak < math.inf
        and high < math.inf
        and (high - low < _SURE * 2 * law.peak or ordered[-1].size >= _REACH * law.peak)
    )
    least, most = _middle(sorted(one.contention for one in drawn))
    section = LawSection(
        alone=law.alone,
        contention=law.contention,
        contention_interval=(round(least, 4), round(most, 4)),
        coherency=law.coherency,
        peak=round(law.peak, 1) if told else None,
        peak_interval=(round(low, 1), round(high, 1)) if told else None,
    )
    line += f"; contention {law.contention:.1%} ({least:.1%} to {most:.1%})"
    if told:
        line += f"; no gain beyond {law.peak:.0f} (90 % sure: {low:.0f} to {high:.0f})"
    else:
        line += f"; no peak seen up to {ordered[-1].size}"
    return ScalingSection(sizes=sizes, law=section, line=line)


def _row(one: SizeResult, first: SizeResult) -> SizeRow:
    """One size against the smallest one."""
    row = SizeRow(size=one.size, word=one.word, capacity=one.capacity)
    if not (one.capacity > 0 and first.capacity > 0):
        return row
    times = one.capacity / first.capacity
    # Errors of a quotient add up in logarithms, as squares.
    wide = 0.0 if one is first else _Z * math.hypot(one.error, first.error)
    interval = (times * math.exp(-wide), times * math.exp(wide))
    efficiency = times * first.size / one.size
    return replace(row, times=times, times_interval=interval, efficiency=efficiency)


def _drawn(sizes: Sequence[SizeResult], chance: "random.Random") -> list[ScalabilityLaw]:
    """Laws through points moved by their own uncertainty (parametric bootstrap)."""
    laws = []
    for _ in range(_DRAWS):
        moved = [(one.size, one.capacity * math.exp(chance.gauss(0, one.error))) for one in sizes]
        law = fit_law(moved)
        if law is not None:
            laws.append(law)
    return laws


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """Where nine tenths of them lie."""
    if not values:
        return math.inf, math.inf
    edge = len(values) // 20
    return values[edge], values[-1 - edge]


def _line(sizes: list[SizeRow]) -> str:
    if len(sizes) < 2:
        return "one size only: nothing to compare"
    if without := ", ".join(f"{row.size} ({row.word})" for row in sizes if not row.capacity):
        return f"no capacity was found at size {without}, so they can't be compared"
    last, ratio = sizes[-1], sizes[-1].size / sizes[0].size
    low, high = last.times_interval or (math.nan, math.nan)
    return (
        f"{ratio:g} times as many give {last.times:.2f} times the capacity "
        f"(90 % sure: {low:.2f} to {high:.2f}; {last.efficiency:.0%} efficiency)"
    )


# Does it scale? One capacity search for each size of a supervised service.

_INTERRUPTED: Final = 128  # exit codes above are a signal's


async def measure_scaling(
    job: Job,
    clock: Clock,
    watch: RunObserver,
    say: Callable[[str], None],
    supervised: SupervisorMonitor | None,
) -> LoadResult:
    """A search at each size of `vary`; the last one's document with the part `scaling`.

    The service gets its old size back, whatever happens, Ctrl-C included.
    """
    if supervised is None:
        raise UsageError(
            "--vary needs a supervisor that runs the service, and none answers here",
            hint="start it with `chapiteau up -d` in the project's folder, or pass --config",
        )
    service, _, numbers = job.test.vary.replace(" ", "").partition("=")
    sizes = sorted({int(number) for number in numbers.split(",")})
    before = await asyncio.to_thread(supervised.processes, service)
    results: list[LoadResult] = []
    watch = dataclasses.replace(
        watch, leaving=lambda: supervised.scale(service, before, wait=False)
    )
    try:
        for size in sizes:
            await asyncio.to_thread(supervised.scale, service, size)
            say(f"── {service}: {size} process{'' if size == 1 else 'es'}")
            results.append(await find_capacity(job, clock, watch, say, supervised))
            if results[-1].verdict.exit_code > _INTERRUPTED:
                break  # whoever pressed Ctrl-C means the whole of it
    finally:
        await asyncio.to_thread(supervised.scale, service, before)
        say(f"── {service}: back at {before} process{'' if before == 1 else 'es'}")
    found = [_size(size, result) for size, result in zip(sizes, results, strict=False)]
    section = scaling_section(found, random.Random("scaling"))  # noqa: S311 — repeatable
    return add_scaling(results, replace(section, service=service))


def _size(size: int, result: LoadResult) -> SizeResult:
    found = result.capacity
    return SizeResult(
        size=size,
        capacity=found.held if found else 0.0,
        word=result.verdict.word,
        interval=found.interval if found else None,
    )


def add_scaling(results: Sequence[LoadResult], section: ScalingSection) -> LoadResult:
    """The last size's result with the answer to "does it scale?" in front.

    A size at which nothing was found leaves that open: the verdict is then that size's.
    """
    verdict = results[-1].verdict
    verdict = replace(verdict, line=f"with {section.sizes[-1].size}: {verdict.line}")
    for one, row in zip(results, section.sizes, strict=True):
        if verdict.exit_code == 0 and one.verdict.word in {"unsure", "generator-limited"}:
            line = f"with {row.size}: {one.verdict.line}"
            verdict = replace(one.verdict, line=line, findings=verdict.findings)
    verdict = replace(verdict, line=f"{section.service}: {section.line}; {verdict.line}")
    return replace(results[-1], verdict=verdict, scaling=section)
