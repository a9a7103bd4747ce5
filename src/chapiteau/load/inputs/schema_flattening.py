"""A schema laid flat: `$ref` followed, `allOf` merged, dialects of OpenAPI 3.0 and 3.1 made one.

A value is described by *places*: schemas that it has to satisfy all at once, each with its JSON
pointer. `flatten` makes one Shape of them. `oneOf`, `anyOf` and `if` stay choices: whoever chooses
a branch adds its place and flattens again.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeGuard

from chapiteau.load.inputs.schema_references import References, json_pointer

__all__ = [
    "FlatSchema",
    "SchemaChoice",
    "SchemaLocation",
    "flatten",
    "likely_types",
    "schema_types",
]

_DELICATE: Final = ("not", "if", "contains", "dependentSchemas", "propertyNames")
_MOST_PLACES: Final = 500  # in one value; a hostile document gets no further


class SchemaLocation(NamedTuple):
    """A schema and where it stands."""

    schema: Any
    where: str


@dataclass(frozen=True, slots=True)
class SchemaChoice:
    """Branches of which one must be taken; `names` are the discriminator's values for them."""

    branches: tuple[SchemaLocation, ...]
    names: tuple[str, ...] = ()
    by: str = ""  # the discriminator's property


@dataclass(slots=True)
class FlatSchema:
    """Everything that places together ask of a value."""

    types: frozenset[str] | None = None
    allowed: list[Any] | None = None  # enum and const
    examples: list[Any] = field(default_factory=list)
    defaults: list[Any] = field(default_factory=list)
    choices: list[SchemaChoice] = field(default_factory=list)
    met: list[Any] = field(default_factory=list)  # lists of branches, taken or still open
    properties: dict[str, list[SchemaLocation]] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    additional: list[SchemaLocation] = field(default_factory=list)
    closed: bool = False  # no properties beyond those named
    named: list[tuple[str, SchemaLocation]] = field(default_factory=list)  # patternProperties
    keys: list[SchemaLocation] = field(default_factory=list)  # propertyNames
    items: list[SchemaLocation] = field(default_factory=list)
    prefix: dict[int, list[SchemaLocation]] = field(default_factory=dict)
    no_more_items: bool = False
    contains: list[SchemaLocation] = field(default_factory=list)
    together: dict[str, list[str]] = field(default_factory=dict)  # dependentRequired
    patterns: list[tuple[str, str]] = field(default_factory=list)  # with their pointers
    format: str = ""
    low: dict[str, float] = field(default_factory=dict)  # keyword → bound
    high: dict[str, float] = field(default_factory=dict)
    multiples: list[float] = field(default_factory=list)
    unique: bool = False
    impossible: bool = False
    delicate: bool = False  # what is made must be checked: not, if, contains, several patterns

    def least(self, keyword: str, otherwise: float = 0) -> float:
        """The lower bound under this keyword."""
        return self.low.get(keyword, otherwise)

    def most(self, keyword: str, otherwise: float) -> float:
        """The upper bound under this keyword."""
        return self.high.get(keyword, otherwise)

    def read(self, place: SchemaLocation, taken: set[str], *, nullable: bool) -> None:
        """Add what one schema asks."""
        schema = place.schema
        if not isinstance(schema, Mapping):
            self.impossible = self.impossible or not schema
            return
        types = schema_types(schema, nullable=nullable)
        if types is not None:
            self.types = types if self.types is None else _common(self.types, types)
            self.impossible = self.impossible or not self.types
        self._read_values(schema)
        self._read_choices(place, taken)
        self._read_object(place)
        self._read_array(place)
        self._read_bounds(schema)
        if isinstance(schema.get("pattern"), str):
            self.patterns.append((schema["pattern"], place.where + "/pattern"))
        if isinstance(schema.get("format"), str) and not self.format:
            self.format = schema["format"]
        if any(key in schema for key in _DELICATE):
            self.delicate = True

    def _read_values(self, schema: Mapping[str, Any]) -> None:
        allowed = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(allowed, list) and allowed:
            before = self.allowed
            self.allowed = allowed if before is None else [v for v in before if v in allowed]
            self.impossible = self.impossible or not self.allowed
        if isinstance(schema.get("examples"), list):
            self.examples += schema["examples"]
        if schema.get("example") is not None:
            self.examples.append(schema["example"])
        if schema.get("default") is not None:
            self.defaults.append(schema["default"])

    def _read_choices(self, place: SchemaLocation, taken: set[str]) -> None:
        schema, where = place
        for keyword in ("oneOf", "anyOf"):
            raw = schema.get(keyword)
            if not isinstance(raw, list) or not raw:
                continue
            branches = tuple(
                SchemaLocation(part, f"{where}/{keyword}/{i}") for i, part in enumerate(raw)
            )
            self.delicate = True
            # The same choice twice (a base that is met on two ways) must not be taken twice.
            if any(raw == met for met in self.met):
                continue
            self.met.append(raw)
            if not taken & {b.where for b in branches}:
                self.choices.append(_named_choice(schema, branches))
        if "if" in schema:
            yes = SchemaLocation(
                {"allOf": [schema["if"], schema.get("then", True)]}, where + "/then"
            )
            no = SchemaLocation(
                {"allOf": [{"not": schema["if"]}, schema.get("else", True)]}, where + "/else"
            )
            if not taken & {yes.where, no.where}:
                self.choices.append(SchemaChoice((yes, no)))

    def _read_object(self, place: SchemaLocation) -> None:
        schema, where = place
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            for name, part in properties.items():
                at = where + json_pointer("properties", name)[1:]
                self.properties.setdefault(str(name), []).append(SchemaLocation(part, at))
        required = schema.get("required")
        if isinstance(required, list):
            self.required += [r for r in required if isinstance(r, str) and r not in self.required]
        extra = schema.get("additionalProperties")
        if extra is False or schema.get("unevaluatedProperties") is False:
            self.closed = True
        elif isinstance(extra, Mapping):
            self.additional.append(SchemaLocation(extra, where + "/additionalProperties"))
        patterns = schema.get("patternProperties")
        if isinstance(patterns, Mapping):
            for pattern, part in patterns.items():
                at = where + json_pointer("patternProperties", pattern)[1:]
                self.named.append((str(pattern), SchemaLocation(part, at)))
        if isinstance(schema.get("propertyNames"), Mapping | bool):
            self.keys.append(SchemaLocation(schema["propertyNames"], where + "/propertyNames"))
        together = schema.get("dependentRequired")
        if isinstance(together, Mapping):
            self.together.update({str(k): v for k, v in together.items() if isinstance(v, list)})

    def _read_array(self, place: SchemaLocation) -> None:
        schema, where = place
        prefix = schema.get("prefixItems")
        for i, part in enumerate(prefix if isinstance(prefix, list) else ()):
            self.prefix.setdefault(i, []).append(SchemaLocation(part, f"{where}/prefixItems/{i}"))
        items = schema.get("items")
        if items is False:
            self.no_more_items = True
        elif isinstance(items, Mapping):
            self.items.append(SchemaLocation(items, where + "/items"))
        if isinstance(schema.get("contains"), Mapping):
            self.contains.append(SchemaLocation(schema["contains"], where + "/contains"))
        self.unique = self.unique or schema.get("uniqueItems") is True

    def _read_bounds(self, schema: Mapping[str, Any]) -> None:
        for keyword in ("minLength", "minItems", "minProperties", "minimum", "minContains"):
            _raise(self.low, keyword, schema.get(keyword))
        for keyword in ("maxLength", "maxItems", "maxProperties", "maximum"):
            _lower(self.high, keyword, schema.get(keyword))
        # OpenAPI 3.0 has a flag beside the bound, JSON Schema 2020-12 a bound of its own.
        for keyword, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            value = schema.get(bound) if schema.get(keyword) is True else schema.get(keyword)
            (_raise if bound == "minimum" else _lower)(
                self.low if bound == "minimum" else self.high, keyword, value
            )
        multiple = schema.get("multipleOf")
        if _is_number(multiple) and multiple > 0:
            self.multiples.append(multiple)


