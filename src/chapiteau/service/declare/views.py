"""Several views of one method: told apart by what they take and give, read with one set of
parameters, so that the document can tell them as one operation and still be right."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from chapiteau.service.declare.operation import Operation, Parameter
from chapiteau.service.declare.signature import JSON_ONLY, listed
from chapiteau.service.errors import DeclarationError
from chapiteau.service.protocol.headers import media_type
from chapiteau.service.protocol.negotiation import View

__all__ = [
    "accepted_media",
    "check_distinct",
    "depends_on_request",
    "may_overlap",
    "native_media_options",
    "needs_dispatch",
    "share_parameters",
    "view_for",
]

_WORDS: Final = {"accept": "produces", "content_type": "consumes"}
# Options of Pyramid's views that say how to answer, not when.
_NO_PREDICATES: Final = frozenset({"permission", "decorator", "mapper", "http_cache"})


def native_media_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options with Cornice's `accept=` and `content_type=` said in our words.

    Each is a media type, a callable that takes the request and gives some, or a list of both.
    Media types become `produces` and `consumes`, unless those are said beside a callable.
    """
    made = dict(given)
    for word, native in _WORDS.items():
        if word not in made:
            if native in made:
                made[word] = ()
            continue
        values = listed(made[word])
        texts = tuple(one for one in values if isinstance(one, str))
        made[word] = values
        if texts and not (len(texts) < len(values) and native in made):
            made[native] = texts
    return made


def needs_dispatch(operations: Sequence[Operation]) -> bool:
    """Whether a request must be looked at before it is known who answers, and with what."""
    first = operations[0].options
    unread = bool(first.content_type) and operations[0].body is None
    return len(operations) > 1 or depends_on_request(operations[0]) or unread


def depends_on_request(operation: Operation) -> bool:
    """Whether a callable has a say in what it takes or gives."""
    return any(callable(x) for x in (*operation.options.accept, *operation.options.content_type))


def view_for(operation: Operation, request: Any) -> tuple[View, tuple[str, ...]]:
    """What an operation takes and gives for one request, and its offers when they are narrowed.

    Raises DeclarationError when a callable names what the operation can't do.
    """
    options, offers = operation.options, operation.offers
    anything = offers == ("*/*",)
    narrowed = _named(options.accept, request)
    if narrowed and not anything:
        _prove_known(operation, "accept", narrowed, offers)
        offers = tuple(one for one in offers if media_type(one) in narrowed)
    elif narrowed:
        offers = narrowed
    elif anything:
        offers = ()
    consumes = accepted_media(operation)
    if (called := _named(options.content_type, request)) and consumes:
        _prove_known(operation, "content_type", called, consumes)
    view = View(method=operation.method, produces=offers, consumes=called or consumes)
    return view, offers if narrowed else ()


def accepted_media(operation: Operation) -> tuple[str, ...]:
    """The media types that an operation takes; empty: anything, for all that it cares."""
    options = operation.options
    unread = operation.body is None and not options.content_type
    raw = operation.body is not None and operation.body.type is bytes
    return () if unread or (raw and options.consumes == JSON_ONLY) else options.consumes


def _named(said: Sequence[Any], request: Any) -> tuple[str, ...]:
    if not any(callable(one) for one in said):
        return ()
    found: list[str] = []
    for one in said:
        found += listed(one(request)) if callable(one) else (one,)
    return tuple(dict.fromkeys(media_type(one) for one in found))


def _prove_known(
    operation: Operation, word: str, called: Iterable[str], known: Iterable[str]
) -> None:
    kinds = {media_type(one) for one in known}
    if unknown := [one for one in called if one not in kinds]:
        raise DeclarationError(
            f"{operation.where}: its {word}= names {unknown[0]!r} for a request",
            hint=f"say so beforehand: {_WORDS[word]}=[…, {unknown[0]!r}]",
        )


# ── may they stand side by side? ─────────────────────────────────────────────────────────────────
def check_distinct(new: Operation, others: Iterable[Operation]) -> None:
    """Raises DeclarationError when nothing tells an operation from another of its method."""
    for other in others:
        if may_overlap(new, other) and _alike(new, other):
            raise DeclarationError(
                f"{new.method} of {new.path} is there twice: {other.where} and {new.where}",
                hint="tell them apart by produces=, consumes= or a predicate, or remove one",
            )


