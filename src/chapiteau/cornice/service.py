"""`Service`: one path, its views, and what is true of all of them."""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import venusian
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import IRendererFactory

from chapiteau.cornice._views import _UnboundView, decorate_view
from chapiteau.cornice.util import to_list

__all__ = [
    "DEFAULT_FILTERS",
    "DEFAULT_VALIDATORS",
    "SERVICES",
    "CorsSettings",
    "Service",
    "_UnboundView",
    "clear_services",
    "decorate_view",
    "get_services",
]


# What a service says about cross-origin requests, read from its arguments and definitions.


class CorsSettings:
    """The part of `Service` that answers questions about CORS."""

    cors_expose_all_headers: bool = True
    _cors_enabled: bool | None = None

    arguments: dict[str, Any]
    definitions: list[tuple[str, Any, dict[str, Any]]]

    @property
    def cors_enabled(self) -> bool:
        """Said with `cors_enabled=`, or else true when there are origins."""
        if self._cors_enabled is False:
            return False
        return bool(self._cors_enabled or getattr(self, "cors_origins", None))

    @cors_enabled.setter
    def cors_enabled(self, value: bool) -> None:
        self._cors_enabled = value

    @property
    def cors_supported_methods(self) -> list[str]:
        """The methods that other origins may use, in the order of their definition."""
        found: list[str] = []
        for method, _, arguments in self.definitions:
            if arguments.get("cors_enabled", True) and method not in found:
                found.append(method)
        return found

    @property
    def cors_supported_origins(self) -> set[str]:
        """The origins of the service and of all its views."""
        found = set(getattr(self, "cors_origins", ()))
        for _, _, arguments in self.definitions:
            found.update(arguments.get("cors_origins", ()))
        return found

    def cors_supported_headers_for(self, method: str | None = None) -> set[str]:
        """The headers that scripts of other origins may see and send; of all methods if none."""
        found: set[str] = set()
        method = method and method.upper()
        for defined, _, arguments in self.definitions:
            if method in (None, defined) and arguments.get("cors_enabled", True):
                found.update(arguments.get("cors_headers", ()))
        return found

    def cors_origins_for(self, method: str | None) -> list[str]:
        """The origins that may use a method."""
        found = list(getattr(self, "cors_origins", ()))
        method = method and method.upper()
        for defined, _, arguments in self.definitions:
            if defined == method:
                found += [o for o in arguments.get("cors_origins", ()) if o not in found]
        return found

    def cors_support_credentials_for(self, method: str | None = None) -> bool:
        """Whether scripts of other origins may use a method with cookies."""
        return bool(self._cors_setting(method, "cors_credentials", False))

    def cors_max_age_for(self, method: str | None = None) -> Any:
        """For how many seconds the answer to a preflight holds, or None."""
        return self._cors_setting(method, "cors_max_age", None)

    def _cors_setting(self, method: str | None, name: str, default: Any) -> Any:
        method = method and method.upper()
        for defined, _, arguments in self.definitions:
            if defined == method and name in arguments:
                return arguments[name]
        return getattr(self, name, default)


DEFAULT_VALIDATORS: Final[list[Any]] = []
DEFAULT_FILTERS: Final[list[Any]] = []

# Cornice's API promises one list for the whole process. Nothing of ours reads it: what an
# application serves stands in its registry, so that two applications don't see each other.
SERVICES: Final[list["Service"]] = []

F = TypeVar("F", bound=Callable[..., Any])


def clear_services() -> None:
    """Forget every service that was made so far (for tests)."""
    SERVICES[:] = []


def get_services(
    names: Iterable[str] | None = None, exclude: Iterable[str] | None = None
) -> list["Service"]:
    """The services of this process, in the order in which they were made."""
    wanted = None if names is None else set(names)
    unwanted = set(exclude or ())
    return [s for s in SERVICES if (wanted is None or s.name in wanted) and s.name not in unwanted]


class _Questions(CorsSettings):
    """The part of `Service` that tells what its views take and give."""

    def filter_argumentlist(
        self, method: str, argname: str, filter_callables: bool = False
    ) -> list[Any]:
        """The values of one argument over all views of a method."""
        found: list[Any] = []
        for defined, _, arguments in self.definitions:
            if defined.upper() == method.upper():
                found += to_list(arguments.get(argname))
        return [v for v in found if not callable(v)] if filter_callables else found

    def get_acceptable(self, method: str, filter_callables: bool = False) -> list[Any]:
        """The media types with which a method can answer."""
        return self.filter_argumentlist(method, "accept", filter_callables)

    def get_contenttypes(self, method: str, filter_callables: bool = False) -> list[Any]:
        """The media types that a method takes."""
        return self.filter_argumentlist(method, "content_type", filter_callables)

    def get_validators(self, method: str) -> list[Any]:
        """The validators of all views of a method, in their order, each once."""
        found: list[Any] = []
        for one in self.filter_argumentlist(method, "validators"):
            if one not in found:
                found.append(one)
        return found