def schema_types(schema: Mapping[str, Any], *, nullable: bool) -> frozenset[str] | None:
    """The JSON types that one schema allows by itself; None when it does not say. `nullable` tells
    whether that keyword means anything here."""
    raw = schema.get("type")
    names = [raw] if isinstance(raw, str) else raw if isinstance(raw, list) else []
    found = {n for n in names if isinstance(n, str)}
    if not found:
        return None
    if nullable and schema.get("nullable") is True:
        found.add("null")
    return frozenset(found)


def likely_types(shape: "FlatSchema") -> tuple[str, ...]:
    """The types to choose from; where none is given, what the other keywords are about."""
    if shape.types is not None:
        return tuple(sorted(shape.types))
    if shape.properties or shape.required or shape.additional or shape.named or shape.closed:
        return ("object",)
    if shape.items or shape.prefix or shape.contains or shape.unique:
        return ("array",)
    if "minimum" in shape.low or "maximum" in shape.high or shape.multiples:
        return ("number",)
    return ("string",)


def flatten(places: tuple[SchemaLocation, ...], references: References) -> FlatSchema:
    """One shape of all that the places ask."""
    shape = FlatSchema()
    taken = {place.where for place in places}
    seen: set[str] = set()
    pending = list(reversed(places))
    while pending and len(seen) < _MOST_PLACES:
        place = pending.pop()
        if place.where in seen:
            continue
        seen.add(place.where)
        if isinstance(place.schema, Mapping):
            pending += _above(place, references)
        if isinstance(place.schema, Mapping | bool):
            shape.read(place, taken, nullable=references.nullable)
    return shape


