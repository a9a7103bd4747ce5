"""How a view of a service is called: its class, its validators, then the view, then errors."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

from chapiteau.cornice._answering import Answerer
from chapiteau.cornice.util import func_name

__all__ = ["Answered", "decorate_view"]

Validator = Callable[..., Any]


class Answered:
    """What remains to be done to the answer of a view that found no errors."""

    __slots__ = ("filters", "negotiated")

    def __init__(self, args: dict[str, Any]) -> None:
        self.filters = [_filter(one) for one in args.get("filters", ())]
        self.negotiated = bool(args.get("accept"))


def _filter(one: Any) -> Callable[[Any, Any], Any]:
    """A filter takes the response, or the response and the request."""
    try:
        parameters = inspect.signature(one).parameters.values()
    except (TypeError, ValueError):  # made in C: it says nothing about itself
        return lambda response, _request: one(response)
    taken = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(taken) > 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return cast("Callable[[Any, Any], Any]", one)
    return lambda response, _request: one(response)


def decorate_view(
    view: Any, args: dict[str, Any], method: str, route_args: dict[str, Any] | None = None
) -> Callable[[Any], Any]:
    """The Pyramid view for one view of a service.

    Everything that doesn't depend on the request is decided here, once.
    """
    klass = args.get("klass")
    with_context = bool(route_args and "factory" in route_args)
    validators = list(args.get("validators", ()))
    named = any(isinstance(v, str) for v in validators)
    handler = args.get("error_handler")
    answered = Answered(args)
    render = Answerer(args.get("renderer"))
    by_name = isinstance(view, str)

    def call(request: Any) -> Any:
        ob = None
        if klass is not None:
            ob = (
                klass(request=request, context=request.context)
                if with_context
                else klass(request=request)
            )
        for validator in _bound(validators, ob) if named else validators:
            validator(request, **args)
        errors = request.errors
        if not errors:
            result = getattr(ob, view)() if by_name else view(request)
            if not errors:
                request._cornice_answered = answered  # noqa: SLF001 — our own word on it
                return render(request, result)
        answer = getattr(ob, handler) if isinstance(handler, str) else handler
        return answer(request)  # type: ignore[misc]

    real = getattr(klass, view, call) if by_name else view
    functools.update_wrapper(call, real)
    name = func_name(real)
    # What Pyramid's log and its answer to a failed permission check call the view.
    call.__name__ = call.__qualname__ = f"{name}__{method}"
    return call


def _bound(validators: Sequence[Any], ob: Any) -> list[Validator]:
    return [getattr(ob, v) if isinstance(v, str) else v for v in validators]
