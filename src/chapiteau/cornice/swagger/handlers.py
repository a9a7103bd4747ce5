"""Definitions, parameters and responses of a Swagger 2 document, in full or by reference."""

import re
from collections.abc import Mapping
from typing import Any, Final

import colander

from chapiteau.cornice.swagger.converters import (
    ParameterConversionDispatcher,
    TypeConversionDispatcher,
)
from chapiteau.cornice.swagger.converters.parameters import untitled
from chapiteau.service.openapi import Json

__all__ = ["CorniceSwaggerException", "DefinitionHandler", "ParameterHandler", "ResponseHandler"]

_PLACES: Final = ("path", "header", "headers", "querystring", "query", "GET")
_PATH_PART: Final = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")


class CorniceSwaggerException(Exception):  # noqa: N818 — the name that applications catch
    """Services that can't be described."""


class DefinitionHandler:
    """Schemas, down to `ref` levels deep as references (-1: all)."""

    json_pointer = "#/definitions/"

    def __init__(self, ref: int = 0, type_converter: Any = None) -> None:
        self.definition_registry: Json = {}
        self.ref = ref
        self.type_converter = type_converter or TypeConversionDispatcher()

    def from_schema(self, schema_node: Any, base_name: str | None = None) -> Json:
        """The schema of a node, or a reference to it."""
        found: Json = self.type_converter(schema_node)
        return self._refer(found, self.ref, base_name) if self.ref else found

    def _refer(self, schema: Json, depth: int, name: str | None = None) -> Json:
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
        parameter_converter: Any = None,
    ) -> None:
        self.parameter_registry: Json = {}
        self.type_converter = type_converter or TypeConversionDispatcher()
        self.parameter_converter = parameter_converter or ParameterConversionDispatcher(
            self.type_converter
        )
        self.definitions = definition_handler or DefinitionHandler()
        self.ref = ref

    def from_schema(self, schema_node: Any) -> list[Json]:
        """From a schema with a child for each part of a request."""
        found = []
        for part in schema_node.children:
            if part.name == "body":
                found.append(self._noted(self._body(part, _name_of(part, schema_node))))
            elif part.name in _PLACES:
                convert = self.parameter_converter
                found += [self._noted(convert(part.name, child)) for child in part.children]
        return found

    def _body(self, node: Any, name: str) -> Json:
        made: Json = self.parameter_converter("body", node)
        if "schema" in made:  # in full: cornice_swagger refers to definitions from answers only
            made["schema"]["title"] = name
        return {**made, "name": name}

    def from_path(self, path: str) -> list[Json]:
        """From the parts in braces of a Pyramid pattern."""
        found = []
        for name, pattern in _PATH_PART.findall(path):
            named = f"{name}:{pattern}" if pattern else name
            node = colander.SchemaNode(colander.String(), name=named)
            found.append(self._noted(self.parameter_converter("path", node)))
        return found

    def _noted(self, parameter: Json) -> Json:
        if not self.ref:
            return parameter
        name = parameter["name"]
        self.parameter_registry[name] = parameter
        return {"$ref": self.json_pointer + name}


def _name_of(node: Any, parent: Any) -> str:
    """The class of a schema; one that was written inside another is just called `body`."""
    name = type(node).__name__
    return f"{type(parent).__name__}Body" if name == "body" else name


class ResponseHandler:
    """Answers of an operation."""

    json_pointer = "#/responses/"

    def __init__(
        self, definition_handler: Any = None, type_converter: Any = None, ref: bool = False
    ) -> None:
        self.response_registry: Json = {}
        self.type_converter = type_converter or TypeConversionDispatcher()
        self.definitions = definition_handler or DefinitionHandler()
        self.ref = ref

    def from_schema_mapping(self, schema_mapping: Mapping[Any, Any]) -> Json:
        """From `response_schemas=`: a schema with body and header for each status."""
        return {str(status): self._of(node) for status, node in schema_mapping.items()}

    def _of(self, node: Any) -> Json:
        if not node.description:
            raise CorniceSwaggerException(f"an answer without description: {type(node).__name__}")
        made: Json = {"description": node.description}
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

    def _header(self, node: Any) -> Json:
        return untitled(self.type_converter(node))
