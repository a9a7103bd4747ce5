"""Arrays: a few items, as many as the bounds ask, unique where they must be."""

from collections.abc import Callable
from typing import Any, Final

from chapiteau.load.logic.inputs.schemas.draw import Draw, Maker
from chapiteau.load.logic.inputs.schemas.shape import Place, Shape

__all__ = ["array_maker"]

_USUAL: Final = 3  # items where nothing is said
_MOST: Final = 1000
_FREE_TEXT: Final = (Place({"type": "string"}, "#free-text"),)

Compile = Callable[[tuple[Place, ...], str], Maker]


def array_maker(shape: Shape, name: str, compile_: Compile) -> Maker:
    """A maker of lists; `name` is the field's, for hints about its items."""
    prefix = [compile_(tuple(shape.prefix[i]), name) for i in sorted(shape.prefix)]
    item = compile_(tuple(shape.items) or _FREE_TEXT, name)
    wanted = [compile_((place,), name) for place in shape.contains]
    needed = int(shape.least("minContains", 1)) if wanted else 0
    least = int(min(max(shape.least("minItems"), needed), _MOST))
    most = len(prefix) if shape.no_more_items else int(min(shape.most("maxItems", _MOST), _MOST))

    def write(draw: Draw, depth: int) -> list[Any]:
        size = least
        if not draw.sparse(depth):
            size = draw.chance.randint(least, max(least, min(most, max(_USUAL, least))))
        makers = [*prefix, *(w for w in wanted for _ in range(needed))]
        size = max(size, least)
        makers = makers[:size] + [item] * (size - len(makers))
        draw.left -= size
        values: list[Any] = []
        for maker in makers:
            _append(values, maker, draw, depth, unique=shape.unique)
        return values

    return write


def _append(values: list[Any], maker: Maker, draw: Draw, depth: int, *, unique: bool) -> None:
    for _ in range(30 if unique else 1):
        value = maker(draw, depth + 1)
        if not unique or value not in values:
            values.append(value)
            return
