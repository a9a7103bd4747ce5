"""Does it scale? Capacities at several sizes, the scalability law through them, its peak.

X(N) = γN / (1 + σ(N-1) + κN(N-1)): γ is what one alone carries, σ the share that can't be done side
by side, κ the cost of keeping each other informed (N. J. Gunther, Guerrilla Capacity Planning,
2007). In N/X it is linear, so three numbers come from least squares, none of them negative.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import random

__all__ = ["Law", "fit_law", "scaling_part"]

_DRAWS: Final = 400
_NOISE: Final = 0.025  # standard deviation of a capacity that was found, as a share of it
_SURE: Final = 0.2  # a peak is told when its interval is narrower than this share of it
_REACH: Final = 0.8  # … or when the measured sizes came this close to it


@dataclass(frozen=True, slots=True)
class Law:
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


def fit_law(points: Sequence[tuple[int, float]]) -> Law | None:
    """The law through (size, capacity); None with fewer than three sizes.

    Residuals are weighed by what 1 % of each capacity is. Of the fits with each set of numbers
    held at 0, the best one without a negative number counts.
    """
    if len({size for size, _ in points}) < 3:
        return None
    best: tuple[float, Law] | None = None
    for columns in ((0, 1, 2), (0, 1), (0, 2), (0,)):
        found = _least_squares(points, columns)
        if found is None or found[0] <= 0 or min(found) < 0:
            continue
        law = Law(1 / found[0], found[1] / found[0], found[2] / found[0])
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


def scaling_part(points: Sequence[tuple[int, float]], chance: "random.Random") -> dict[str, Any]:
    """The document's part: efficiency at each size, the law, and a peak when one can be told."""
    ordered = sorted(points)
    first_size, first = ordered[0]
    sizes = [
        {
            "size": size,
            "capacity": capacity,
            "times": capacity / first if first else 0.0,
            "efficiency": capacity / first * first_size / size if first else 0.0,
        }
        for size, capacity in ordered
    ]
    usable = [(size, capacity) for size, capacity in ordered if capacity > 0]
    law = fit_law(usable)
    part: dict[str, Any] = {"sizes": sizes, "law": None, "line": _line(sizes)}
    if law is None:
        return part
    peaks = sorted(_drawn_peaks(usable, chance))
    edge = len(peaks) // 20
    low, high = (peaks[edge], peaks[-1 - edge]) if peaks else (math.inf, math.inf)
    told = (
        law.peak < math.inf
        and high < math.inf
        and (high - low < _SURE * 2 * law.peak or ordered[-1][0] >= _REACH * law.peak)
    )
    part["law"] = {
        "alone": law.alone,
        "contention": law.contention,
        "coherency": law.coherency,
        "peak": round(law.peak, 1) if told else None,
        "peak_interval": [round(low, 1), round(high, 1)] if told else None,
    }
    tail = f"; contention {law.contention:.1%}"
    if told:
        tail += f"; no gain beyond {law.peak:.0f} (90 % sure: {low:.0f} to {high:.0f})"
    else:
        tail += f"; no peak seen up to {ordered[-1][0]}"
    part["line"] += tail
    return part


def _drawn_peaks(points: Sequence[tuple[int, float]], chance: "random.Random") -> list[float]:
    """Peaks of the law through points moved by their own uncertainty (parametric bootstrap)."""
    peaks = []
    for _ in range(_DRAWS):
        moved = [(n, x * math.exp(chance.gauss(0, _NOISE))) for n, x in points]
        law = fit_law(moved)
        if law is not None:
            peaks.append(law.peak)
    return peaks


def _line(sizes: list[dict[str, Any]]) -> str:
    if len(sizes) < 2:
        return "one size only: nothing to compare"
    if not all(row["capacity"] for row in sizes):
        return "no capacity was found at some sizes, so they can't be compared"
    first, last = sizes[0], sizes[-1]
    ratio = last["size"] / first["size"]
    return (
        f"{ratio:g} times as many give {last['times']:.2f} times the capacity "
        f"({last['efficiency']:.0%} efficiency)"
    )
