"""From a Swagger 2 document to OpenAPI 3.1."""

import re
from typing import Any, Final

from chapiteau.service.openapi import Json

__all__ = ["to_openapi"]

_VERSION: Final = "3.1.0"
_REFERENCES: Final = {
    "#/definitions/": "#/components/schemas/",
    "#/parameters/": "#/components/parameters/",
    "#/responses/": "#/components/responses/",
}
_OF_PARAMETER: Final = frozenset({"name", "in", "required", "description"})
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_BRACES: Final = re.compile(r"\{(\w+)(?::(?:[^{}]|\{[^{}]*\})*)?\}")
_ERROR: Final = {
    "type": "object",
    "required": ["status", "errors"],
    "properties": {
        "status": {"const": "error"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["location", "name", "description"],
                "properties": {"location": {"type": "string"}, "name": {}, "description": {}},
            },
        },
    },
}


def to_openapi(swagger: Json) -> Json:
    """A new document; nothing of the old one is changed."""
    shared = swagger.get("parameters", {})
    made: Json = {"openapi": _VERSION, "info": dict(swagger["info"])}
    made["servers"] = [{"url": _server(swagger)}]
    if swagger.get("tags"):
        made["tags"] = swagger["tags"]
    made["paths"] = {
        _path(p): _item(_with_rest(p, item), shared) for p, item in swagger["paths"].items()
    }
    components: Json = {"schemas": {"CorniceError": _ERROR}}
    components["schemas"].update(_referring(swagger.get("definitions", {})))
    responses = swagger.get("responses", {})
    if responses:
        components["responses"] = {k: _response(v, _JSON) for k, v in responses.items()}
    simple = {k: _parameter(v) for k, v in shared.items() if v["in"] != "body"}
    if simple:
        components["parameters"] = simple
    if "securityDefinitions" in swagger:
        components["securitySchemes"] = swagger["securityDefinitions"]
    made["components"] = components
    if "security" in swagger:
        made["security"] = swagger["security"]
    return made


_JSON: Final = ["application/json"]


def _server(swagger: Json) -> str:
    base = str(swagger.get("basePath", "/"))
    if "host" not in swagger:
        return base
    scheme = (swagger.get("schemes") or ["https"])[0]
    return f"{scheme}://{swagger['host']}{base}"


def _path(path: str) -> str:
    """Pyramid's pattern without its regular expressions: OpenAPI has none in paths."""
    return re.sub(r"\*(\w+)", r"{\1}", _BRACES.sub(r"{\1}", path))


def _with_rest(path: str, item: Json) -> Json:
    rest = re.search(r"\*(\w+)", path)
    if rest is None:
        return item
    parameter = {"name": rest[1], "in": "path", "required": True, "type": "string"}
    return {**item, "parameters": [*item.get("parameters", ()), parameter]}


def _item(item: Json, shared: Json) -> Json:
    made: Json = {}
    if item.get("parameters"):
        made["parameters"] = [_parameter(p) for p in item["parameters"]]
    for method in _METHODS:
        if method in item:
            made[method] = _operation(item[method], shared)
    return made


def _operation(operation: Json, shared: Json) -> Json:
    kept = ("tags", "summary", "description", "operationId", "security", "deprecated")
    made = {key: operation[key] for key in kept if key in operation}
    parameters, body = [], None
    for parameter in operation.get("parameters", ()):
        real = shared.get(parameter.get("$ref", "").rpartition("/")[2], parameter)
        if real["in"] == "body":
            body = real
        else:
            parameters.append(_parameter(parameter))
    if parameters:
        made["parameters"] = parameters
    if body is not None:
        made["requestBody"] = _body(body, operation.get("consumes") or _JSON)
    produces = operation.get("produces") or _JSON
    made["responses"] = {k: _response(v, produces) for k, v in operation["responses"].items()}
    if parameters or body is not None:
        made["responses"].setdefault("400", _refused())
    return made


def _refused() -> Json:
    schema = {"$ref": "#/components/schemas/CorniceError"}
    return {
        "description": "What is wrong with the request.",
        "content": {"application/json": {"schema": schema}},
    }


def _body(body: Json, consumes: list[str]) -> Json:
    made: Json = {"required": bool(body.get("required"))}
    if body.get("description"):
        made["description"] = body["description"]
    schema = _referring(body["schema"])
    return {**made, "content": {kind: {"schema": schema} for kind in consumes}}


def _parameter(parameter: Json) -> Json:
    if "$ref" in parameter:
        referred: Json = _referring(parameter)
        return referred
    made = {key: value for key, value in parameter.items() if key in _OF_PARAMETER}
    rest = {key: value for key, value in parameter.items() if key not in _OF_PARAMETER}
    return {**made, "schema": _referring(rest)}


def _response(response: Json, produces: list[str]) -> Json:
    if "$ref" in response:
        referred: Json = _referring(response)
        return referred
    made: Json = {"description": response.get("description", "")}
    if "schema" in response:
        schema = _referring(response["schema"])
        made["content"] = {kind: {"schema": schema} for kind in produces}
    if "headers" in response:
        headers = response["headers"].items()
        made["headers"] = {name: {"schema": _referring(schema)} for name, schema in headers}
    return made


def _referring(value: Any) -> Any:
    """The same with references into `components`, and examples as JSON Schema has them."""
    if isinstance(value, list):
        return [_referring(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for key, inner in value.items():
        if key == "$ref":
            for old, new in _REFERENCES.items():
                inner = inner.replace(old, new)  # noqa: PLW2901 — one reference, three places
            made[key] = inner
        elif key == "example" and not isinstance(inner, dict):
            made["examples"] = [inner]
        else:
            made[key] = _referring(inner)
    return made
