"""`Service`: a path with a handler per method, found by `config.scan()`."""

import copy
import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import venusian

from chapiteau.core.problems import did_you_mean
from chapiteau.service.auth import check_scopes
from chapiteau.service.declare.operation import Operation, read_operation
from chapiteau.service.declare.signature import OperationOptions, listed
from chapiteau.service.declare.views import (
    check_distinct,
    may_overlap,
    native_media_options,
    share_parameters,
)
from chapiteau.service.errors import DeclarationError

__all__ = ["METHODS", "BoundName", "Service", "bind_names", "context_package", "handler_of"]


# Methods of a class as handlers, validators and filters: the class is made once per request.

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


METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

# Keyword arguments of a decorator that Pyramid's add_view understands: a method with one of them
# takes the normal path (see fast_path.py).
_VIEW_OPTIONS: Final = frozenset({
    "permission", "decorator", "mapper", "custom_predicates", "request_param", "match_param",
    "containment", "header", "xhr", "effective_principals", "is_authenticated", "require_csrf",
    "http_cache", "physical_path", "request_type",
})  # fmt: skip
_ROUTE_OPTIONS: Final = frozenset({"factory", "traverse", "header", "xhr", "request_param"})
_EXTENDED: Final = ("validators", "filters")  # lists that are added to, not replaced

F = TypeVar("F", bound=Callable[..., Any])


