"""From colander's types to the words of a document; add your own by subclassing."""

from chapiteau.cornice.swagger.converters import exceptions, schema
from chapiteau.cornice.swagger.converters.schema import TypeConversionDispatcher, convert_schema

__all__ = ["TypeConversionDispatcher", "convert_schema", "exceptions", "schema"]
