"""Strings and numbers within the bounds of a schema."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chapiteau.load.inputs.schema_flattening import FlatSchema
from chapiteau.load.inputs.schema_formats import (
    format_generator,
    name_generator,
    random_words,
    typical_range,
)
from chapiteau.load.inputs.schema_patterns import PatternError, PatternGenerator, compile_pattern
from chapiteau.load.inputs.schema_references import References

if TYPE_CHECKING:
    import random

__all__ = ["SampleContext", "ValueGenerator", "number_generator", "string_generator"]


# One value in the making, and what a maker of values is.

_SOFT: Final = 4
_HARD: Final = 40
_BUDGET: Final = 400
_TRIES: Final = 100


@dataclass(slots=True)
class SampleContext:
    """Chance, and how much may still be written."""

    chance: "random.Random"
    left: int = _BUDGET  # values; beyond, only what is required is written

    tries: int = _TRIES  # values that may be thrown away because a check refused them

    def spend(self, values: int) -> None:
        """So many values are being written."""
        self.left -= values

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


ValueGenerator = Callable[[SampleContext, int], Any]

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_LONGEST: Final = 1_000_000  # characters; a schema may ask for more, nobody gets it
_INT32: Final = (-(2**31), 2**31 - 1)
_SPAN: Final = 1000  # of numbers where a schema leaves an end open


def string_generator(shape: FlatSchema, name: str, references: References) -> ValueGenerator:
    """A maker of strings; `name` is the field's, and gives a hint where nothing else does."""
    least = int(min(shape.least("minLength"), _LONGEST))
    most = int(max(min(shape.most("maxLength", _LONGEST), _LONGEST), least))
    pattern = _pattern(shape, references)
    if pattern is not None:
        return lambda draw, _depth: pattern.write(draw.chance, least, most)
    by_format = format_generator(shape.format)
    if by_format is not None:
        return lambda draw, _depth: by_format(draw.chance)
    by_name = name_generator(name) or _plain
    return lambda draw, _depth: _fitted(by_name(draw.chance), least, most, draw.chance)


def _pattern(shape: FlatSchema, references: References) -> PatternGenerator | None:
    for pattern, where in shape.patterns:
        try:
            return compile_pattern(pattern)
        except (PatternError, RecursionError) as exc:
            hint = "strings are made without it"
            references.problem(where, f"{pattern!r} can't be read: {exc}", hint)
    return None


def _plain(chance: "random.Random") -> str:
    return random_words(chance, chance.randint(1, 2))


def _fitted(text: str, least: int, most: int, chance: "random.Random") -> str:
    """The text, cut or filled up to its bounds."""
    if len(text) < least:
        text += "".join(chance.choices(_LETTERS, k=least - len(text)))
    return text if len(text) <= most else text[:most].rstrip() or _LETTERS[:most]


def number_generator(shape: FlatSchema, name: str, *, whole: bool) -> ValueGenerator:
    """A maker of numbers within the bounds; whole ones for `integer`."""
    low, high = _bounds(shape, name, whole=whole)
    if shape.multiples:
        return _multiples(shape.multiples, low, high, whole=whole)
    if whole:
        first, last = math.ceil(low), math.floor(high)
        return lambda draw, _depth: draw.chance.randint(first, max(first, last))

    def write(draw: SampleContext, _depth: int) -> float:
        raw = draw.chance.uniform(low, high)
        rounded = round(raw, 2)
        return rounded if low <= rounded <= high else raw

    return write


def _bounds(shape: FlatSchema, name: str, *, whole: bool) -> tuple[float, float]:
    low, high = shape.low.get("minimum"), shape.high.get("maximum")
    above, below = shape.low.get("exclusiveMinimum"), shape.high.get("exclusiveMaximum")
    if above is not None and (low is None or above >= low):
        low = _next(above, 1, whole=whole)
    if below is not None and (high is None or below <= high):
        high = _next(below, -1, whole=whole)
    first, last = _usual(low, high, typical_range(name) or (int(whole), _SPAN))
    if shape.format == "int32":
        first, last = max(first, _INT32[0]), min(last, _INT32[1])
    return first, max(first, last)


def _usual(
    low: float | None, high: float | None, usual: tuple[float, float]
) -> tuple[float, float]:
    """The usual range, moved into what is allowed."""
    span = usual[1] - usual[0]
    if low is None and high is None:
        return usual
    if low is not None and (high is None or high > usual[1] >= low):
        first = max(low, usual[0])
        return (first, usual[1]) if first < usual[1] else (low, low + span)
    if high is not None and low is None:
        return min(usual[0], high - span) if high < usual[0] else usual[0], high
    assert low is not None  # noqa: S101 — told to the type checker
    assert high is not None  # noqa: S101
    return low, high


def _next(bound: float, side: int, *, whole: bool) -> float:
    """The nearest number on that side of an exclusive bound."""
    if not whole:
        return math.nextafter(bound, math.inf * side)
    return math.floor(bound) + 1 if side > 0 else math.ceil(bound) - 1


def _multiples(steps: list[float], low: float, high: float, *, whole: bool) -> ValueGenerator:
    step = _common_step(steps, whole=whole)
    first, last = math.ceil(low / step), math.floor(high / step)

    def write(draw: SampleContext, _depth: int) -> float:
        value: float = 0
        for _ in range(8):
            value = draw.chance.randint(first, max(first, last)) * step
            value = value if isinstance(value, int) else round(value, 10)
            # 0.3 / 0.1 is not whole in binary; a validator that divides would refuse it.
            if (value / step).is_integer():
                break
        return int(value) if whole else value

    return write


def _common_step(steps: list[float], *, whole: bool) -> float:
    wanted = [*steps, 1] if whole else steps
    if all(float(s).is_integer() for s in wanted):
        return math.lcm(*(int(s) for s in wanted))
    return max(wanted)
