"""How a view of a service is called: its class, its validators, then the view, then errors."""

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from pyramid.events import BeforeRender
from pyramid.interfaces import IRendererFactory, IResponseFactory
from pyramid.response import Response
from zope.interface import implementedBy

from chapiteau.cornice.renderer import CorniceRenderer
from chapiteau.cornice.util import func_name
from chapiteau.service.pipeline.reply import Reply, ReplyResponse
from chapiteau.service.pipeline.validators import filter_of_two
from chapiteau.service.protocol.headers import Environ

__all__ = ["AfterView", "FastRenderer", "JSONResponse", "_UnboundView", "decorate_view"]


# The short way from what a view returns to a response, where Pyramid's way would give the same.
#
# Pyramid's renderer machinery and WebOb's setters cost more than everything else a small view does.
# They are left out only for the renderer `cornicejson` as it comes, in an application that doesn't
# listen to BeforeRender and has no response factory of its own, for a view that has not touched
# `request.response`.

_encode = json.JSONEncoder().encode  # what json.dumps uses when it is given no options
_JSON = "application/json"


class JSONResponse(ReplyResponse):
    """A response that is light as long as nobody asks WebOb for more."""

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        # Both are set by filters and tweens; WebOb then looks at the request again.
        if self.conditional_response or any(name == "Location" for name, _ in self._headerlist):
            answer: Iterable[bytes] = Response.__call__(self, environ, start_response)
            return answer
        return super().__call__(environ, start_response)


class FastRenderer:
    """Renders for one view; looks once per application whether the short way is open."""

    __slots__ = ("_name", "_open", "_registry")

    def __init__(self, name: Any) -> None:
        self._name = name if isinstance(name, str) else ""
        self._registry: Any = None
        self._open = False

    def __call__(self, request: Any, result: Any) -> Any:
        """A response, or the result as it is: Pyramid then renders it."""
        if isinstance(result, Response):
            return result
        if request.registry is not self._registry:
            self._look(request.registry)
        attributes = request.__dict__
        accept = request.environ.get("HTTP_ACCEPT")
        if (
            not self._open
            or "response" in attributes
            or "override_renderer" in attributes
            or not (accept is None or accept in ("*/*", _JSON))
        ):
            return result
        try:
            body = _encode(result).encode()
        except TypeError:  # something that needs an adapter, or is a response of another kind
            return result
        headers = [("Content-Type", _JSON), ("Content-Length", str(len(body)))]
        return JSONResponse(Reply("200 OK", headers, body))

    def _look(self, registry: Any) -> None:
        factory = registry.queryUtility(IRendererFactory, name=self._name) if self._name else None
        listeners = registry.adapters.subscriptions([implementedBy(BeforeRender)], None)
        self._open = (
            type(factory) is CorniceRenderer
            and factory.serializer is json.dumps
            and not factory.kw
            and factory.acceptable == CorniceRenderer.acceptable
            and not list(listeners)
            and registry.queryUtility(IResponseFactory) is None
        )
        self._registry = registry


Validator = Callable[..., Any]


class _UnboundView:
    """The view of a class by the name of its method, with the method's name and docstring.

    `Service.definitions` has it, where `add_view` was given a `klass`; it can't be called itself.
    """

    def __init__(self, klass: type, view: str) -> None:
        self.unbound_view: Callable[..., Any] = getattr(klass, view.lower())
        functools.update_wrapper(cast("Any", self), self.unbound_view)
        self.__name__ = func_name(self.unbound_view)

    def make_bound_view(self, ob: Any) -> Callable[[], Any]:
        """The method of one object."""
        return functools.partial(self.unbound_view, ob)


class AfterView:
    """What remains to be done to the answer of a view that found no errors."""

    __slots__ = ("filters", "named", "negotiated")

    def __init__(self, args: dict[str, Any]) -> None:
        given = list(args.get("filters", ()))
        self.named = any(isinstance(one, str) for one in given)
        self.filters = [one if isinstance(one, str) else filter_of_two(one) for one in given]
        self.negotiated = bool(args.get("accept"))

    def bound(self, ob: Any) -> "AfterView":
        """The same with filters for the names of methods of one object."""
        if not self.named:
            return self
        made = AfterView({})
        made.filters = [
            filter_of_two(getattr(ob, one)) if isinstance(one, str) else one for one in self.filters
        ]
        made.negotiated = self.negotiated
        return made


def decorate_view(
    view: Any, args: dict[str, Any], method: str, route_args: dict[str, Any] | None = None
) -> Callable[[Any], Any]:
    """The Pyramid view for one view of a service.

    Everything that doesn't depend on the request is decided here, once.
    """
    # A view that can be called needs no object, whatever class the service has.
    klass = None if callable(view) else args.get("klass")
    with_context = bool(route_args and "factory" in route_args)
    validators = list(args.get("validators", ()))
    named = any(isinstance(v, str) for v in validators)
    handler = args.get("error_handler")
    answered = AfterView(args)
    render = FastRenderer(args.get("renderer"))
    unbound = view
    if isinstance(view, str) and klass is not None:
        unbound = _UnboundView(klass, view)
    by_name = isinstance(unbound, _UnboundView)
    real = unbound.unbound_view if by_name else view

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
            result = real(ob) if by_name else view(request)
            if not errors:
                request._cornice_answered = answered.bound(ob)  # noqa: SLF001 — our own word on it
                return render(request, result)
        answer = getattr(ob, handler) if isinstance(handler, str) else handler
        return answer(request)  # type: ignore[misc]

    functools.update_wrapper(call, real)
    name = func_name(real)
    # What Pyramid's log and its answer to a failed permission check call the view.
    call.__name__ = call.__qualname__ = f"{name}__{method}"
    return call


def _bound(validators: Sequence[Any], ob: Any) -> list[Validator]:
    return [getattr(ob, v) if isinstance(v, str) else v for v in validators]
