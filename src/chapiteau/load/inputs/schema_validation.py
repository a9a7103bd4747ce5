"""Does a value satisfy a schema? The library `jsonschema` judges, lenient with broken schemas.

It is imported at the first question: nobody else who runs a load test pays for it.
"""

import importlib
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from chapiteau.load.inputs.schema_flattening import schema_types
from chapiteau.load.inputs.schema_references import References

__all__ = ["SchemaValidator"]

# A rule of jsonschema: (validator, keyword's value, instance, schema) → errors.
_Rule = Callable[[Any, Any, Any, Any], Iterator[Any]]

_LEFT_OUT: Final = ("format", "unevaluatedItems", "unevaluatedProperties")
_MALFORMED: Final = (
    re.error, TypeError, ValueError, AttributeError, LookupError, ArithmeticError,
)  # fmt: skip


class SchemaValidator:
    """Judges values by the schemas of one document, in the dialect of its OpenAPI version."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._validator: Any = None

    def is_valid(self, value: Any, schema: Any) -> bool:
        """True when the value satisfies the schema; keywords that make no sense ask for nothing."""
        if not isinstance(schema, Mapping | bool):
            return True
        if self._validator is None:
            self._validator = self._extended()({})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # patterns are somebody else's
            try:
                return bool(self._validator.evolve(schema=schema).is_valid(value))
            except RecursionError:
                return True  # a schema without end

    def _extended(self) -> Any:
        """The validator of 2020-12 with what OpenAPI and a load test understand differently."""
        library = importlib.import_module("jsonschema")
        draft = library.Draft202012Validator
        unknown_type = library.exceptions.UnknownType
        rules: dict[str, _Rule] = {
            **draft.VALIDATORS,
            "$ref": self._reference,
            "$dynamicRef": self._reference,
            "required": self._required,
            "multipleOf": _multiple,
            "anyOf": _counted(1, math.inf),
            "oneOf": _counted(1, 1),
            "type": lambda validator, _, instance, schema: draft.VALIDATORS["type"](
                validator, self._types(schema), instance, schema
            ),
            "exclusiveMinimum": _flagged("minimum", draft.VALIDATORS["exclusiveMinimum"]),
            "exclusiveMaximum": _flagged("maximum", draft.VALIDATORS["exclusiveMaximum"]),
            **dict.fromkeys(_LEFT_OUT, _nothing),
        }
        malformed = (*_MALFORMED, unknown_type)
        extend = library.validators.extend
        return extend(draft, {key: _lenient(rule, malformed) for key, rule in rules.items()})

    def _types(self, schema: Mapping[str, Any]) -> list[str]:
        return sorted(schema_types(schema, nullable=self._references.nullable) or ())

    def _reference(self, validator: Any, target: Any, instance: Any, _schema: Any) -> Iterator[Any]:
        found, _ = self._references.target(target, "")
        yield from validator.descend(instance, found)

    def _required(self, _validator: Any, names: Any, instance: Any, schema: Any) -> Iterator[Any]:
        """What is read-only is not sent, so its absence is no fault."""
        if not isinstance(instance, Mapping):
            return
        properties = schema.get("properties", {})
        for name in names:
            if name not in instance and not self._read_only(properties.get(name)):
                yield _fault(f"{name!r} is missing")

    def _read_only(self, schema: Any) -> bool:
        target, _ = self._references.follow(schema, "")
        return isinstance(target, Mapping) and target.get("readOnly") is True


def _lenient(rule: _Rule, malformed: tuple[type[Exception], ...]) -> _Rule:
    """The rule, silent where the schema's keyword is malformed."""

    def check(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        try:
            yield from rule(validator, wanted, instance, schema)
        except malformed:
            return

    return check


def _nothing(_validator: Any, _wanted: Any, _instance: Any, _schema: Any) -> Iterator[Any]:
    return iter(())


def _flagged(bound: str, rule: _Rule) -> _Rule:
    """An exclusive bound that is a flag beside the bound itself, as OpenAPI 3.0 has it."""

    def check(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        limit = schema.get(bound) if wanted is True else wanted
        yield from rule(validator, limit, instance, schema)

    return check


def _counted(least: float, most: float) -> _Rule:
    """So many branches must fit. Unlike the library's own rule, it gathers no errors of those that
    do not, which takes exponential time in schemas that contain themselves."""

    def check(validator: Any, branches: Any, instance: Any, _schema: Any) -> Iterator[Any]:
        fitting = sum(validator.evolve(schema=branch).is_valid(instance) for branch in branches)
        if branches and not least <= fitting <= most:
            yield _fault(f"{fitting} of {len(branches)} branches fit")

    return check


def _multiple(_validator: Any, step: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    """With room for binary fractions: 0.3 is a multiple of 0.1."""
    if isinstance(instance, int | float) and not isinstance(instance, bool) and step > 0:
        quotient = instance / step
        if abs(quotient - round(quotient)) >= 1e-9 * max(1.0, abs(quotient)):
            yield _fault(f"{instance!r} is not a multiple of {step!r}")


def _fault(text: str) -> Any:
    return importlib.import_module("jsonschema").ValidationError(text)