class Service(_Questions):
    """One path (or Pyramid route) with a view for each method.

        users = Service(name="users", path="/users/{id}", description="People.")

        @users.get(validators=(known,))
        def get_user(request): ...

    Further keyword arguments are defaults for all views, or options of Pyramid's route. Class
    attributes are defaults too: a project's own subclass is the place for them. Raises TypeError
    without path and route, ConfigurationError for `acl`.
    """

    renderer: Any = "cornicejson"
    default_validators: Any = DEFAULT_VALIDATORS
    default_filters: Any = DEFAULT_FILTERS
    mandatory_arguments: tuple[str, ...] = ("renderer",)
    list_arguments: tuple[str, ...] = ("validators", "filters", "cors_headers", "cors_origins")

    def __init__(
        self,
        name: str,
        path: str | None = None,
        description: str | None = None,
        cors_policy: dict[str, Any] | None = None,
        depth: int = 1,
        pyramid_route: str | None = None,
        **kw: Any,
    ) -> None:
        if not path and not pyramid_route:
            raise TypeError(f"service {name!r} needs a path, or a pyramid_route")
        if "acl" in kw:
            raise ConfigurationError(f"service {name!r}: no acl here; write a factory with __acl__")
        self.name = name
        self.path = path
        self.pyramid_route = pyramid_route
        self.description = description
        self.definitions = []
        self.defined_methods: list[str] = []
        for key, value in (cors_policy or {}).items():
            kw.setdefault(f"cors_{key}", value)
        self.arguments: dict[str, Any] = {}
        arguments = self.get_arguments(kw)
        for key, value in arguments.items():
            if key != "decorator":  # Pyramid's option for the views; the method stays
                setattr(self, key, value)
        self.arguments = arguments
        SERVICES.append(self)

        def register(context: Any, _name: str, _ob: Any) -> None:
            context.config.with_package(info.module).add_cornice_service(self)

        info = venusian.attach(self, register, category="pyramid", depth=depth)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} at {self.pyramid_route or self.path}>"

    def default_error_handler(self, request: Any) -> Any:
        """The answer for `request.errors`: by the service's renderer, or as JSON."""
        factory = request.registry.queryUtility(IRendererFactory, name=self.renderer)
        if not hasattr(factory, "render_errors"):
            factory = request.registry.queryUtility(IRendererFactory, name="cornicejson")
        return factory.render_errors(request)

    # ── arguments ───────────────────────────────────────────────────────────────────────────
    def get_arguments(self, conf: dict[str, Any] | None = None) -> dict[str, Any]:
        """The arguments of a view: its own, over those of the service, over the class's."""
        own = dict(conf or {})
        unwanted = own.pop("exclude", None)
        found: dict[str, Any] = dict(self.arguments)
        for name in self.list_arguments:
            given = to_list(own.pop(name)) if name in own else []
            # On a service made of arguments alone the defaults come first, then its own.
            before = [*getattr(self, name, ())] if self.arguments else self._defaults(name)
            found[name] = [*before, *given]
        if unwanted is not None:
            unwanted = to_list(unwanted)
            for name in self.list_arguments:
                found[name] = [value for value in found[name] if value not in unwanted]
        for name in self.mandatory_arguments:
            found[name] = own.pop(name) if name in own else getattr(self, name, None)
        found["error_handler"] = getattr(self, "error_handler", self.default_error_handler)
        found.update(own)
        return found

    def _defaults(self, name: str) -> list[Any]:
        return [*getattr(type(self), name, ()), *getattr(self, f"default_{name}", ())]

    # ── views ───────────────────────────────────────────────────────────────────────────────
    def add_view(self, method: str, view: Any, **kwargs: Any) -> None:
        """Let a callable, or a method of `klass=` by its name, answer a method."""
        method = method.upper()
        if isinstance(view, str) and kwargs.get("klass") is not None:
            view = _UnboundView(kwargs["klass"], view)
        if hasattr(self, "get_view_wrapper"):
            owned = (*self.list_arguments, *self.mandatory_arguments, "exclude")
            rest = {key: value for key, value in kwargs.items() if key not in owned}
            view = self.get_view_wrapper(rest)(view)
        for name in (method, "HEAD") if method == "GET" else (method,):
            self.definitions.append((name, view, self.get_arguments(kwargs)))
            if name not in self.defined_methods:
                self.defined_methods.append(name)

    def decorator(self, method: str, **kwargs: Any) -> Callable[[F], F]:
        """The same as a decorator, for any method."""

        def declare(view: F) -> F:
            self.add_view(method, view, **kwargs)
            return view

        return declare

    def get(self, **kwargs: Any) -> Callable[[F], F]:
        """Decorator for GET, and HEAD with it."""
        return self.decorator("GET", **kwargs)

    def post(self, **kwargs: Any) -> Callable[[F], F]:
        """Decorator for POST."""
        return self.decorator("POST", **kwargs)

    def put(self, **kwargs: Any) -> Callable[[F], F]:
        """Decorator for PUT."""
        return self.decorator("PUT", **kwargs)

    def delete(self, **kwargs: Any) -> Callable[[F], F]:
        """Decorator for DELETE."""
        return self.decorator("DELETE", **kwargs)

    def options(self, **kwargs: Any) -> Callable[[F], F]:
        """Decorator for OPTIONS; with CORS there is one already."""
        return self.decorator("OPTIONS", **kwargs)

    def patch(self, **kwargs: Any) -> Callable[[F], F]:
        """Decorator for PATCH."""
        return self.decorator("PATCH", **kwargs)
