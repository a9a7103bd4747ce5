"""Does a value satisfy a schema? Enough of JSON Schema to throw away what was made wrongly."""

import functools
import math
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeGuard

from chapiteau.load.inputs.schema_flattening import schema_types
from chapiteau.load.inputs.schema_references import References

__all__ = ["is_valid"]

_DEEPEST: Final = 60


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "object": lambda v: isinstance(v, Mapping),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: _number(v) and (isinstance(v, int) or v.is_integer()),
    "number": _number,
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}


def is_valid(value: Any, schema: Any, references: References, depth: int = 0) -> bool:
    """True when the value satisfies the schema, as far as this checker understands it."""
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return True
    return (
        _fits_type(value, schema, references)
        and _fits_values(value, schema)
        and _fits_kind(value, schema, references, depth)
        and _fits_parts(value, schema, references, depth + 1)
    )


def _fits_type(value: Any, schema: Mapping[str, Any], refs: References) -> bool:
    types = schema_types(schema, nullable=refs.nullable)
    return types is None or any(_TYPES.get(name, _anything)(value) for name in types)


def _anything(_value: Any) -> bool:
    return True


def _fits_values(value: Any, schema: Mapping[str, Any]) -> bool:
    if "const" in schema and not _same(value, schema["const"]):
        return False
    allowed = schema.get("enum")
    return not isinstance(allowed, list) or any(_same(value, item) for item in allowed)


def _same(left: Any, right: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are, true and 1 are not."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _fits_kind(value: Any, schema: Mapping[str, Any], refs: References, depth: int) -> bool:
    if isinstance(value, str):
        return _fits_string(value, schema)
    if _number(value):
        return _fits_number(value, schema)
    if isinstance(value, list):
        return _fits_array(value, schema, refs, depth + 1)
    if isinstance(value, Mapping):
        return _fits_object(value, schema, refs, depth + 1)
    return True


def _within(size: float, schema: Mapping[str, Any], low: str, high: str) -> bool:
    least, most = schema.get(low), schema.get(high)
    return (not _number(least) or size >= least) and (not _number(most) or size <= most)


def _fits_string(value: str, schema: Mapping[str, Any]) -> bool:
    if not _within(len(value), schema, "minLength", "maxLength"):
        return False
    pattern = schema.get("pattern")
    if not isinstance(pattern, str):
        return True
    try:
        return _compiled(pattern).search(value) is not None
    except (re.error, RecursionError, OverflowError):
        return True  # ECMA only: whoever wrote it will judge


def _fits_number(value: float, schema: Mapping[str, Any]) -> bool:
    if not _within(value, schema, "minimum", "maximum"):
        return False
    low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    low = schema.get("minimum") if low is True else low
    high = schema.get("maximum") if high is True else high
    if (_number(low) and value <= low) or (_number(high) and value >= high):
        return False
    step = schema.get("multipleOf")
    if not _number(step) or step <= 0:
        return True
    quotient = value / step
    return math.isfinite(quotient) and abs(quotient - round(quotient)) < 1e-9 * max(
        1.0, abs(quotient)
    )


def _fits_array(value: list[Any], schema: Mapping[str, Any], refs: References, depth: int) -> bool:
    if not _within(len(value), schema, "minItems", "maxItems"):
        return False
    if schema.get("uniqueItems") is True and any(v in value[:i] for i, v in enumerate(value)):
        return False
    prefix = schema.get("prefixItems")
    firsts = prefix if isinstance(prefix, list) else []
    if not all(is_valid(v, part, refs, depth) for v, part in zip(value, firsts, strict=False)):
        return False
    items = schema.get("items", True)
    if not all(is_valid(v, items, refs, depth) for v in value[len(firsts) :]):
        return False
    if "contains" not in schema:
        return True
    found = sum(is_valid(v, schema["contains"], refs, depth) for v in value)
    return _within(found, {"minContains": 1, **schema}, "minContains", "maxContains")


def _fits_object(
    value: Mapping[str, Any], schema: Mapping[str, Any], refs: References, depth: int
) -> bool:
    if not _within(len(value), schema, "minProperties", "maxProperties"):
        return False
    required = schema.get("required")
    properties = _table(schema.get("properties"))
    if isinstance(required, list) and not all(
        # What is read-only is not sent, so its absence is no fault.
        name in value or _read_only(properties.get(name), refs)
        for name in required
        if isinstance(name, str)
    ):
        return False
    patterns = _table(schema.get("patternProperties"))
    rest = schema.get("additionalProperties", True)
    names = schema.get("propertyNames", True)
    for name, item in value.items():
        parts = [properties[name]] if name in properties else []
        parts += [part for pattern, part in patterns.items() if _found(pattern, name)]
        if not all(is_valid(item, part, refs, depth) for part in parts or [rest]):
            return False
        if not is_valid(name, names, refs, depth):
            return False
    return _fits_dependents(value, schema, refs, depth)


def _fits_dependents(
    value: Mapping[str, Any], schema: Mapping[str, Any], refs: References, depth: int
) -> bool:
    together = _table(schema.get("dependentRequired"))
    schemas = _table(schema.get("dependentSchemas"))
    return all(
        name not in value or not isinstance(others, list) or all(o in value for o in others)
        for name, others in together.items()
    ) and all(name not in value or is_valid(value, s, refs, depth) for name, s in schemas.items())


def _read_only(schema: Any, refs: References) -> bool:
    target, _ = refs.follow(schema, "")
    return isinstance(target, Mapping) and target.get("readOnly") is True


@functools.lru_cache(500)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Somebody else's pattern; what Python may read otherwise one day is no news to the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(pattern)


def _table(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, Mapping) else {}


def _found(pattern: str, text: str) -> bool:
    try:
        return _compiled(pattern).search(text) is not None
    except (re.error, RecursionError, OverflowError):
        return False


def _fits_parts(value: Any, schema: Mapping[str, Any], refs: References, depth: int) -> bool:
    for keyword in ("$ref", "$dynamicRef"):
        if isinstance(schema.get(keyword), str):
            target, _ = refs.target(schema[keyword], "")
            if not is_valid(value, target, refs, depth):
                return False
    parts = {key: schema[key] for key in ("allOf", "anyOf", "oneOf") if _is_list(schema.get(key))}
    counts = {
        key: sum(is_valid(value, p, refs, depth) for p in part) for key, part in parts.items()
    }
    if "allOf" in counts and counts["allOf"] < len(parts["allOf"]):
        return False
    if counts.get("anyOf", 1) < 1 or counts.get("oneOf", 1) != 1:
        return False
    if "not" in schema and is_valid(value, schema["not"], refs, depth):
        return False
    if "if" in schema:
        then = "then" if is_valid(value, schema["if"], refs, depth) else "else"
        return is_valid(value, schema.get(then, True), refs, depth)
    return True


def _is_list(raw: Any) -> bool:
    return isinstance(raw, list) and bool(raw)
