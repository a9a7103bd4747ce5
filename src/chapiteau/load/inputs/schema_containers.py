"""Arrays: a few items, as many as the bounds ask, unique where they must be."""

from collections.abc import Callable
from typing import Any, Final

from chapiteau.load.inputs.schema_flattening import FlatSchema, SchemaLocation
from chapiteau.load.inputs.schema_patterns import PatternError, PatternGenerator, compile_pattern
from chapiteau.load.inputs.schema_scalars import SampleContext, ValueGenerator

__all__ = ["array_generator", "object_generator"]

_USUAL: Final = 3  # items where nothing is said
_MOST: Final = 1000
_FREE_TEXT: Final = (SchemaLocation({"type": "string"}, "#free-text"),)

CompileItems = Callable[[tuple[SchemaLocation, ...], str], ValueGenerator]


def array_generator(shape: FlatSchema, name: str, compile_: CompileItems) -> ValueGenerator:
    """A maker of lists; `name` is the field's, for hints about its items."""
    prefix = [compile_(tuple(shape.prefix[i]), name) for i in sorted(shape.prefix)]
    item = compile_(tuple(shape.items) or _FREE_TEXT, name)
    wanted = [compile_((place,), name) for place in shape.contains]
    needed = int(shape.least("minContains", 1)) if wanted else 0
    least = int(min(max(shape.least("minItems"), needed), _MOST))
    most = len(prefix) if shape.no_more_items else int(min(shape.most("maxItems", _MOST), _MOST))

    def write(draw: SampleContext, depth: int) -> list[Any]:
        size = least
        if not draw.sparse(depth):
            size = draw.chance.randint(least, max(least, min(most, max(_USUAL, least))))
        makers = [*prefix, *(w for w in wanted for _ in range(needed))]
        size = max(size, least)
        makers = makers[:size] + [item] * (size - len(makers))
        draw.spend(size)
        values: list[Any] = []
        for maker in makers:
            _append(values, maker, draw, depth, unique=shape.unique)
        return values

    return write


def _append(
    values: list[Any], maker: ValueGenerator, draw: SampleContext, depth: int, *, unique: bool
) -> None:
    for _ in range(30 if unique else 1):
        value = maker(draw, depth + 1)
        if not unique or value not in values:
            values.append(value)
            return


# Objects: what is required always, the rest by chance, never what is read-only.

# How often an optional property is there, by level: bodies stay small however deep schemas are.
_CHANCES: Final = (0.75, 0.5, 0.35, 0.2)
_OBJECTS_FREE_TEXT: Final = (SchemaLocation({"type": "string"}, "#free-text"),)

CompileProperty = Callable[[tuple[SchemaLocation, ...], str], ValueGenerator]
Judge = Callable[[list[SchemaLocation]], bool]


def object_generator(
    shape: FlatSchema, compile_: CompileProperty, hidden: Judge, impossible: Judge
) -> ValueGenerator:
    """A maker of objects; `compile_` makes those of properties, `hidden` knows read-only ones,
    `impossible` those that no value fits."""
    known = {name: places for name, places in shape.properties.items() if not hidden(places)}
    needed = [n for n in shape.required if n in known or n not in shape.properties]
    makers = {name: compile_(tuple(places), name) for name, places in known.items()}
    extra = _extra(shape, compile_, impossible)
    for name in needed:
        if name not in makers:
            makers[name] = compile_(tuple(shape.additional) or _OBJECTS_FREE_TEXT, name)
    optional = [n for n, places in known.items() if n not in needed and not impossible(places)]
    least = int(shape.least("minProperties"))
    most = shape.most("maxProperties", float("inf"))

    def write(draw: SampleContext, depth: int) -> dict[str, Any]:
        names = set(needed)
        if not draw.sparse(depth):
            share = _CHANCES[min(depth, len(_CHANCES) - 1)]
            names |= {n for n in optional if draw.chance.random() < share}
        _add_together(names, shape.together, makers)
        _fill(names, optional, least, most, needed)
        ordered = [name for name in makers if name in names]
        draw.spend(len(ordered))
        value = {name: makers[name](draw, depth + 1) for name in ordered}
        _add_extra(value, extra, (least, most), draw, depth)
        return value

    return write


def _add_together(
    names: set[str], together: dict[str, list[str]], makers: dict[str, ValueGenerator]
) -> None:
    for _ in range(len(together)):
        before = len(names)
        for name, others in together.items():
            if name in names:
                names |= {other for other in others if other in makers}
        if len(names) == before:
            return


def _fill(names: set[str], optional: list[str], least: int, most: float, needed: list[str]) -> None:
    for name in optional:
        if len(names) >= least:
            break
        names.add(name)
    for name in reversed(optional):
        if len(names) <= max(most, len(needed)):
            break
        names.discard(name)


# Writes the name of one more property, and makes its value.
_Extra = tuple[PatternGenerator | ValueGenerator | None, ValueGenerator]


def _extra(shape: FlatSchema, compile_: CompileProperty, impossible: Judge) -> list[_Extra]:
    """What may be added beyond the properties that have a name."""
    found: list[_Extra] = []
    keys: ValueGenerator | None = None
    if shape.keys:
        if impossible(shape.keys):
            return found
        keys = compile_((*shape.keys, *_OBJECTS_FREE_TEXT), "")
    for pattern, place in shape.named:
        if impossible([place]):
            continue
        try:
            found.append((compile_pattern(pattern), compile_((place,), "")))
        except (PatternError, RecursionError):
            continue  # such properties are optional: leave them out
    if shape.closed:
        return found
    if shape.additional:
        if not impossible(shape.additional):
            found.append((keys, compile_(tuple(shape.additional), "")))
    elif shape.least("minProperties") > len(shape.properties):
        found.append((keys, compile_(_OBJECTS_FREE_TEXT, "")))
    return found


def _add_extra(
    value: dict[str, Any],
    extra: list[_Extra],
    bounds: tuple[int, float],
    draw: SampleContext,
    depth: int,
) -> None:
    if not extra:
        return
    least, most = bounds
    # A table without named properties is a map: its entries are what it is for.
    wanted = 0 if draw.sparse(depth) or value else draw.chance.randint(1, 3)
    wanted = min(max(wanted, least - len(value)), 1000)
    for number in range(wanted):
        if len(value) >= most:
            return
        writer, maker = draw.chance.choice(extra)
        if writer is None:
            key = f"key{number + 1}"
        else:
            key = str(
                writer.write(draw.chance)
                if isinstance(writer, PatternGenerator)
                else writer(draw, depth)
            )
        if key not in value:
            draw.spend(1)
            value[key] = maker(draw, depth + 1)
