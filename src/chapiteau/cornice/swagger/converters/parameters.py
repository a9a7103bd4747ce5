"""From the parts of a request's schema to parameters of a document."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from chapiteau.cornice.swagger.converters.exceptions import NoSuchConverter
from chapiteau.service.openapi import Json

__all__ = [
    "BodyParameterConverter",
    "HeaderParameterConverter",
    "ParameterConversionDispatcher",
    "ParameterConverter",
    "PathParameterConverter",
    "QueryParameterConverter",
    "untitled",
]

# Describes a node: a TypeConversionDispatcher, or whatever refers to definitions instead.
Describe = Callable[[Any], Json]
_OF_SCHEMA_ONLY: Final = ("title", "example")


def untitled(told: Json) -> Json:
    """A schema as parameters and headers have it."""
    made = {k: v for k, v in told.items() if k not in _OF_SCHEMA_ONLY}
    if "items" in made:
        made["items"] = untitled(made["items"])
    return made


class ParameterConverter:
    """How to describe a parameter of one place; subclass it for your own."""

    _in: ClassVar[str] = ""

    def convert(self, schema_node: Any, definition_handler: Describe) -> Json:
        """The parameter of a node."""
        made = self._begun(schema_node)
        if schema_node.default:  # null and "" say nothing
            made["default"] = schema_node.default
        return {**made, **untitled(definition_handler(schema_node))}

    def _begun(self, node: Any) -> Json:
        made = {"name": node.name, "in": self._in, "required": self._required(node)}
        return {**made, "description": node.description} if node.description else made

    def _required(self, schema_node: Any) -> bool:
        return bool(schema_node.required)


class PathParameterConverter(ParameterConverter):
    """A part of the path; its name may bring its pattern along, as in `id:[0-9]+`."""

    _in = "path"

    def convert(self, schema_node: Any, definition_handler: Describe) -> Json:
        """The parameter of a node, with its pattern."""
        made = super().convert(schema_node, definition_handler)
        made["name"], colon, pattern = made["name"].partition(":")
        return {**made, "pattern": pattern} if colon else made

    def _required(self, schema_node: Any) -> bool:
        return True  # or the document would not be valid


class QueryParameterConverter(ParameterConverter):
    """A value of the query string."""

    _in = "query"


class HeaderParameterConverter(ParameterConverter):
    """A header."""

    _in = "header"


class BodyParameterConverter(ParameterConverter):
    """The body; named as its class."""

    _in = "body"

    def convert(self, schema_node: Any, definition_handler: Describe) -> Json:
        """The parameter of a node, its schema in full."""
        made = self._begun(schema_node)
        title = type(schema_node).__name__
        return {**made, "schema": {**definition_handler(schema_node), "title": title}}


class ParameterConversionDispatcher:
    """Finds the converter for a part of a request; raises NoSuchConverter."""

    converters: ClassVar[dict[str, type[ParameterConverter]]] = {
        "body": BodyParameterConverter,
        "path": PathParameterConverter,
        "query": QueryParameterConverter,
        "querystring": QueryParameterConverter,
        "GET": QueryParameterConverter,
        "header": HeaderParameterConverter,
        "headers": HeaderParameterConverter,
    }

    def __init__(self, definition_handler: Describe) -> None:
        self.definition_handler = definition_handler

    def __call__(self, location: str, schema_node: Any) -> Json:
        found = self.converters.get(location)
        if found is None:
            raise NoSuchConverter(location)
        return found().convert(schema_node, self.definition_handler)
