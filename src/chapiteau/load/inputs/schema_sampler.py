"""Values that a schema allows, at random: realistic where the document gives examples.

Laws. A value never contains what is read-only: that is for answers. Recursive schemas end: beyond
some levels only what is required is written, and branches that end soonest are taken. Each schema
is compiled once, so that a request costs microseconds; makers are kept by the pointers of the
places that they serve.
"""

from typing import TYPE_CHECKING, Any, Final

from chapiteau.load.inputs.schema_containers import array_generator, object_generator
from chapiteau.load.inputs.schema_flattening import (
    FlatSchema,
    SchemaChoice,
    SchemaLocation,
    flatten,
    likely_types,
)
from chapiteau.load.inputs.schema_references import References
from chapiteau.load.inputs.schema_scalars import (
    SampleContext,
    ValueGenerator,
    number_generator,
    string_generator,
)
from chapiteau.load.inputs.schema_validation import SchemaValidator

if TYPE_CHECKING:
    import random

__all__ = ["Sampler"]

_NULLS: Final = 0.1  # how often a nullable value is null
_EXAMPLES: Final = 0.5  # how often an object or array is one of the document's examples
_ENDLESS: Final = 1000
_MOST_MAKERS: Final = 50_000

_Key = tuple[frozenset[str], str]


