"""From colander's types to the words of a document; add your own by subclassing."""

from typing import Any

from chapiteau.cornice.swagger.converters import exceptions, parameters, schema
from chapiteau.cornice.swagger.converters.parameters import ParameterConversionDispatcher
from chapiteau.cornice.swagger.converters.schema import TypeConversionDispatcher, convert_schema
from chapiteau.service.openapi import Json

__all__ = [
    "ParameterConversionDispatcher",
    "TypeConversionDispatcher",
    "convert_parameter",
    "convert_schema",
    "exceptions",
    "parameters",
    "schema",
]


def convert_parameter(
    location: str, schema_node: Any, definition_handler: Any = convert_schema
) -> Json:
    """The parameter of a node in `path`, `querystring`, `header` or `body`."""
    return ParameterConversionDispatcher(definition_handler)(location, schema_node)
