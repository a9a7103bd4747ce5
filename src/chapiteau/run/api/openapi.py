"""The control API described in OpenAPI 3.1, from the table of routes and the dataclasses."""

import dataclasses
from typing import Any, Final

from chapiteau.core.fields import json_schema
from chapiteau.run.api.calls import CALLS, Call
from chapiteau.run.api.commands import COMMANDS

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
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    answers = {c.answer.__name__: json_schema(c.answer) for c in CALLS if c.answer}
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


def _operation(call: Call) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": call.name,
        "summary": call.summary,
        "x-role": call.role,
        "parameters": [*_path_parameters(call), *_query_parameters(call)],
        "responses": {
            "200": {"description": "Done.", "content": _content(call)},
            "default": {
                "description": "It could not be done.",
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                },
            },
        },
    }
    if call.request and call.method == "POST":
        schema = json_schema(call.request)
        if call.is_command:
            options = COMMANDS[call.name].options.split()
            schema["properties"] = {name: schema["properties"][name] for name in options}
        schema |= _NEEDED.get(call.name, {})
        made["requestBody"] = {
            "required": "required" in schema or "anyOf" in schema,
            "content": {"application/json": {"schema": schema}},
        }
    return made


_NEEDED: Final[dict[str, dict[str, Any]]] = {  # what a dataclass can't say of a body
    "set": {
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
_PATH: Final = {
    "service": "A service; for commands also a glob, several with commas, or `all`.",
    "socket": "A listening socket.",
}


def _path_parameters(call: Call) -> list[dict[str, Any]]:
    return [
        _parameter(name, "path", {"type": "string"}, text)
        for name, text in _PATH.items()
        if f"{{{name}}}" in call.path
    ]


def _query_parameters(call: Call) -> list[dict[str, Any]]:
    if call.request is None or call.method == "POST":
        return []
    schemas = json_schema(call.request)["properties"]
    flag = {"type": "string", "enum": ["0", "1", "false", "true"]}
    return [
        _parameter(
            field.name,
            "query",
            flag if field.type is bool else schemas[field.name],
            field.metadata["help"],
        )
        for field in dataclasses.fields(call.request)
    ]


def _parameter(name: str, where: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": schema,
        "description": text,
    }


def _content(call: Call) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if call.answer:
        schema = {"$ref": f"#/components/schemas/{call.answer.__name__}"}
    if call.kind == "text":
        return {"application/openmetrics-text": {"schema": {"type": "string"}}}
    if call.kind == "bytes":
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    if call.kind == "json":
        return {"application/json": {"schema": schema}}
    item = {"anyOf": [schema, {"$ref": "#/components/schemas/Lost"}]}
    return {
        "application/x-ndjson": {"schema": item},
        "text/event-stream": {"schema": {"type": "string"}},
    }
