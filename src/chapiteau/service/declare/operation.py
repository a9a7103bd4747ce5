"""One operation of a service, read from its handler's signature and annotations."""

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from chapiteau.service.declare.examples import example_error, nested_example_error
from chapiteau.service.declare.option_checks import default_error, option_complaints
from chapiteau.service.declare.path import path_parameters
from chapiteau.service.declare.records import Field, fields_of, is_record, strip_annotated
from chapiteau.service.declare.signature import (
    JSON_ONLY,
    Answer,
    Body,
    Cookie,
    Header,
    Marker,
    OperationOptions,
    Path,
    Query,
)
from chapiteau.service.errors import DeclarationError
from chapiteau.service.protocol.conditional import Precondition

__all__ = [
    "BodySpec",
    "Operation",
    "Parameter",
    "accepts_datetime",
    "accepts_fraction",
    "is_group",
    "is_multiple",
    "read_operation",
]

_MARKERS: Final = (Path, Query, Header, Cookie, Body)
_SCALARS: Final = (list, set, frozenset, tuple)
_WITH_BODY: Final = ("POST", "PUT", "PATCH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter on the wire; `field` is set when it belongs to a group (`argument`)."""

    argument: str
    field: str
    wire: str
    marker: Marker
    type: Any
    required: bool
    default: Any

    @property
    def many(self) -> bool:
        """Whether it may be given several times."""
        return is_multiple(self.type)

    @property
    def has_number(self) -> bool:
        """Whether a number may be meant that is not whole, for which "nan" must not pass."""
        return accepts_fraction(self.type)

    @property
    def has_moment(self) -> bool:
        """Whether a moment or a duration is meant, for which a number must not pass."""
        return accepts_datetime(self.type)

    @property
    def has_null(self) -> bool:
        """Whether nothing may be meant, for which "null" must not pass: it is left out instead."""
        kinds = _inner_kinds(self.type)
        return type(None) in kinds and str not in kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class BodySpec:
    """The request's body: which argument takes it, as what."""

    argument: str
    type: Any
    required: bool
    default: Any
    marker: Marker


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Everything that a plan and a document need to know about one method of a service."""

    method: str
    path: str
    handler: Callable[..., Any]
    options: OperationOptions
    request_argument: str | None
    context_argument: str | None
    precondition_argument: str | None
    identity_argument: str | None
    parameters: tuple[Parameter, ...]
    arguments: tuple[tuple[str, Any, Any], ...]
    body: BodySpec | None
    answer: Any
    raw_media: str = ""
    ranged: bool = False  # the answer is a file: parts of it may be asked for

    @property
    def status(self) -> int:
        """The status of a good answer."""
        if self.options.status is not None:
            return self.options.status
        return 204 if self.answer is None and not self.raw_media else 200

    @property
    def offers(self) -> tuple[str, ...]:
        """The media types of a good answer; `*/*` when only the handler knows."""
        said = self.options.produces
        return (self.raw_media,) if self.raw_media and said == JSON_ONLY else said

    @property
    def where(self) -> str:
        """For complaints: method, path and the handler's place in the code."""
        code = getattr(inspect.unwrap(self.handler), "__code__", None)
        place = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
        return f"{self.method} {self.path}{place}"


def read_operation(
    method: str, path: str, handler: Callable[..., Any], options: OperationOptions
) -> Operation:
    """Read a handler. Raises DeclarationError that names the parameter which makes no sense."""
    reader = _Reader(method, path, handler, known=options.auth is not None)
    reader.check_options(options)
    for name, parameter in inspect.signature(handler).parameters.items():
        reader.argument(name, parameter)
    reader.check_path()
    answer = _answer_type(reader.hints)
    reader.check_examples(answer, options.example)
    return Operation(
        method=method,
        path=path,
        handler=handler,
        options=options,
        request_argument=reader.request,
        context_argument=reader.context,
        precondition_argument=reader.precondition,
        identity_argument=reader.identity,
        parameters=tuple(reader.parameters),
        arguments=tuple(reader.arguments),
        body=reader.body,
        answer=answer,
        raw_media=_raw_media(reader.hints.get("return")),
        ranged=bool(getattr(reader.hints.get("return"), "ranged", False)),
    )


def _answer_type(hints: dict[str, Any]) -> Any:
    if "return" not in hints:
        return Any
    kind = hints["return"]
    if typing.get_origin(kind) is Answer:
        (kind,) = typing.get_args(kind)
    return None if kind is type(None) or _raw_media(kind) else kind


def _raw_media(kind: Any) -> str:
    """The media type of an answer that has no schema: a stream's own, or `*/*` for a Response."""
    if not isinstance(kind, type):
        return ""
    if hasattr(kind, "media") or hasattr(kind, "pieces"):
        return str(getattr(kind, "media", "*/*"))
    return "*/*" if hasattr(kind, "app_iter") else ""


class _Reader:
    def __init__(
        self, method: str, path: str, handler: Callable[..., Any], *, known: bool = False
    ) -> None:
        self.method = method
        self.known = known  # somebody asks whom we know: `identity` may be a parameter
        self.identity: str | None = None
        self.path = path
        self.handler = handler
        self.in_path = path_parameters(path)
        self.hints = self._hints(handler)
        self.request: str | None = None
        self.context: str | None = None
        self.precondition: str | None = None
        self.parameters: list[Parameter] = []
        self.arguments: list[tuple[str, Any, Any]] = []
        self.body: BodySpec | None = None

    def _hints(self, handler: Callable[..., Any]) -> dict[str, Any]:
        try:
            hints = typing.get_type_hints(handler, include_extras=True)
        except (NameError, TypeError) as exc:
            raise self.wrong(
                "",
                f"has an annotation that can't be read: {exc}",
                "define the type at module level",
            ) from exc
        return {k: v for k, v in hints.items() if v is not inspect.Parameter.empty}

    def wrong(self, name: str, what: str, hint: str = "") -> DeclarationError:
        code = getattr(inspect.unwrap(self.handler), "__code__", None)
        place = f" at {code.co_filename}:{code.co_firstlineno}" if code else ""
        who = f"parameter {name!r} " if name else ""
        title = getattr(self.handler, "__qualname__", repr(self.handler))
        return DeclarationError(
            f"{self.method} {self.path}: {who}of {title}{place} {what}"
            if name
            else f"{self.method} {self.path}: {title}{place} {what}",
            hint=hint,
        )

    def check_options(self, options: OperationOptions) -> None:
        """Raises DeclarationError for the first thing that no operation can mean."""
        for what, hint in option_complaints(self.handler, options):
            raise self.wrong("", what, hint)

    def argument(self, name: str, given: inspect.Parameter) -> None:
        if given.kind in (given.VAR_POSITIONAL, given.VAR_KEYWORD):
            raise self.wrong(name, "is * or **", "name every parameter")
        kind = self.hints.get(name)
        if (
            name == "request"
            or (kind is None and name not in self.in_path and not self._started)
            or _is_request(kind)
        ):
            self.request = name
        elif name == "context" and name not in self.in_path:
            self.context = name
        elif name == "identity" and self.known:
            self.identity = name
        elif kind is Precondition:
            self.precondition = name
        elif kind is None and name not in self.in_path and self.method in _WITH_BODY:
            raise self.wrong(
                name,
                "has no annotation: is it the body, or of the query?",
                f"{name}: SomeStruct takes the body, {name}: str is of the query",
            )
        else:
            self._typed(name, kind if kind is not None else str, given)

    @property
    def _started(self) -> bool:
        return bool(self.request or self.parameters or self.body)

    def _typed(self, name: str, kind: Any, given: inspect.Parameter) -> None:
        base, marker = _marker_of(kind)
        required = given.default is inspect.Parameter.empty
        default = msgspec.NODEFAULT if required else given.default
        if wrong := default_error(base, default):
            raise self.wrong(
                name, f"has the default {default!r}, which its type refuses: {wrong}", "mend either"
            )
        if marker is None:
            marker = self._guess(name, base)
        if marker.place == "body":
            self._take_body(name, base, marker, default)
        elif marker.place == "path" and (marker.name or name) not in self.in_path:
            raise self.wrong(
                name, f"is not in the path {self.path!r}", "write it there as {" + name + "}"
            )
        elif is_group(base):
            self.arguments.append((name, base, default))
            self._group(name, base, marker)
        else:
            self.arguments.append((name, base, default))
            self._single(name, base, marker, default)

    def _guess(self, name: str, kind: Any) -> Marker:
        if name in self.in_path:
            return Path()
        if any(is_group(part) or part in (dict, bytes) for part in _parts(kind)):
            return Body()
        return Query()

    def _take_body(self, name: str, kind: Any, marker: Marker, default: Any) -> None:
        if self.body is not None:
            raise self.wrong(
                name,
                f"is a second body beside {self.body.argument!r}",
                "put both into one Struct, or mark one with Query()",
            )
        required = default is msgspec.NODEFAULT
        self.body = BodySpec(
            argument=name, type=kind, required=required, default=default, marker=marker
        )

    def _single(self, name: str, kind: Any, marker: Marker, default: Any) -> None:
        self.parameters.append(
            Parameter(
                argument=name,
                field="",
                wire=marker.name or _wire(name, marker),
                marker=marker,
                type=kind,
                required=default is msgspec.NODEFAULT or marker.place == "path",
                default=default,
            )
        )

    def _group(self, name: str, kind: Any, marker: Marker) -> None:
        for own in fields_of(kind):
            base, inner = _marker_of(own.kind)
            said = inner or type(marker)()
            self.parameters.append(
                Parameter(
                    argument=name,
                    field=own.wire,
                    wire=said.name or _wire_of(own, marker),
                    marker=said if said.place == marker.place else type(marker)(said.name),
                    type=base,
                    required=own.required,
                    default=own.default,
                )
            )

    def check_path(self) -> None:
        taken = {p.wire for p in self.parameters if p.marker.place == "path"}
        missing = [name for name in self.in_path if name not in taken]
        if missing and self.request is None:
            raise self.wrong(
                "",
                f"does not take {missing[0]!r} of the path",
                f"add a parameter {missing[0]}: str",
            )

    def check_examples(self, answer: Any, example: Any) -> None:
        """Raises DeclarationError for an example that its own type would refuse."""
        said = [(p.argument, p.type, p.marker.example) for p in self.parameters]
        if self.body is not None:
            said.append((self.body.argument, self.body.type, self.body.marker.example))
        said.append(("", answer, example))
        for name, kind, value in said:
            wrong = "" if value is None else example_error(kind, value)
            wrong = wrong or nested_example_error(kind)
            if wrong:
                whose = repr(name) if name else "its answer"
                raise self.wrong("", f"has a wrong example of {whose}: {wrong}", "mend it")


def _marker_of(kind: Any) -> tuple[Any, Marker | None]:
    """The type without our marker, but with everything else that is annotated."""
    if typing.get_origin(kind) is not Annotated:
        return kind, None
    base, *extra = typing.get_args(kind)
    marker: Marker | None = None
    for item in extra:
        if isinstance(item, _MARKERS):
            marker = item
        elif isinstance(item, type) and issubclass(item, _MARKERS):
            marker = item()
    kept = [e for e in extra if not _is_marker(e)]
    for item in kept:
        base = Annotated[base, item]
    return base, marker


def _is_marker(item: Any) -> bool:
    return isinstance(item, _MARKERS) or (isinstance(item, type) and issubclass(item, _MARKERS))


def _parts(kind: Any) -> list[Any]:
    """The alternatives of a type, unwrapped."""
    while typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return [part for arg in typing.get_args(kind) for part in _parts(arg)]
    origin = typing.get_origin(kind)
    return [dict if origin is dict else kind]


def is_multiple(kind: Any) -> bool:
    """Whether a type takes several values, alone or as an alternative."""
    return any(typing.get_origin(k) in _SCALARS or k in _SCALARS for k in _parts(kind))


def accepts_fraction(kind: Any) -> bool:
    """Whether a text may stand for a number that is not whole."""
    return not {float, Decimal}.isdisjoint(_inner_kinds(kind))


def accepts_datetime(kind: Any) -> bool:
    """Whether a text stands for a moment or a duration, and for no number."""
    kinds = set(_inner_kinds(kind))
    return not {datetime, timedelta}.isdisjoint(kinds) and {int, float}.isdisjoint(kinds)


def _inner_kinds(kind: Any) -> list[Any]:
    """The alternatives of a type, and of what it holds."""
    kinds = _parts(kind)
    inner = [arg for k in kinds for arg in typing.get_args(k) if not isinstance(arg, str)]
    return [k for one in [*kinds, *inner] for k in _parts(one) if isinstance(k, type)]


def is_group(kind: Any) -> bool:
    """Whether a type has fields: in the query it spreads over several parameters."""
    plain = strip_annotated(kind)
    plain = typing.get_origin(plain) or plain
    return is_record(kind) or (isinstance(plain, type) and issubclass(plain, msgspec.Struct))


def _is_request(kind: Any) -> bool:
    return (isinstance(kind, type) and hasattr(kind, "environ_getter")) or (
        isinstance(kind, type) and kind.__module__.startswith(("pyramid.", "webob."))
    )


def _wire_of(own: Field, marker: Marker) -> str:
    return own.wire if own.wire != own.name else _wire(own.name, marker)


def _wire(name: str, marker: Marker) -> str:
    return name.replace("_", "-").title() if marker.place == "header" else name
