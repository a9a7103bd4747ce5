"""`@resource`: a class whose methods answer for a thing and for the collection it belongs to."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

import venusian

from chapiteau.service.engine.service import METHODS, Service
from chapiteau.service.errors import DeclarationError

__all__ = ["add_resource", "resource", "services_of", "view"]

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])

_COLLECTION: Final = "collection_"
_VIEW: Final = "__chapiteau_view__"
_OWN: Final = "__chapiteau_resource__"  # the instance, kept with its request
_SERVICES: Final = "__chapiteau_services__"


def resource(
    path: str = "", *, name: str = "", collection_path: str = "", **options: Any
) -> Callable[[C], C]:
    """Class decorator: `@resource("/notes/{id}", collection_path="/notes")`.

    Methods `get`, `put` … answer for the member, `collection_get`, `collection_post` … for the
    collection; each is a typed handler. The class is made once per request, with it and, when it
    has a parameter `context`, with what the route's factory made. Options are those of `Service`;
    with `collection_` in front they belong to the collection alone. Raises DeclarationError.
    """

    def declare(klass: C) -> C:
        services = add_resource(klass, path, name=name, collection_path=collection_path, **options)

        def register(context: Any, _name: str, found: Any) -> None:
            # A subclass inherits the mark; only the class that was decorated is registered.
            if found is klass:
                config = context.config.with_package(inspect.getmodule(klass))
                for service in services:
                    config.add_service(service)

        venusian.attach(klass, register, category="pyramid")
        return klass

    return declare


def add_resource(
    klass: type, path: str = "", *, name: str = "", collection_path: str = "", **options: Any
) -> tuple[Service, ...]:
    """The services of a class, for `config.add_service`. Raises DeclarationError."""
    name = name or klass.__name__.lower()
    for key in options:
        if key.startswith(_COLLECTION) and not collection_path:
            raise DeclarationError(
                f"resource {name!r}: {key} without a collection", hint="give collection_path="
            )
    services = []
    for prefix, where in (("", path), (_COLLECTION, collection_path)):
        if where:
            services.append(_service(klass, prefix, prefix + name, where, options))
        elif found := _methods(klass, prefix):
            raise DeclarationError(
                f"resource {name!r} has {found[0]}() but no {prefix}path",
                hint=f"give {prefix}path=, or remove the method",
            )
    setattr(klass, _SERVICES, tuple(services))
    return tuple(services)


def services_of(klass: type) -> tuple[Service, ...]:
    """The services that `@resource` has made of a class: the member's, then the collection's."""
    found: tuple[Service, ...] = vars(klass).get(_SERVICES, ())
    return found


def view(**options: Any) -> Callable[[F], F]:
    """Method decorator: options of one operation, as `Service.get(…)` takes them."""

    def declare(function: F) -> F:
        setattr(function, _VIEW, options)
        return function

    return declare


def _methods(klass: type, prefix: str) -> list[str]:
    names = [prefix + method.lower() for method in METHODS]
    return [name for name in names if callable(getattr(klass, name, None))]


def _service(klass: type, prefix: str, name: str, path: str, options: dict[str, Any]) -> Service:
    mine = {k: v for k, v in options.items() if not k.startswith(_COLLECTION)}
    if prefix:
        mine |= {k.removeprefix(prefix): v for k, v in options.items() if k.startswith(prefix)}
    if hasattr(klass, "__acl__"):
        mine.setdefault("factory", klass)  # so that Pyramid asks the class who may do what
    _bind(klass, mine)
    made = Service(name, path, description=inspect.getdoc(klass) or "", **mine)
    for own in _methods(klass, prefix):
        function = getattr(klass, own)
        more = dict(getattr(function, _VIEW, {}))
        _bind(klass, more)
        made.add(own.removeprefix(prefix), _handler(klass, function), **more)
    return made


def _bind(klass: type, options: dict[str, Any]) -> None:
    """Names of validators and filters become calls of the instance's methods."""
    for key in ("validators", "filters", "exclude"):
        if key in options:
            options[key] = tuple(
                _Bound(klass, one) if isinstance(one, str) else one for one in options[key]
            )


class _Bound:
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
        return isinstance(other, _Bound) and (self.klass, self.name) == (other.klass, other.name)

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


def _handler(klass: type, function: Callable[..., Any]) -> Callable[..., Any]:
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