class Sampler:
    """Makes values for the schemas of one document."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._validator = SchemaValidator(references)
        self._makers: dict[_Key, ValueGenerator] = {}
        self._heights: dict[frozenset[str], int] = {}

    def value(self, schema: Any, where: str, chance: "random.Random", name: str = "") -> Any:
        """A value for the schema that stands at `where`; `name` is the field's or parameter's."""
        return self.maker(schema, where, name)(SampleContext(chance), 0)

    def maker(self, schema: Any, where: str, name: str = "") -> ValueGenerator:
        """What makes such values, compiled now and for good."""
        return self._compile((SchemaLocation(schema, where),), name)

    def _compile(self, places: tuple[SchemaLocation, ...], name: str) -> ValueGenerator:
        key = (frozenset(p.where for p in places), name)
        made = self._makers.get(key)
        if made is not None:
            return made
        if len(self._makers) >= _MOST_MAKERS:
            return _nothing
        # A recursive schema meets itself while it is being compiled: it then gets this door,
        # which is opened at the first request.
        self._makers[key] = self._door(key)
        self._makers[key] = self._bounded(self._built(places, name))
        return self._makers[key]

    def _door(self, key: _Key) -> ValueGenerator:
        def write(draw: SampleContext, depth: int) -> Any:
            return self._makers[key](draw, depth)

        return write

    def _built(self, places: tuple[SchemaLocation, ...], name: str) -> ValueGenerator:
        shape = flatten(places, self._references)
        made = (
            self._chosen(places, shape, name) if shape.choices else self._typed(shape, places, name)
        )
        delicate = shape.delicate or len(shape.patterns) > 1
        if delicate and not shape.choices:
            made = self._checked(made, places)
        return self._exemplary(made, shape, places)

    def _bounded(self, made: ValueGenerator) -> ValueGenerator:
        return lambda draw, depth: None if draw.over(depth) else made(draw, depth)

    # ── one of several ──────────────────────────────────────────────────────────────────────

    def _chosen(
        self, places: tuple[SchemaLocation, ...], shape: FlatSchema, name: str
    ) -> ValueGenerator:
        choice = self._viable(places, shape.choices[0])

        def write(draw: SampleContext, depth: int) -> Any:
            while True:
                number = self._branch(choice, places, draw, depth)
                branch = choice.branches[number]
                value = self._compile((*places, branch), name)(draw, depth)
                if choice.by and isinstance(value, dict) and choice.names[number]:
                    value = _labelled(value, choice, number)
                if self._fits(value, places) or not draw.again():
                    return value

        return write

    def _viable(self, places: tuple[SchemaLocation, ...], choice: SchemaChoice) -> SchemaChoice:
        """The choice without branches that contradict the rest; all of them when all do."""
        shapes = [flatten((*places, branch), self._references) for branch in choice.branches]
        kept = [i for i, shape in enumerate(shapes) if not shape.impossible]
        kept = kept or list(range(len(shapes)))
        names = tuple(self._label(choice, i, shapes[i]) for i in kept) if choice.names else ()
        return SchemaChoice(tuple(choice.branches[i] for i in kept), names, choice.by)

    def _label(self, choice: SchemaChoice, number: int, shape: FlatSchema) -> str:
        """What the discriminator says of a branch; nothing where the branch knows better, as one
        whose own schema has `const: dog` while its name, for want of a mapping, is Dog."""
        name, places = choice.names[number], shape.properties.get(choice.by)
        allowed = flatten(tuple(places), self._references).allowed if places else None
        return name if allowed is None or name in allowed else ""

    def _branch(
        self,
        choice: SchemaChoice,
        places: tuple[SchemaLocation, ...],
        draw: SampleContext,
        depth: int,
    ) -> int:
        count = len(choice.branches)
        if not draw.sparse(depth):
            return draw.chance.randrange(count)
        heights = [self._height((*places, b), frozenset()) for b in choice.branches]
        return heights.index(min(heights))

    def _checked(self, made: ValueGenerator, places: tuple[SchemaLocation, ...]) -> ValueGenerator:
        def write(draw: SampleContext, depth: int) -> Any:
            value = made(draw, depth)
            while not self._fits(value, places) and draw.again():
                value = made(draw, depth)
            return value

        return write

    def _fits(self, value: Any, places: tuple[SchemaLocation, ...]) -> bool:
        return all(self._validator.is_valid(value, place.schema) for place in places)

    def _exemplary(
        self, made: ValueGenerator, shape: FlatSchema, places: tuple[SchemaLocation, ...]
    ) -> ValueGenerator:
        """The same, with the document's own examples and defaults among what is made."""
        examples = [self._sendable(e, shape) for e in shape.examples if self._fits(e, places)]
        defaults = [self._sendable(d, shape) for d in shape.defaults if self._fits(d, places)]
        if shape.allowed is not None or not (examples or defaults):
            return made
        share = _EXAMPLES
        if examples and not any(isinstance(e, dict | list) for e in examples):
            share = 1.0
        chosen = examples or defaults

        def write(draw: SampleContext, depth: int) -> Any:
            if draw.chance.random() < share:
                return draw.chance.choice(chosen)
            return made(draw, depth)

        return write

    def _sendable(self, example: Any, shape: FlatSchema) -> Any:
        """The example without what only answers carry."""
        if not isinstance(example, dict):
            return example
        hidden = {n for n, places in shape.properties.items() if self._read_only(places)}
        return {name: value for name, value in example.items() if name not in hidden}

    # ── by type ─────────────────────────────────────────────────────────────────────────────

    def _typed(
        self, shape: FlatSchema, places: tuple[SchemaLocation, ...], name: str
    ) -> ValueGenerator:
        if shape.allowed:
            allowed = [v for v in shape.allowed if self._fits(v, places)] or shape.allowed
            usual = [v for v in allowed if v is not None] or allowed
            return lambda draw, _depth: draw.chance.choice(usual)
        types = likely_types(shape)
        usual_types = [t for t in types if t != "null"]
        makers = [self._of_type(t, shape, name) for t in usual_types]
        if not makers:
            return _nothing
        nullable = "null" in types

        def write(draw: SampleContext, depth: int) -> Any:
            if nullable and (draw.sparse(depth) or draw.chance.random() < _NULLS):
                return None
            return (makers[0] if len(makers) == 1 else draw.chance.choice(makers))(draw, depth)

        return write

    def _of_type(self, kind: str, shape: FlatSchema, name: str) -> ValueGenerator:
        if kind == "object":
            return object_generator(shape, self._compile, self._read_only, self._impossible)
        if kind == "array":
            return array_generator(shape, name, self._compile)
        if kind in {"integer", "number"}:
            return number_generator(shape, name, whole=kind == "integer")
        if kind == "boolean":
            return lambda draw, _depth: draw.chance.random() < 0.5
        return string_generator(shape, name, self._references)

    def _impossible(self, places: list[SchemaLocation]) -> bool:
        return flatten(tuple(places), self._references).impossible

    def _read_only(self, places: list[SchemaLocation]) -> bool:
        return any(
            isinstance(target, dict) and target.get("readOnly") is True
            for target in (self._references.follow(*place)[0] for place in places)
        ) or any(isinstance(p.schema, dict) and p.schema.get("readOnly") is True for p in places)

    # ── where recursion ends ────────────────────────────────────────────────────────────────

    def _height(self, places: tuple[SchemaLocation, ...], above: frozenset[frozenset[str]]) -> int:
        """Levels below the smallest value of these places; `_ENDLESS` when it has none."""
        key = frozenset(p.where for p in places)
        if key in above or len(above) > _ENDLESS:
            return _ENDLESS
        known = self._heights.get(key)
        if known is not None:
            return known
        height = self._height_of(places, above | {key})
        if height < _ENDLESS or not above:
            # Endless may only mean "endless seen from above": true for good at the top alone.
            self._heights[key] = height
        return height

    def _height_of(
        self, places: tuple[SchemaLocation, ...], above: frozenset[frozenset[str]]
    ) -> int:
        shape = flatten(places, self._references)
        if shape.choices:
            branches = shape.choices[0].branches
            return min(self._height((*places, b), above) for b in branches)
        types = likely_types(shape)
        if shape.allowed or "null" in types:
            return 0
        parts: list[list[SchemaLocation]] = []
        if "object" in types:
            parts = [shape.properties[n] for n in shape.required if n in shape.properties]
        elif "array" in types and shape.least("minItems") >= 1:
            parts = [shape.items, *shape.prefix.values()]
        heights = [self._height(tuple(p), above) for p in parts if p and not self._read_only(p)]
        return min(_ENDLESS, 1 + max(heights, default=-1))


def _nothing(_draw: SampleContext, _depth: int) -> None:
    return None


def _labelled(value: dict[str, Any], choice: SchemaChoice, number: int) -> dict[str, Any]:
    """The value with the discriminator's property saying which branch it is."""
    current = value.get(choice.by)
    if current in choice.names or current is None:
        return {**value, choice.by: choice.names[number]}
    return {**value, choice.by: choice.names[number]} if isinstance(current, str) else value
