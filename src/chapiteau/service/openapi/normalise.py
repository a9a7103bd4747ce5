"""Brings documents into one form, so that what says the same can be seen to be the same.

References are followed but in schemas, parameters of a path stand at its operations, and a schema
is told in words of 3.1: `allOf` in one, `const` as an enum, `nullable` as a type.
"""

from typing import Any, Final

from chapiteau.service.openapi import Json

__all__ = ["normalise", "resolve_ref", "resolve_schema"]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_DEEPEST: Final = 30  # references to references, or allOf within allOf
_LOWEST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_HIGHEST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def normalise(document: Json) -> Json:
    """The same document with all that its operations say standing at them."""
    paths = {path: _path(document, item) for path, item in document.get("paths", {}).items()}
    return {**document, "paths": paths}


def _path(document: Json, item: Json) -> Json:
    item = {**resolve_ref(document, item), **{k: v for k, v in item.items() if k != "$ref"}}
    shared = [resolve_ref(document, one) for one in item.pop("parameters", ())]
    for method in _METHODS:
        if method in item:
            item[method] = _operation(document, item[method], shared)
    return item


def _operation(document: Json, operation: Json, shared: list[Json]) -> Json:
    own = [resolve_ref(document, one) for one in operation.get("parameters", ())]
    names = {(one.get("in"), one.get("name")) for one in own}
    inherited = [one for one in shared if (one.get("in"), one.get("name")) not in names]
    made = {**operation, "parameters": [*inherited, *own]}
    if "requestBody" in made:
        made["requestBody"] = resolve_ref(document, made["requestBody"])
    answers = operation.get("responses", {}).items()
    made["responses"] = {str(status): resolve_ref(document, answer) for status, answer in answers}
    return made


def resolve_ref(document: Json, value: Any) -> Any:
    """What a reference leads to, through others too; an empty object where it leads nowhere."""
    for _ in range(_DEEPEST):
        reference = value.get("$ref") if isinstance(value, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return value
        found: Any = document
        for part in reference[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            found = found.get(key, {}) if isinstance(found, dict) else {}
        value = found
    return {}


def resolve_schema(document: Json, schema: Any, depth: int = 0) -> Json:
    """A schema with what it refers to and all that it is made of, in words of 3.1."""
    if not isinstance(schema, dict):  # true: anything; false: nothing
        return {} if schema is not False else {"not": {}}
    beside = {k: v for k, v in schema.items() if k != "$ref"}
    made = {**resolve_ref(document, schema), **beside}
    parts = made.pop("allOf", ())
    if parts and depth < _DEEPEST:
        inner = [resolve_schema(document, part, depth + 1) for part in parts]
        made = _together([*inner, made])
    if "const" in made:
        made["enum"] = [made.pop("const")]
    if made.pop("nullable", False) and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    for limit, sharp in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if made.get(sharp) is True and limit in made:
            made[sharp] = made.pop(limit)
        elif isinstance(made.get(sharp), bool):
            del made[sharp]
    return made


def _together(parts: list[Json]) -> Json:
    """One schema that asks for what all of them ask for."""
    made: Json = {}
    for part in parts:
        for key, value in part.items():
            before = made.get(key)
            if before is None:
                made[key] = value
            elif key == "properties":
                both = {
                    name: {"allOf": [before[name], value[name]]} for name in value if name in before
                }
                made[key] = {**before, **value, **both}
            elif key == "required":
                made[key] = [*before, *(name for name in value if name not in before)]
            elif key in _LOWEST or key in _HIGHEST:
                made[key] = (max if key in _LOWEST else min)(before, value)
            elif key != "additionalProperties" or before is not False:
                made[key] = value
    return made
