"""Methods of a class as handlers, validators and filters: the class is made once per request."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final

from chapiteau.service.declare.options import listed
from chapiteau.service.errors import DeclarationError

__all__ = ["BoundName", "bind_names", "handler_of"]

_OWN: Final = "__chapiteau_resource__"  # the instance, kept with its request


def bind_names(klass: type, options: dict[str, Any]) -> None:
    """Names of validators and filters become calls of the instance's methods.

    Changes `options`. Raises DeclarationError for a name that is no method.
    """
    for key in ("validators", "filters", "exclude"):
        if key in options:
            options[key] = tuple(
                BoundName(klass, one) if isinstance(one, str) else one
                for one in listed(options[key])
            )


class BoundName:
    """A method of the resource by its name; two of the same name are equal (for `exclude=`)."""

    def __init__(self, klass: type, name: str) -> None:
        if not callable(getattr(klass, name, None)):
            raise DeclarationError(
                f"{klass.__qualname__} has no method {name!r}", hint="name one of its methods"
            )
        self.klass, self.name = klass, name

    def __call__(self, *arguments: Any) -> Any:
        # A validator is called with the request, a filter with the response and the request.
        return getattr(_instance(self.klass, arguments[-1]), self.name)(*arguments)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoundName) and (self.klass, self.name) == (other.klass, other.name)

    def __hash__(self) -> int:
        return hash((self.klass, self.name))

    def __repr__(self) -> str:
        return f"<method {self.klass.__qualname__}.{self.name}>"


def _instance(klass: type, request: Any) -> Any:
    made = request.__dict__.get(_OWN)
    if made is None:
        if isinstance(request.context, klass):
            made = request.context
        elif _takes_context(klass):
            made = klass(request, request.context)
        else:
            made = klass(request)
        request.__dict__[_OWN] = made
    return made


@functools.cache
def _takes_context(klass: type) -> bool:
    return "context" in inspect.signature(klass).parameters


def handler_of(klass: type, function: Callable[..., Any]) -> Callable[..., Any]:
    """A method as a handler: the same typed parameters, but a request instead of `self`."""
    _, *rest = inspect.signature(function).parameters.values()
    names = {p.name for p in rest}
    only_class = _takes_context(klass) and "context" not in names

    @functools.wraps(function)
    def handler(request: Any, **arguments: Any) -> Any:
        if "request" in names:
            arguments["request"] = request
        if only_class:
            del arguments["context"]
        return function(_instance(klass, request), **arguments)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    first = [inspect.Parameter(n, kind) for n in ("request", *(("context",) if only_class else ()))]
    own = [p for p in rest if p.name != "request"]
    handler.__signature__ = inspect.Signature([*first, *own])  # type: ignore[attr-defined]
    return handler