def _above(place: SchemaLocation, references: References) -> list[SchemaLocation]:
    """What this schema is made of: the targets of its references and its `allOf`."""
    schema, where = place
    found = [
        SchemaLocation(*references.target(schema[keyword], where))
        for keyword in ("$ref", "$dynamicRef")
        if isinstance(schema.get(keyword), str)
    ]
    parts = schema.get("allOf")
    parts = parts if isinstance(parts, list) else []
    found += [SchemaLocation(part, f"{where}/allOf/{i}") for i, part in enumerate(parts)]
    return found[::-1]


def _common(left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    both = left & right
    if "integer" in left | right and "number" in left | right:
        both |= {"integer"}
    return both


def _named_choice(schema: Mapping[str, Any], branches: tuple[SchemaLocation, ...]) -> SchemaChoice:
    """The choice with the value that its discriminator has in each branch."""
    raw = schema.get("discriminator")
    by = raw.get("propertyName") if isinstance(raw, Mapping) else None
    if not isinstance(by, str) or not isinstance(raw, Mapping):
        return SchemaChoice(branches)
    mapping = raw.get("mapping")
    targets = {v: k for k, v in mapping.items()} if isinstance(mapping, Mapping) else {}
    names = []
    for branch in branches:
        ref = branch.schema.get("$ref", "") if isinstance(branch.schema, Mapping) else ""
        last = str(ref).rpartition("/")[2]
        names.append(str(targets.get(ref, targets.get(last, last))))
    return SchemaChoice(branches, tuple(names), by)


def _raise(bounds: dict[str, float], keyword: str, value: Any) -> None:
    if _is_number(value):
        bounds[keyword] = max(bounds.get(keyword, value), value)


def _lower(bounds: dict[str, float], keyword: str, value: Any) -> None:
    if _is_number(value):
        bounds[keyword] = min(bounds.get(keyword, value), value)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
