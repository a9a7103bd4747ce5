"""Definitions, parameters and responses of a Swagger 2 document, in full or by reference."""

import re
from collections.abc import Mapping
from typing import Any, Final

from chapiteau.cornice.swagger.converters import TypeConversionDispatcher

__all__ = ["CorniceSwaggerException", "DefinitionHandler", "ParameterHandler", "ResponseHandler"]

_PLACES: Final = {"querystring": "query", "GET": "query", "headers": "header"}
_PATH_PART: Final = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")
_OF_SCHEMA_ONLY: Final = ("title", "example")


class CorniceSwaggerException(Exception):  # noqa: N818 — the name that applications catch
    """Services that can't be described."""


class DefinitionHandler:
    """Schemas, down to `ref` levels deep as references (-1: all)."""

    json_pointer = "#/definitions/"

    def __init__(self, ref: int = 0, type_converter: Any = None) -> None:
        self.definition_registry: dict[str, Any] = {}
        self.ref = ref
        self.type_converter = type_converter or TypeConversionDispatcher()

    def from_schema(self, schema_node: Any, base_name: str | None = None) -> dict[str, Any]:
        """The schema of a node, or a reference to it."""
        found: dict[str, Any] = self.type_converter(schema_node)
        return self._refer(found, self.ref, base_name) if self.ref else found

    def _refer(self, schema: dict[str, Any], depth: int, name: str | None = None) -> dict[str, Any]:
        if depth == 0 or schema.get("type") != "object":
            return schema
        name = name or schema.get("title", "")
        for key, inner in schema.get("properties", {}).items():
            schema["properties"][key] = self._refer(inner, depth - 1, inner.get("title"))
        self.definition_registry[name] = schema
        return {"$ref": self.json_pointer + name}


class ParameterHandler:
    """Parameters of an operation and of a path."""

    json_pointer = "#/parameters/"

    def __init__(
        self,
        definition_handler: Any = None,
        ref: bool = False,
        type_converter: Any = None,
    ) -> None:
        self.parameter_registry: dict[str, Any] = {}
        self.type_converter = type_converter or TypeConversionDispatcher()
        self.definitions = definition_handler or DefinitionHandler()
        self.ref = ref

    def from_schema(self, schema_node: Any) -> list[dict[str, Any]]:
        """From a schema with a child for each part of a request."""
        found = []
        for part in schema_node.children:
            if part.name == "body":
                found.append(self._noted(self._body(part, _name_of(part, schema_node))))
            elif part.name in ("path", "header", "headers", "querystring", "query", "GET"):
                place = _PLACES.get(part.name, part.name)
                found += [self._noted(self._simple(place, child)) for child in part.children]
        return found

    def _body(self, node: Any, name: str) -> dict[str, Any]:
        made: dict[str, Any] = {"name": name, "in": "body", "required": node.required}
        if node.description:
            made["description"] = node.description
        return {**made, "schema": {**self._schema(node), "title": name}}

    def _schema(self, node: Any) -> dict[str, Any]:
        """In full: cornice_swagger refers to definitions from answers only."""
        found: dict[str, Any] = self.type_converter(node)
        return found

    def _simple(self, place: str, node: Any) -> dict[str, Any]:
        made = {"name": node.name, "in": place, "required": place == "path" or node.required}
        if node.default:  # null and "" say nothing
            made["default"] = node.default
        return {**made, **_untitled(self.type_converter(node))}

    def from_path(self, path: str) -> list[dict[str, Any]]:
        """From the parts in braces of a Pyramid pattern."""
        return [self._noted(one) for one in _path_parameters(path)]

    def _noted(self, parameter: dict[str, Any]) -> dict[str, Any]:
        if not self.ref:
            return parameter
        name = parameter["name"]
        self.parameter_registry[name] = parameter
        return {"$ref": self.json_pointer + name}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    found = []
    for name, pattern in _PATH_PART.findall(path):
        made = {"name": name, "in": "path", "required": True, "type": "string"}
        found.append({**made, "pattern": pattern} if pattern else made)
    return found


def _name_of(node: Any, parent: Any) -> str:
    """The class of a schema; one that was written inside another is just called `body`."""
    name = type(node).__name__
    return f"{type(parent).__name__}Body" if name == "body" else name


def _untitled(told: dict[str, Any]) -> dict[str, Any]:
    """A schema as parameters and headers have it."""
    made = {k: v for k, v in told.items() if k not in _OF_SCHEMA_ONLY}
    if "items" in made:
        made["items"] = _untitled(made["items"])
    return made


class ResponseHandler:
    """Answers of an operation."""

    json_pointer = "#/responses/"

    def __init__(
        self, definition_handler: Any = None, type_converter: Any = None, ref: bool = False
    ) -> None:
        self.response_registry: dict[str, Any] = {}
        self.type_converter = type_converter or TypeConversionDispatcher()
        self.definitions = definition_handler or DefinitionHandler()
        self.ref = ref

    def from_schema_mapping(self, schema_mapping: Mapping[Any, Any]) -> dict[str, Any]:
        """From `response_schemas=`: a schema with body and header for each status."""
        return {str(status): self._of(node) for status, node in schema_mapping.items()}

    def _of(self, node: Any) -> dict[str, Any]:
        if not node.description:
            raise CorniceSwaggerException(f"an answer without description: {type(node).__name__}")
        made: dict[str, Any] = {"description": node.description}
        for part in node.children:
            if part.name == "body":
                name = _name_of(part, node)
                schema = self.definitions.from_schema(part, base_name=name)
                if "$ref" not in schema:
                    schema = {**schema, "title": name}
                made["schema"] = schema
            elif part.name in ("header", "headers"):
                made["headers"] = {child.name: self._header(child) for child in part.children}
        if not self.ref:
            return made
        name = type(node).__name__
        self.response_registry[name] = made
        return {"$ref": self.json_pointer + name}

    def _header(self, node: Any) -> dict[str, Any]:
        return _untitled(self.type_converter(node))
