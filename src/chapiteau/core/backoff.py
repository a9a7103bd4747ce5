"""How long to wait before trying again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential, capped delays with jitter.

    `first` seconds before the first retry, each next `factor` times longer, never above `cap`;
    `jitter` 0.2 spreads each delay evenly over ±20 %, so that many copies don't retry in step.
    """

    first: float = 0.1
    factor: float = 2.0
    cap: float = 60.0
    jitter: float = 0.2

    def delay(self, attempt: int, chance: Random | None = None) -> float:
        """Seconds before retry number `attempt` (1 is the first)."""
        try:
            plain = min(self.cap, self.first * self.factor ** (max(attempt, 1) - 1))
        except OverflowError:  # far beyond any cap, unless there is nothing to multiply
            plain = self.cap if self.first else 0.0
        if chance is None or not self.jitter:
            return plain
        return float(min(self.cap, plain * (1 + self.jitter * (2 * chance.random() - 1))))