class Service:
    """One path of an API and what can be done with it.

        cities = Service("cities", "/cities", description="The world's cities.")

        @cities.get()
        def listing(country: str = "") -> list[City]:
            "Cities, largest first."

    Further keyword arguments are defaults for every method, or options of Pyramid's route
    (`factory`, `traverse`, predicates). With `pyramid_route` it stands on a route that
    `config.add_route` has added, whose pattern is `path`. With `klass`, names of its methods stand
    for handlers, validators and filters. A subclass sets defaults for a project: a class attribute
    `default_cors` is the default of `cors`. Raises DeclarationError.
    """

    def __init__(
        self,
        name: str,
        path: str,
        *,
        description: str = "",
        depth: int = 1,
        **defaults: Any,
    ) -> None:
        self.name = name
        self.path = path
        self.description = description
        self.pyramid_route = str(defaults.pop("pyramid_route", ""))
        self.route = {k: defaults.pop(k) for k in list(defaults) if k in _ROUTE_OPTIONS}
        self.klass: type | None = defaults.pop("klass", None)
        if self.klass is not None:
            bind_names(self.klass, defaults)
        self.defaults = _over(_class_defaults(type(self)), native_media_options(defaults))
        self.operations: list[Operation] = []
        venusian.attach(self, _register, category="pyramid", depth=depth)

    def __repr__(self) -> str:
        return f"<Service {self.name} {self.path} {' '.join(self.methods) or '(empty)'}>"

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that it has handlers for, in the order of the first of each."""
        return tuple(dict.fromkeys(one.method for one in self.operations))

    def get(self, **options: Any) -> Callable[[F], F]:
        """Reading: must not change anything."""
        return self.method("GET", **options)

    def post(self, **options: Any) -> Callable[[F], F]:
        """Creating, or any other deed."""
        return self.method("POST", **options)

    def put(self, **options: Any) -> Callable[[F], F]:
        """Replacing the whole thing."""
        return self.method("PUT", **options)

    def patch(self, **options: Any) -> Callable[[F], F]:
        """Changing a part of it."""
        return self.method("PATCH", **options)

    def delete(self, **options: Any) -> Callable[[F], F]:
        """Removing it."""
        return self.method("DELETE", **options)

    def head(self, **options: Any) -> Callable[[F], F]:
        """Reading headers only; without it, GET answers HEAD too."""
        return self.method("HEAD", **options)

    def options(self, **options: Any) -> Callable[[F], F]:
        """Asking what is possible; without it, the methods are listed in Allow."""
        return self.method("OPTIONS", **options)

    def method(self, method: str, **options: Any) -> Callable[[F], F]:
        """A decorator for any method; the handler stays as it is."""

        def declare(handler: F) -> F:
            self.add(method, handler, **options)
            return handler

        return declare

    def add(self, method: str, handler: Callable[..., Any] | str, **options: Any) -> Operation:
        """The same without a decorator; a name is that of a method of `klass`.

        A method may have several handlers that differ in `consumes`, `produces` or predicates:
        the request's Content-Type and Accept say which answers. Raises DeclarationError.
        """
        method = method.upper()
        if method not in METHODS:
            raise DeclarationError(
                f"service {self.name!r}: no method {method!r}", hint=did_you_mean(method, METHODS)
            )
        klass = options.pop("klass", self.klass)
        if klass is not None:
            bind_names(klass, options)
        if isinstance(handler, str):
            handler = self._named(klass, handler)
        made = read_operation(method, self.path, handler, self._options(self._merged(options)))
        check_scopes(made.options.auth, made.options.scopes, made.where)
        check_distinct(made, self.operations)
        share_parameters([one for one in [*self.operations, made] if may_overlap(one, made)])
        self.operations.append(made)
        return made

    def in_version(self, version: str) -> "Service":
        """A copy with the operations that this version has: those that say so, or say nothing."""
        made = copy.copy(self)
        made.operations = [
            one for one in self.operations if version in (one.options.versions or (version,))
        ]
        return made

    def _named(self, klass: type | None, name: str) -> Callable[..., Any]:
        if klass is None:
            raise DeclarationError(
                f"service {self.name!r}: {name!r} names a method of no class", hint="give klass="
            )
        known = [word for word in dir(klass) if not word.startswith("__")]
        if name not in known:
            raise DeclarationError(
                f"{klass.__qualname__} has no method {name!r}", hint=did_you_mean(name, known)
            )
        return handler_of(klass, getattr(klass, name))

    def _merged(self, own: dict[str, Any]) -> dict[str, Any]:
        """A method's options over the service's."""
        merged = _over(self.defaults, native_media_options(own))
        for key in _EXTENDED:
            for one in merged.setdefault(key, ()):
                if not callable(one):
                    raise DeclarationError(
                        f"service {self.name!r}: {one!r} in {key} can't be called",
                        hint="names of methods belong to a class: klass=, or @resource",
                    )
        return merged

    def _options(self, given: dict[str, Any]) -> OperationOptions:
        known = {f.name for f in dataclasses.fields(OperationOptions)} - {"view"}
        view = {k: given.pop(k) for k in list(given) if k in _VIEW_OPTIONS}
        for key in given:
            if key not in known:
                raise DeclarationError(
                    f"service {self.name!r}: no option {key!r}",
                    hint=did_you_mean(key, known | _VIEW_OPTIONS | _ROUTE_OPTIONS),
                )
        for key in ("tags", "raises", "produces", "consumes", "scopes", "versions"):
            if key in given:
                given[key] = listed(given[key])
        return OperationOptions(**given, view=view)


def _class_defaults(kind: type) -> dict[str, Any]:
    """What a subclass says of all its services: `default_cors = …` for `cors`."""
    names = {name for name in dir(kind) if name.startswith("default_")}
    given = {name.removeprefix("default_"): getattr(kind, name) for name in sorted(names)}
    return native_media_options(given)


def _over(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Own options over defaults; validators and filters come behind theirs, less `exclude`."""
    merged = {**defaults, **own}
    unwanted = listed(merged.pop("exclude", ()))
    for key in _EXTENDED:
        both = (*listed(defaults.get(key)), *listed(own.get(key)))
        if both:
            merged[key] = tuple(one for one in both if one not in unwanted)
        else:
            merged.pop(key, None)
    return merged


def _register(context: Any, _name: str, service: Service) -> None:
    config = context.config.with_package(context_package(service) or context.config.package)
    config.add_service(service)


def context_package(service: Service) -> Any:
    """The module that holds the service's handlers, so that relative names resolve there."""
    import sys

    for operation in service.operations:
        return sys.modules.get(operation.handler.__module__)
    return None
