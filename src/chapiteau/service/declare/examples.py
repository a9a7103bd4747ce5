"""Examples, held against the types that they are examples of."""

import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from chapiteau.service.declare.pydantic_types import is_pydantic, issue_collector, to_builtins
from chapiteau.service.declare.records import fields_of, is_record

__all__ = ["example_error", "nested_example_error"]


def example_error(kind: Any, value: Any) -> str:
    """What is wrong with a value as an example of a type; empty when nothing is."""
    try:
        found = issue_collector(kind)(to_builtins(value, Any))
    except (TypeError, ValueError, NotImplementedError) as exc:
        return str(exc)
    return "; ".join(f"{one.pointer or 'it'}: {one.detail}" for one in found)


def nested_example_error(kind: Any) -> str:
    """The first example inside a type, in a `Meta(examples=…)`, that doesn't fit its own place."""
    for inner, value in _examples(kind, set()):
        if wrong := example_error(inner, value):
            return f"{value!r}: {wrong}"
    return ""


def _examples(kind: Any, seen: set[int]) -> Iterator[tuple[Any, Any]]:
    if id(kind) in seen or is_pydantic(kind):
        return  # pydantic looks at its own
    seen.add(id(kind))
    if typing.get_origin(kind) is typing.Annotated:
        for extra in typing.get_args(kind)[1:]:
            if isinstance(extra, msgspec.Meta):
                more = extra.extra_json_schema or {}
                yield from ((kind, value) for value in extra.examples or more.get("examples", ()))
    for part in typing.get_args(kind):
        yield from _examples(part, seen)
    if is_record(kind):
        for field in fields_of(kind):
            yield from _examples(field.kind, seen)
