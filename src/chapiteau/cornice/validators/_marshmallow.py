"""Validation by marshmallow schemas, of marshmallow 3 and 4."""

import contextlib
import inspect
from collections.abc import Iterator
from functools import cache
from operator import is_
from typing import Any, Final
from weakref import WeakKeyDictionary

from chapiteau.cornice.validators._extracting import (
    MISSING,
    extract_cstruct,
    part_of,
    part_validator,
)
from chapiteau.cornice.validators._quick_load import UNSURE, quick_fields, quick_reader

__all__ = [
    "body_validator",
    "headers_validator",
    "load",
    "path_validator",
    "querystring_validator",
    "validator",
]


# Schema objects of marshmallow, kept from one request to the next.
#
# Making one costs twenty times as much as using it. Laws: a schema object serves one request at a
# time; it carries no context and no state into the next; a class that wants to see its making
# (`__init__`, `on_bind_field`), or hands its context to others, gets a new object per request.

_MOST_KEPT: Final = 16  # of one class: as many as threads use it at the same time
_MAKING: Final = ("__init__", "__new__", "__setattr__", "on_bind_field")


class _Kept:
    """A schema object, what it consisted of when it was made, and its context."""

    __slots__ = ("context", "quick", "schema", "state")

    def __init__(
        self, schema: type, options: dict[str, Any], request: Any, *, watched: bool
    ) -> None:
        self.context: dict[str, Any] = {**(options.pop("context", None) or {}), "request": request}
        if watched and _takes_context():
            # Who looks on while it is made may ask for it; marshmallow 3.26 warns of it.
            options["context"] = self.context
        self.schema = schema(**options)
        self.schema.context = self.context
        _hasten(self.schema)
        self.state = dict(vars(self.schema))
        self.quick: Any = None

    def clean(self) -> bool:
        """Let go of the request; whether a hook has left nothing behind."""
        # Never empty: marshmallow 3 shares a context with nested schemas only while it isn't.
        self.context.clear()
        self.context["request"] = None
        now = vars(self.schema)
        state = self.state
        return list(now) == list(state) and all(map(is_, now.values(), state.values()))


def _hasten(schema: Any) -> None:
    """Let the quick reader have the fields of a schema with hooks; marshmallow runs the hooks.

    It does so around `_deserialize`, which gets the same words in marshmallow 3 and 4. Whatever
    the quick reader is not sure of goes the usual way.
    """
    read = quick_fields(schema)
    if read is None or not hasattr(schema, "_deserialize"):
        return
    slow = schema._deserialize  # noqa: SLF001

    def deserialize(data: Any, **said: Any) -> Any:
        if said.get("many") or said.get("partial") or said.get("unknown") != "raise":
            return slow(data, **said)
        found = read(data)
        return slow(data, **said) if found is UNSURE else found

    schema._deserialize = deserialize  # noqa: SLF001


_pools: Final["WeakKeyDictionary[type, list[_Kept] | None]"] = WeakKeyDictionary()


def load(schema: type, options: Any, request: Any, data: Any) -> Any:
    """What the schema makes of the data. Raises marshmallow.ValidationError."""
    pool = None if options else _pool_of(schema)
    if pool is None:
        watched = _pool_of(schema) is None
        kept = _Kept(schema, dict(options or {}), request, watched=watched)
        return _load(kept, request, data)
    try:
        kept = pool.pop()
    except IndexError:
        kept = _Kept(schema, {}, request, watched=False)
        kept.quick = quick_reader(kept.schema)
    if kept.quick is not None:
        found = kept.quick(data)  # neither sees nor changes the schema object
        if found is not UNSURE:
            pool.append(kept)
            return found
    kept.context["request"] = request
    try:
        return _load(kept, request, data)
    finally:
        if kept.clean() and len(pool) < _MOST_KEPT:
            pool.append(kept)


def _load(kept: _Kept, request: Any, data: Any) -> Any:
    if _takes_context():
        return kept.schema.load(data)
    with _context(kept.context):
        return kept.schema.load(data)


def _pool_of(schema: type) -> list[_Kept] | None:
    try:
        return _pools[schema]
    except KeyError:
        pool: list[_Kept] | None = [] if _plain(schema, set()) else None
        return _pools.setdefault(schema, pool)


def _plain(schema: type, seen: set[type]) -> bool:
    """Whether nobody looks on while an object of this class is made, or of a nested one."""
    import marshmallow

    if schema in seen:
        return True
    seen.add(schema)
    if any(getattr(schema, name) is not getattr(marshmallow.Schema, name) for name in _MAKING):
        return False
    fields: dict[str, Any] = schema._declared_fields  # type: ignore[attr-defined]  # noqa: SLF001
    return all(_plain_field(field, seen) for field in fields.values())


def _plain_field(field: Any, seen: set[type]) -> bool:
    from marshmallow import class_registry, fields

    if isinstance(field, fields.Nested):
        nested = field.nested
        if isinstance(nested, str) and nested != "self":
            with contextlib.suppress(Exception):  # not known yet, or known twice
                nested = class_registry.get_class(nested)
        return nested == "self" or (inspect.isclass(nested) and _plain(nested, seen))
    inner = [getattr(field, name, None) for name in ("inner", "key_field", "value_field")]
    inner += getattr(field, "tuple_fields", None) or []
    return all(_plain_field(part, seen) for part in inner if part is not None)


@cache
def _takes_context() -> bool:
    """marshmallow 3 takes a context when a schema is made; 4 has one for a block of code."""
    import marshmallow

    return "context" in inspect.signature(marshmallow.Schema.__init__).parameters


@contextlib.contextmanager
def _context(context: dict[str, Any]) -> Iterator[None]:
    """marshmallow 4's own way to the context: `Context.get()["request"]`."""
    from marshmallow.experimental.context import Context

    with Context(context):
        yield


_REQUIRED = "Missing data for required field."


def validator(request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any) -> None:
    """Validate the whole request: the schema has a field for each part of it."""
    import marshmallow

    if schema is None:
        return
    _check_class(schema)
    parts = (extract_cstruct if deserializer is None else deserializer)(request)
    try:
        found = load(schema, kwargs.get("schema_kwargs"), request, parts)
    except marshmallow.ValidationError as exc:
        for location, told in _told(exc).items():
            if location == "_schema":
                request.errors.add("", "", told)
            elif isinstance(told, dict):
                for name, text in told.items():
                    request.errors.add(location, name, text)
            else:
                request.errors.add(location, location, told)
    else:
        request.validated.update(found)


def _validate(request: Any, location: str, schema: Any, deserializer: Any, options: Any) -> None:
    import marshmallow

    if schema is None:
        return
    _check_class(schema)
    part = part_of(request, location, deserializer)
    if part is MISSING:
        request.errors.add(location, location, [_REQUIRED])
        return
    try:
        request.validated = load(schema, options, request, part)
    except marshmallow.ValidationError as exc:
        for name, told in _told(exc).items():
            request.errors.add(location, name, told)


def _told(exc: Any) -> dict[str, Any]:
    """Messages by field, or by part of the request."""
    found: dict[str, Any] = exc.normalized_messages()
    return found


def _check_class(schema: Any) -> None:
    if not inspect.isclass(schema):
        raise ValueError(
            f"give the class of the schema, not an instance: {type(schema).__name__}; "
            "its arguments go into schema_kwargs"
        )


body_validator = part_validator(_validate, "body")
headers_validator = part_validator(_validate, "header")
path_validator = part_validator(_validate, "path")
querystring_validator = part_validator(_validate, "querystring")
