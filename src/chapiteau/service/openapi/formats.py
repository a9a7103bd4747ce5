"""Documents in other forms: OpenAPI 3.0, and YAML."""

import json
import re
from typing import Any, Final

from chapiteau.service.openapi import Json

__all__ = ["downgrade", "to_yaml"]

# A plain word that no YAML reader takes for anything else than itself.
_PLAIN: Final = re.compile(r"[A-Za-z_/$][A-Za-z0-9_/$. -]*[A-Za-z0-9_/$]|[A-Za-z_/$]")
# What YAML does not take as it is (YAML 1.2 §5.1), beside what JSON has escaped already.
_ODD: Final = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WORDS: Final = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"}


def to_yaml(value: Any) -> str:
    """The text, with a line end behind it."""
    return "\n".join(_lines(value, "")) + "\n"


def _lines(value: Any, indent: str) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for key, item in value.items() for line in _entry(key, item, indent)]
    if isinstance(value, list) and value:
        found = []
        for item in value:
            first, *rest = _lines(item, indent + "  ")
            found += [f"{indent}- {first.lstrip()}", *rest]
        return found
    return [indent + _scalar(value)]


def _entry(key: str, value: Any, indent: str) -> list[str]:
    name = _scalar(str(key))
    if isinstance(value, dict | list) and value:
        return [f"{indent}{name}:", *_lines(value, indent + "  ")]
    return [f"{indent}{name}: {_scalar(value)}"]


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and "e" in text and "." not in text:
        text = text.replace("e", ".0e")  # without a point, YAML 1.1 reads a string
    return _ODD.sub(lambda m: f"\\U{ord(m[0]):08x}", text)


# An OpenAPI 3.1 document as 3.0.3, for readers that have stopped there.
#
# 3.0 has a Json Object of its own where 3.1 has JSON Json 2020-12. What 3.0 can't say is said
# as closely as it can: null becomes `nullable`, a constant an enum of one, a tuple a list of any of
# its parts; webhooks go to `x-webhooks`. It has no words for client certificates and scopes of bare
# tokens: what is asked for in full stands in `x-security`, and the schemes in `x-securitySchemes`.

_GONE: Final = frozenset({
    "$schema", "$id", "$anchor", "$comment", "$defs", "if", "then", "else", "dependentRequired",
    "dependentSchemas", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contains",
    "minContains", "maxContains", "contentSchema",
})  # fmt: skip
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def downgrade(document: Json) -> Json:
    """The 3.0.3 document that says the same; the one given stays as it is."""
    made = {key: value for key, value in document.items() if key not in ("webhooks", "components")}
    made["openapi"] = "3.0.3"
    made.pop("jsonSchemaDialect", None)
    made["info"] = {k: v for k, v in document["info"].items() if k != "summary"}
    schemes = document.get("components", {}).get("securitySchemes", {})
    paths = {path: _walk(item, "path") for path, item in document.get("paths", {}).items()}
    hooks = {name: _walk(item, "path") for name, item in document.get("webhooks", {}).items()}
    made["paths"] = paths
    if "components" in document:
        made["components"] = _components(document["components"])
    if "webhooks" in document:
        made["x-webhooks"] = hooks
    for asked in (made, *_operations(paths), *_operations(hooks)):
        if "security" in asked:
            _secure(asked, schemes)
    return made


# Where schemas stand below an object of a document: kind of object → key → (shape, kind of part).
_GRAMMAR: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "components": {
        "schemas": ("map", "schema"), "headers": ("map", "holder"),
        "responses": ("map", "response"), "parameters": ("map", "holder"),
        "requestBodies": ("map", "response"), "callbacks": ("map", "callback"),
    },
    "path": {"parameters": ("list", "holder"), **dict.fromkeys(_METHODS, ("one", "operation"))},
    "operation": {
        "parameters": ("list", "holder"), "requestBody": ("one", "response"),
        "responses": ("map", "response"), "callbacks": ("map", "callback"),
    },
    "response": {"headers": ("map", "holder"), "content": ("map", "holder")},
    "holder": {"schema": ("one", "schema")},  # a parameter, a header, a media type
}  # fmt: skip


def _walk(value: Any, kind: str) -> Any:
    """An object of a document with every schema in it as 3.0 has it."""
    if kind == "schema":
        return _schema(value)
    if kind == "callback":
        return {url: _walk(item, "path") for url, item in value.items()}
    made = dict(value)
    if kind == "operation" and not made.get("responses"):
        made["responses"] = {"default": {"description": "Whatever comes."}}
    for key, (shape, inner) in _GRAMMAR[kind].items():
        if key not in made:
            continue
        if shape == "map":
            made[key] = {name: _walk(part, inner) for name, part in made[key].items()}
        elif shape == "list":
            made[key] = [_walk(part, inner) for part in made[key]]
        else:
            made[key] = _walk(made[key], inner)
    return made


def _components(components: Json) -> Json:
    made: Json = _walk(components, "components")
    made.pop("pathItems", None)
    unknown = {k: v for k, v in made.get("securitySchemes", {}).items() if _is_certificate(v)}
    if unknown:
        # `http` with the scheme "mutual" would be another thing: passwords by RFC 8120.
        made["x-securitySchemes"] = unknown
        known = {k: v for k, v in made.pop("securitySchemes").items() if k not in unknown}
        made |= {"securitySchemes": known} if known else {}
    return made


def _is_certificate(scheme: Json) -> bool:
    return scheme.get("type") == "mutualTLS"


