"""Resources: a class with a method for each verb, for one thing and for the collection of all."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import venusian

from chapiteau.cornice.service import Service

__all__ = ["add_resource", "add_view", "resource", "view"]

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])

_VERBS: Final = ("get", "post", "put", "delete", "options", "patch")
_COLLECTION: Final = "collection_"


def resource(depth: int = 2, **kw: Any) -> Callable[[C], C]:
    """Class decorator: `@resource(collection_path="/users", path="/users/{id}")`."""

    # A frame of its own, and no partial: a scan looks for the module `depth` calls further out.
    def declare(klass: C) -> C:
        return add_resource(klass, depth, **kw)

    return declare


def add_resource(klass: C, depth: int = 2, **kw: Any) -> C:
    """Make the services of a class; a scan or `config.add_cornice_resource` registers them.

    Arguments that begin with `collection_` are for the collection alone. Raises ValueError when
    paths and routes are mixed, TypeError when there is neither.
    """
    by_path = "path" in kw or "collection_path" in kw
    by_route = "pyramid_route" in kw or "collection_pyramid_route" in kw
    if by_path and by_route:
        raise ValueError("give paths or Pyramid routes to a resource, not both")
    for word in ("path", "pyramid_route"):
        if kw.get(word) is not None and kw[word] == kw.get(_COLLECTION + word):
            told = f"Warning: collection_{word} and {word} are not distinct."
            warnings.warn(told)  # noqa: B028 — called as Cornice does; tests of applications look
    services = {}
    for prefix in ("", _COLLECTION):
        own = _arguments(kw, prefix)
        if prefix and not (own.get("path") or own.get("pyramid_route")):
            continue
        made = _service(klass, prefix, own, depth)
        services[made.name] = made
    klass._services = services  # type: ignore[attr-defined]  # noqa: SLF001 — read by applications

    def register(context: Any, _name: str, _ob: Any) -> None:
        # A subclass inherits the attribute; only the class that was decorated is registered.
        context.config.with_package(info.module).add_cornice_resource(klass)

    info = venusian.attach(klass, register, category="pyramid", depth=depth)
    return klass


def _arguments(kw: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The arguments of the thing, or of the collection with its own in front."""
    mine = {key: value for key, value in kw.items() if not key.startswith(_COLLECTION)}
    if prefix:
        mine.pop("path", None)
        mine.pop("pyramid_route", None)
        own = {k.removeprefix(prefix): v for k, v in kw.items() if k.startswith(prefix)}
        mine.update(own)
    return mine


def _service(klass: type, prefix: str, own: dict[str, Any], depth: int) -> Service:
    name = own.pop("name", None) or klass.__name__.lower()
    own.setdefault("factory", klass)
    made = Service(name=prefix + name, depth=depth + 2, **own)
    # As in Cornice, the service has the name, the words and the attributes of the class:
    # `renderer = "json"` in a class is the renderer of its views.
    functools.update_wrapper(cast("Any", made), klass)
    for verb in _VERBS:
        method = prefix + verb
        function = getattr(klass, method, None)
        if function is None:
            continue
        for options in getattr(function, "__views__", None) or [{}]:
            made.add_view(verb, method, klass=klass, **options)
    return made


def view(**kw: Any) -> Callable[[F], F]:
    """Method decorator: arguments for the view of one verb; several make several views."""
    return functools.partial(add_view, **kw)


def add_view(func: F, **kw: Any) -> F:
    """The same without a decorator."""
    if not hasattr(func, "__views__"):
        func.__views__ = []  # type: ignore[attr-defined]
    func.__views__.append(kw)  # type: ignore[attr-defined]
    return func
