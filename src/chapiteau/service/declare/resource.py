"""`@resource`: a class whose methods answer for a thing and for the collection it belongs to."""

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

import venusian

from chapiteau.service.declare.service import METHODS, Service, bind_names, handler_of
from chapiteau.service.errors import DeclarationError

__all__ = ["add_resource", "resource", "view"]

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])

_COLLECTION: Final = "collection_"
_VIEW: Final = "__chapiteau_view__"


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
    return tuple(services)


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
    bind_names(klass, mine)
    made = Service(name, path, description=inspect.getdoc(klass) or "", **mine)
    for own in _methods(klass, prefix):
        function = getattr(klass, own)
        more = dict(getattr(function, _VIEW, {}))
        bind_names(klass, more)
        made.add(own.removeprefix(prefix), handler_of(klass, function), **more)
    return made