def _operations(paths: Json) -> list[Json]:
    """All operations, those of callbacks too."""
    found = []
    for item in paths.values():
        for operation in (item[method] for method in _METHODS if method in item):
            found.append(operation)
            for callback in operation.get("callbacks", {}).values():
                found += _operations(callback)
    return found


def _secure(asked: Json, schemes: dict[str, Json]) -> None:
    """Say what 3.0 can say of the requirements, and the rest beside them and in words."""
    told = []
    for choice in asked["security"]:
        kept = {}
        for name, scopes in choice.items():
            kind = schemes.get(name, {}).get("type")
            if kind != "mutualTLS":
                kept[name] = scopes if kind in ("oauth2", "openIdConnect") else []
        told.append(kept)
    if told == asked["security"]:
        return
    asked["x-security"] = asked["security"]
    asked["security"] = told if any(told) else []
    needs = {name for choice in asked["x-security"] for name in choice}
    if "responses" in asked and any(_is_certificate(schemes.get(name, {})) for name in needs):
        words = "A client certificate is asked for (mutual TLS)."
        asked["description"] = f"{asked.get('description', '')}\n\n{words}".strip()


# ── schemas ──────────────────────────────────────────────────────────────────────────────────────
def _schema(given: Any) -> Json:
    if given is True:
        return {}
    if given is False:
        return {"not": {}}
    schema = {k: v for k, v in given.items() if k not in _GONE}
    if "$ref" in schema:
        ref = {"$ref": schema.pop("$ref")}
        # 3.0 overlooks what stands beside a $ref.
        return {"allOf": [ref], **_schema(schema)} if schema else ref
    _constant(schema)
    _inner(schema)
    _null(schema)
    _limits(schema)
    _text(schema)
    return schema


def _constant(schema: Json) -> None:
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if isinstance(found := schema.pop("examples", None), list) and found:
        schema.setdefault("example", found[0])


def _inner(schema: Json) -> None:
    """Schemas inside this one."""
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            schema[key] = [_schema(one) for one in schema[key]]
    for key in ("not", "items", "additionalProperties"):
        if key in schema and not isinstance(schema[key], bool):
            schema[key] = _schema(schema[key])
    if "properties" in schema:
        schema["properties"] = {name: _schema(one) for name, one in schema["properties"].items()}
    if patterns := schema.pop("patternProperties", None):
        schema["additionalProperties"] = _any_of([_schema(one) for one in patterns.values()])
    if parts := schema.pop("prefixItems", None):
        rest = schema.get("items")
        also = [rest] if isinstance(rest, dict) else []
        schema["items"] = _any_of([*(_schema(one) for one in parts), *also])
    elif schema.get("items") is False:
        schema["items"], schema["maxItems"] = {}, 0
    elif schema.get("items") is True or (schema.get("type") == "array" and "items" not in schema):
        schema["items"] = {}


def _any_of(schemas: list[Json]) -> Json:
    different = [one for at, one in enumerate(schemas) if one not in schemas[:at]]
    return different[0] if len(different) == 1 else {"anyOf": different}


def _null(schema: Json) -> None:
    """`null` is no type in 3.0 but a mark on another one."""
    kinds = schema.get("type")
    if isinstance(kinds, list):
        rest = [kind for kind in kinds if kind != "null"]
        if len(rest) < len(kinds):
            schema["nullable"] = True
        if len(rest) == 1:
            schema["type"] = rest[0]
        else:
            del schema["type"]
            schema["anyOf"] = [_limited(schema, kind) for kind in rest]
    elif kinds == "null":
        # A type is needed for nullable to mean anything; the enum leaves null alone.
        schema.update({"type": "string", "nullable": True, "enum": [None]})
    for key in ("anyOf", "oneOf"):
        parts = schema.get(key, [])
        rest = [part for part in parts if part.get("enum") != [None]]
        if parts and len(rest) < len(parts):
            _nullable(schema, key, rest)
    if None in schema.get("enum", ()) and "type" in schema:
        schema["nullable"] = True


def _nullable(schema: Json, key: str, rest: list[Json]) -> None:
    """One of several is null: said as 3.0 can say it."""
    del schema[key]
    if len(rest) == 1 and "type" in rest[0]:
        schema.update({**rest[0], **schema, "nullable": True})
    else:
        # `nullable` counts only beside a type; so null is a choice of its own.
        schema[key] = [*rest, {"type": "string", "nullable": True, "enum": [None]}]


def _limited(schema: Json, kind: str) -> Json:
    return {"type": kind, "items": schema.get("items", {})} if kind == "array" else {"type": kind}


def _limits(schema: Json) -> None:
    """An exclusive limit is a number in 3.1 and a mark on the limit in 3.0."""
    for key, plain, sharper in (
        ("exclusiveMinimum", "minimum", max),
        ("exclusiveMaximum", "maximum", min),
    ):
        limit = schema.get(key)
        if limit is None or isinstance(limit, bool):
            continue
        other = schema.get(plain)
        if other is None or sharper(limit, other) == limit:
            schema[plain], schema[key] = limit, True
        else:
            del schema[key]


def _text(schema: Json) -> None:
    """What a text holds."""
    coding, media = schema.pop("contentEncoding", None), schema.pop("contentMediaType", None)
    if coding == "base64":
        schema.setdefault("format", "byte")
    elif media == "application/octet-stream":
        schema.setdefault("format", "binary")
