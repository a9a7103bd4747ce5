"""One value in the making, and what a maker of values is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import random

__all__ = ["Draw", "Maker"]

_SOFT: Final = 4
_HARD: Final = 40
_BUDGET: Final = 400
_TRIES: Final = 100


@dataclass(slots=True)
class Draw:
    """Chance, and how much may still be written."""

    chance: "random.Random"
    left: int = _BUDGET  # values; beyond, only what is required is written

    tries: int = _TRIES  # values that may be thrown away because a check refused them

    def again(self) -> bool:
        """May one more value be made in place of one that was refused?"""
        self.tries -= 1
        return self.tries > 0

    def sparse(self, depth: int) -> bool:
        """Time to come to an end: only what is required."""
        return depth > _SOFT or self.left <= 0

    def over(self, depth: int) -> bool:
        """Deeper than any honest schema: stop, whatever is required."""
        return depth > _HARD or self.left < -10 * _BUDGET


Maker = Callable[[Draw, int], Any]
