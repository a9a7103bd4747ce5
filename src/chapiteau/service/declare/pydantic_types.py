"""pydantic's models and annotations as types of parameters, bodies and answers.

Nothing here imports pydantic before a handler has named something of it.
"""

import functools
import typing
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec

from chapiteau.service.declare.records import fields_of, is_model, is_record
from chapiteau.service.declare.validation import IssueCollector, ValidationIssue, json_pointer
from chapiteau.service.errors import DeclarationError

__all__ = [
    "Mode",
    "PydanticIssueCollector",
    "check_unmixed",
    "encode_unknown",
    "is_pydantic",
    "issue_collector",
    "json_dumper",
    "model_schemas",
    "to_builtins",
    "type_adapter",
]

Mode = Literal["validation", "serialization"]
_HOMES: Final = ("pydantic", "pydantic_core", "annotated_types")
_CODES: Final = (
    ("missing", "missing"), ("extra_forbidden", "unknown"), ("too_short", "length"),
    ("too_long", "length"), ("string_pattern", "pattern"), ("greater_than", "range"),
    ("less_than", "range"), ("multiple_of", "range"), ("literal_error", "choice"),
    ("enum", "choice"), ("_parsing", "format"), ("_type", "type"), ("union_tag", "choice"),
)  # fmt: skip


def is_pydantic(kind: Any, depth: int = 6) -> bool:
    """Whether pydantic has to read and write a type: it, or something inside it, is pydantic's."""
    if not depth:
        return False
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        base, *extra = typing.get_args(kind)
        return is_pydantic(base, depth - 1) or any(_at_home(type(item)) for item in extra)
    if origin is not None:
        return any(is_pydantic(part, depth - 1) for part in typing.get_args(kind))
    if not isinstance(kind, type) or kind.__module__.startswith("chapiteau."):
        return False
    return is_model(kind) or hasattr(kind, "__get_pydantic_core_schema__") or _at_home(kind)


def check_unmixed(kind: Any, where: str, seen: frozenset[int] = frozenset()) -> None:
    """Raises DeclarationError for a record of another library that holds a model."""
    if id(kind) in seen:
        return
    seen |= {id(kind)}
    for inner in typing.get_args(kind):
        check_unmixed(inner, where, seen)
    if is_record(kind) and not is_pydantic(kind):
        for field in fields_of(kind):
            if is_pydantic(field.kind):
                raise DeclarationError(
                    f"{where}: {kind.__name__}.{field.name} is pydantic's, {kind.__name__} is not",
                    hint="put msgspec Structs into Structs, and pydantic models into models",
                )
            check_unmixed(field.kind, where, seen)


def _at_home(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in _HOMES


@functools.lru_cache(maxsize=1024)
def _adapter(kind: Any) -> Any:
    import pydantic

    return pydantic.TypeAdapter(kind)


def type_adapter(kind: Any, where: str = "") -> Any:
    """pydantic's TypeAdapter. Raises DeclarationError for what it can't read."""
    try:
        return _adapter(kind)
    except Exception as exc:
        raise DeclarationError(
            f"{where or kind!r}: pydantic can't read this: {str(exc).partition(chr(10))[0]}",
            hint="put msgspec Structs into Structs, and pydantic models into models",
        ) from exc


def json_dumper(kind: Any, *, check: bool = False) -> Callable[[Any], bytes]:
    """What writes values of a type as JSON, by the names that its schema publishes.

    With `check` it raises pydantic's error for a value of another type.
    """
    dump = type_adapter(kind).dump_json
    return functools.partial(dump, by_alias=True, warnings="error" if check else "none")


class PydanticIssueCollector:
    """Collects complaints about values of one of pydantic's types."""

    def __init__(self, kind: Any, *, strict: bool = True) -> None:
        self._adapter = type_adapter(kind)
        self._strict = strict

    def __call__(self, value: object) -> list[ValidationIssue]:
        """All complaints."""
        import pydantic

        try:
            self.read(value)
        except pydantic.ValidationError as exc:
            said = exc.errors(include_url=False, include_context=False, include_input=False)
            return [_complaint(one) for one in said]
        return []

    def read(self, value: object) -> Any:
        """Plain JSON values as the type, by the rules of JSON; else texts, as a form has them."""
        if self._strict:
            return self._adapter.validate_json(msgspec.json.encode(value), strict=True)
        return self._adapter.validate_python(value)


def _complaint(one: Any) -> ValidationIssue:
    code = next((ours for theirs, ours in _CODES if theirs in one["type"]), "value")
    return ValidationIssue(json_pointer(tuple(one["loc"])), code, one["msg"])


def issue_collector(kind: Any, *, strict: bool = True) -> IssueCollector | PydanticIssueCollector:
    """What finds all problems of a value of a type, whosever type it is."""
    if is_pydantic(kind):
        return PydanticIssueCollector(kind, strict=strict)
    return IssueCollector(kind, strict=strict)


def model_schemas(
    kinds: Sequence[tuple[Any, Any, Mode]], ref: str
) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """Schemas of (key, type, mode) by key, and the components that they refer to.

    `ref` is where a component will stand, with `{name}` for its name.
    """
    if not kinds:
        return {}, {}
    import pydantic

    made, shared = pydantic.TypeAdapter.json_schemas(
        [(str(at), mode, type_adapter(kind)) for at, (_, kind, mode) in enumerate(kinds)],
        ref_template=ref.replace("{name}", "{model}"),
    )
    found = {key: _untitled(made[str(at), mode]) for at, (key, _, mode) in enumerate(kinds)}
    return found, {name: _untitled(one) for name, one in shared.get("$defs", {}).items()}


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the title that pydantic makes of every field's name: it says nothing new."""
    made = {key: value for key, value in schema.items() if key != "title"}
    if isinstance(fields := made.get("properties"), dict):
        made["properties"] = {name: _untitled(field) for name, field in fields.items()}
    return made


def to_builtins(value: Any, kind: Any = Any) -> Any:
    """A value as JSON has it. Raises TypeError, ValueError for one that JSON can't say."""
    if is_pydantic(kind):
        return msgspec.json.decode(json_dumper(kind)(value))
    return msgspec.to_builtins(value, enc_hook=encode_unknown)


def encode_unknown(value: Any) -> Any:
    """A model that stands where no type has said so, as JSON-ready values. Raises TypeError."""
    if is_model(type(value)):
        return value.model_dump(mode="json", by_alias=True)
    raise NotImplementedError(f"{type(value).__qualname__} can't be written as JSON")
