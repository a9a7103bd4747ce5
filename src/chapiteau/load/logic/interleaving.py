"""Two services measured in turns, so that what the machine does meanwhile happens to both."""

from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.load.logic.shape import Shape, Stage

__all__ = ["blocks_of", "order_of", "verdict_of"]

_PAIRS: Final = 16
_FEWEST: Final = 9  # the first pair warms up, and does not count


def blocks_of(shape: Shape) -> tuple[int, Shape]:
    """How many pairs of turns, and the load of one turn. Raises UsageError."""
    first = shape.stages[0]
    if len(shape.stages) > 1 or first.first != first.last:
        raise UsageError("turns need a steady load", hint="give --rate or --users")
    turn = max(1, round(shape.seconds / 2 / _PAIRS))
    pairs = int(shape.seconds / 2 / turn)
    if pairs < _FEWEST:
        raise UsageError(
            f"{shape.seconds:g} s are too short for {_FEWEST} turns each",
            hint=f"at least -d {2 * _FEWEST}s; a minute or more tells small differences",
        )
    return pairs, Shape((Stage(first.first, first.last, float(turn)),))


def order_of(pairs: int) -> list[int]:
    """Whose turn it is, 0 or 1: A B, B A, A B …, so that a steady drift favours neither."""
    return [side for pair in range(pairs) for side in ((0, 1) if pair % 2 == 0 else (1, 0))]


def verdict_of(found: dict[str, Any], names: tuple[str, str]) -> dict[str, Any]:
    """Word, line and exit code of a comparison: 0 faster or the same, 1 slower, 2 cannot tell."""
    word = found["word"]
    a, b = names
    worst = max(found["changes"], key=lambda change: abs(change["change"] or 0.0))
    if word == "same":
        line = f"same: {b} is as fast as {a}, within ±{found['margin']:.0%}"
        return {"word": "met", "line": line, "exit_code": 0}
    if word == "cannot tell":
        more = found.get("limited") or "longer turns (-d), or a quieter machine"
        line = f"cannot tell whether {b} is slower than {a}: {more}"
        return {"word": "unsure", "line": line, "exit_code": 2}
    named = [change for change in found["changes"] if change["word"] == word] or [worst]
    told = ", ".join(
        f"{c['figure']} {c['change'] * 100:+.0f}%"
        + ("" if c["low"] is None else f" ({c['low'] * 100:+.0f} to {c['high'] * 100:+.0f}%)")
        for c in named
    )
    errors = found["errors"]
    if word == "slower" and named == [worst] and worst["word"] != "slower":
        told = f"errors {errors['before'] * 100:.3g}% → {errors['after'] * 100:.3g}%"
    good = word == "faster"
    line = f"{word}: {b} against {a}: {told}"
    return {"word": "met" if good else "not met", "line": line, "exit_code": 0 if good else 1}