def may_overlap(one: Operation, other: Operation) -> bool:
    """Whether both may be meant by one request: of one method, in one version of the API."""
    a, b = one.options.versions, other.options.versions
    return one.method == other.method and not (a and b and set(a).isdisjoint(b))


def _alike(one: Operation, other: Operation) -> bool:
    a, b = one.options, other.options
    if set(accepted_media(one)) != set(accepted_media(other)) or set(one.offers) != set(
        other.offers
    ):
        return False
    if _callables(a.accept) != _callables(b.accept):
        return False
    if _callables(a.content_type) != _callables(b.content_type):
        return False
    return _predicates(one) == _predicates(other)


def _callables(said: Sequence[Any]) -> list[Any]:
    return [one for one in said if callable(one)]


def _predicates(operation: Operation) -> dict[str, Any]:
    return {k: v for k, v in operation.options.view.items() if k not in _NO_PREDICATES}


def share_parameters(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Operations of one method, each of which reads the parameters of all.

    A parameter is checked by whichever answers, since the document knows one operation; it
    reaches the handlers that name it. Raises DeclarationError where they contradict each other.
    """
    if len(operations) == 1:
        return tuple(operations)
    known: dict[tuple[str, str], tuple[Parameter, Operation]] = {}
    for operation in operations:
        for parameter in operation.parameters:
            first = known.setdefault(_key(parameter), (parameter, operation))
            _prove_same(parameter, operation, *first)
    _prove_cors(operations)
    return tuple(
        _reading(one, [parameter for parameter, _ in known.values()]) for one in operations
    )


def _key(parameter: Parameter) -> tuple[str, str]:
    return parameter.marker.place, parameter.wire.lower()


def _prove_same(
    parameter: Parameter, operation: Operation, first: Parameter, of: Operation
) -> None:
    if parameter.type != first.type or parameter.required != first.required:
        raise DeclarationError(
            f"{operation.where}: parameter {parameter.wire!r} is another than that of {of.where}",
            hint="views of one method share their parameters: give both the same type and default",
        )


def _prove_cors(operations: Sequence[Operation]) -> None:
    said = [one for one in operations if one.options.cors is not None]
    for one in said:
        if one.options.cors != said[0].options.cors:
            raise DeclarationError(
                f"{one.where} has another cors= than {said[0].where}",
                hint="a preflight names a method, not a media type: say one policy for both",
            )


def _reading(operation: Operation, all_known: Sequence[Parameter]) -> Operation:
    own = {_key(parameter) for parameter in operation.parameters}
    missing = [parameter for parameter in all_known if _key(parameter) not in own]
    if not missing:
        return operation
    taken = {name for name, _, _ in operation.arguments} | set(_special(operation))
    added: list[Parameter] = []
    for number, parameter in enumerate(missing):
        if parameter.required and parameter.marker.place != "path":
            raise DeclarationError(
                f"{operation.where} does not take {parameter.wire!r}, which another view needs",
                hint="give it a default there, or take it here too",
            )
        plain = parameter.field or parameter.argument
        name = plain if plain not in taken else f"{plain}_{number}"
        taken.add(name)
        added.append(replace(parameter, argument=name, field=""))
    return replace(
        operation,
        parameters=(*operation.parameters, *added),
        arguments=(*operation.arguments, *(_argument(parameter) for parameter in added)),
        handler=_without(operation.handler, [parameter.argument for parameter in added]),
    )


def _argument(parameter: Parameter) -> tuple[str, Any, Any]:
    in_path = parameter.marker.place == "path"
    return parameter.argument, parameter.type, msgspec.NODEFAULT if in_path else parameter.default


def _special(operation: Operation) -> Iterable[str]:
    names = (
        operation.request_argument, operation.context_argument, operation.precondition_argument,
        operation.identity_argument, operation.body.argument if operation.body else None,
    )  # fmt: skip
    return [name for name in names if name is not None]


def _without(handler: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    @functools.wraps(handler)
    def called(**arguments: Any) -> Any:
        for name in names:
            arguments.pop(name, None)
        return handler(**arguments)

    return called
