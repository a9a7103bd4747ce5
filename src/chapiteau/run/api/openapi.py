"""The control API described in OpenAPI 3.1, from the table of routes and the dataclasses."""

from typing import Any, Final

from chapiteau.core.fields import json_schema
from chapiteau.run.api.calls import (
    CALLS,
    INPUT_OPTIONS,
    MESSAGE_OPTIONS,
    SET_OPTIONS,
    VERB_OPTIONS,
    Call,
)
from chapiteau.run.config.access import VERBS

__all__ = ["openapi_document"]

_PROBLEM: Final = {
    "type": "object",
    "required": ["title", "status", "exit_code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string", "description": "What to do about it."},
        "exit_code": {"type": "integer", "description": "What a command line should end with."},
        "outcome": {"$ref": "#/components/schemas/Outcome"},
    },
}
_LOST: Final = {
    "type": "object",
    "required": ["lost"],
    "properties": {"lost": {"type": "integer", "minimum": 1}},
    "description": "In place of this many items that were dropped for a slow reader.",
}


def openapi_document(version: str) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, Any] = {}
    for route in CALLS:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    answers = {r.answer.__name__: json_schema(r.answer) for r in CALLS if r.answer}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chapiteau control API",
            "version": version,
            "description": "Steers one supervisor, over its Unix socket.",
        },
        "servers": [{"url": "http://localhost", "description": "The Unix socket."}],
        "paths": paths,
        "components": {"schemas": {**answers, "Problem": _PROBLEM, "Lost": _LOST}},
    }


def _operation(route: Call) -> dict[str, Any]:
    role = VERBS.get(route.verb, "operator")
    made: dict[str, Any] = {
        "operationId": route.handler,
        "summary": route.summary,
        "x-role": role,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {
            "200": {"description": "Done.", "content": _content(route)},
            "default": {
                "description": "It could not be done.",
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                },
            },
        },
    }
    if route.body:
        known = _BODIES.get(route.handler, VERB_OPTIONS)
        options = {name: known[name] for name in route.body}
        needed = _NEEDED.get(route.handler, {})
        schema = {"type": "object", "properties": options, "additionalProperties": False}
        made["requestBody"] = {
            "required": bool(needed),
            "content": {"application/json": {"schema": schema | needed}},
        }
    return made


_NEEDED: Final[dict[str, dict[str, Any]]] = {  # what must stand in a body
    "say": {"required": ["text"]},
    "configure": {
        "anyOf": [
            {"required": [name], "properties": {name: some}}
            for name, some in (
                ("settings", {"minProperties": 1}),
                ("reset", {"minItems": 1}),
                ("add", {"const": True}),
                ("remove", {"const": True}),
            )
        ]
    },
}
_BODIES: Final = {"say": MESSAGE_OPTIONS, "configure": SET_OPTIONS, "enter": INPUT_OPTIONS}


def _path_parameters(route: Call) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{name}" in route.path:
        text = "A service; for verbs also a glob, several with commas, or `all`."
        found.append(_parameter("name", "path", {"type": "string"}, text))
    if "{verb}" in route.path:
        verbs = [verb for verb, role in VERBS.items() if role == "operator"]
        found.append(_parameter("verb", "path", {"type": "string", "enum": verbs}, "The deed."))
    return found


def _query_parameters(route: Call) -> list[dict[str, Any]]:
    return [
        _parameter(
            p.name, "query", {"type": "array", "items": p.schema} if p.many else p.schema, p.help
        )
        for p in route.query
    ]


def _parameter(name: str, where: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": schema,
        "description": text,
    }


def _content(route: Call) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if route.answer:
        schema = {"$ref": f"#/components/schemas/{route.answer.__name__}"}
    if route.kind == "text":
        return {"application/openmetrics-text": {"schema": {"type": "string"}}}
    if route.kind == "bytes":
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    if route.kind == "json":
        return {"application/json": {"schema": schema}}
    item = {"anyOf": [schema, {"$ref": "#/components/schemas/Lost"}]}
    return {
        "application/x-ndjson": {"schema": item},
        "text/event-stream": {"schema": {"type": "string"}},
    }
