"""How services become Pyramid's routes and views, and what every request gets."""

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from pyramid.events import BeforeTraversal, NewRequest
from pyramid.exceptions import PredicateMismatch
from pyramid.httpexceptions import (
    HTTPException,
    HTTPForbidden,
    HTTPMethodNotAllowed,
    HTTPNotAcceptable,
    HTTPNotFound,
    HTTPUnsupportedMediaType,
)
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.settings import asbool, aslist

from chapiteau.cornice._views import decorate_view
from chapiteau.cornice.cors import (
    CORS_PARAMETERS,
    OriginCheck,
    add_vary,
    apply_cors_post_request,
    get_cors_preflight_view,
    get_cors_validator,
)
from chapiteau.cornice.errors import Errors
from chapiteau.cornice.renderer import CorniceRenderer
from chapiteau.cornice.util import (
    AcceptPredicate,
    ContentTypeFunctionPredicate,
    ContentTypePredicate,
    content_type_matches,
    current_service,
    to_list,
)
from chapiteau.service.application import REGISTRY_KEY
from chapiteau.service.pipeline.error_views import error_view
from chapiteau.service.pipeline.routes import use_service_routes

__all__ = [
    "NATIVE",
    "add_nosniff_header",
    "apply_filters",
    "get_fallback_view",
    "handle_exceptions",
    "includeme",
    "note_service",
    "register_resource_views",
    "register_service_views",
    "set_localizer_for_languages",
    "setup_localization",
    "wrap_request",
]

NATIVE: Final = REGISTRY_KEY  # the registry has it when `chapiteau.service` is included too

# Arguments of a view that are for us and that Pyramid's add_view wouldn't know.
_OURS: Final = frozenset({
    "klass", "schema", "deserializer", "schema_kwargs", "validators", "filters", "error_handler",
    "factory", "traverse", *CORS_PARAMETERS,
})  # fmt: skip
_HELD: Final = frozenset({"accept", "content_type"})


# ── every request ───────────────────────────────────────────────────────────────────────────
def wrap_request(event: Any) -> None:
    """Give a request its `validated`, `errors` and `info`, and its answer our headers."""
    request = event.request
    attributes = request.__dict__
    if "current_service" in attributes:  # a second time for the same request
        return
    attributes["current_service"] = None
    # An application may have its own: a property of its request, or an earlier subscriber's.
    own = type(request)
    if "validated" not in attributes and not hasattr(own, "validated"):
        attributes["validated"] = {}
    if "errors" not in attributes and not hasattr(own, "errors"):
        settings = request.registry.settings or {}
        localizer = request.localizer if settings.get("available_languages") else None
        attributes["errors"] = Errors(localizer=localizer)
    if "info" not in attributes and not hasattr(own, "info"):
        attributes["info"] = {}
    request.add_response_callback(apply_filters)
    request.add_response_callback(add_nosniff_header)


def note_service(event: Any) -> None:
    """Set `request.current_service`, as soon as the route is known."""
    request = event.request
    request.__dict__["current_service"] = current_service(request)


def add_nosniff_header(request: Any, response: Any) -> None:
    """Browsers shall believe the content type."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")


def apply_filters(request: Any, response: Any) -> Any:
    """Response callback: the filters of the view that has answered, then CORS."""
    answered = getattr(request, "_cornice_answered", None)
    if answered is not None:
        for one in answered.filters:
            response = one(response, request)
        if answered.negotiated:
            add_vary(response.headers, "Accept")
    service = getattr(request, "current_service", None)
    if service is not None and service.cors_enabled:
        apply_cors_post_request(service, request, response)
    return response


def handle_exceptions(exc: Any, request: Any) -> Any:
    """Exception view: HTTP exceptions are answers; others go on to the server's log.

    Beside native services, all errors are told as those tell them.
    """
    if NATIVE in request.registry:
        return error_view(exc, request)
    if not isinstance(exc, HTTPException):
        raise exc
    return exc


# ── a service's route and views ─────────────────────────────────────────────────────────────
def register_resource_views(config: Any, resource: Any) -> None:
    """`config.add_cornice_resource(klass)`."""
    for service in resource._services.values():  # noqa: SLF001 — set by `add_resource`
        config.add_cornice_service(service)


def register_service_views(config: Any, service: Any) -> None:
    """`config.add_cornice_service(service)`."""
    route, options = _add_route(config, service)
    if service.cors_enabled:
        _share(service)
    for method, view, arguments in service.definitions:
        arguments["request_method"] = method
        made = decorate_view(view, arguments, method, options)
        for choice in _choices(arguments):
            config.add_view(
                view=made, route_name=route, **_view_options(config, arguments), **choice
            )
    if service.definitions:
        # Asked when no view fits: it says why.
        config.add_view(
            view=get_fallback_view(service),
            route_name=route,
            permission=NO_PERMISSION_REQUIRED,
            require_csrf=False,
        )


def _add_route(config: Any, service: Any) -> tuple[str, dict[str, Any]]:
    """The service's route, with what of its arguments is the route's business."""
    names = {*config.get_predlist("route").sorter.names, "factory", "traverse"} - _HELD
    # Class attributes too: a project's subclass with `factory = Root` means all its services.
    options = {k: getattr(service, k) for k in names if hasattr(service, k)}
    services = config.registry.cornice_services
    if service.pyramid_route:
        route, key = service.pyramid_route, f"__cornice{service.pyramid_route}"
    else:
        prefix = (config.route_prefix or "").rstrip("/")
        route = service.name
        key = f"{prefix}/{service.path.lstrip('/')}" if prefix else service.path
        config.add_route(route, service.path, **options)
    services[key] = service
    by_route = getattr(config.registry, "cornice_routes", None)
    if by_route is None:
        by_route = config.registry.cornice_routes = {}
    by_route[route] = service
    return route, options


def _share(service: Any) -> None:
    """Preflights, and the check of the origin in front of every view; both once."""
    if "OPTIONS" not in service.defined_methods:
        preflight = get_cors_preflight_view(service)
        service.add_view("OPTIONS", preflight, permission=NO_PERMISSION_REQUIRED)
    for _, _, arguments in service.definitions:
        validators = arguments["validators"]
        if not any(isinstance(v, OriginCheck) for v in validators):
            validators.insert(0, get_cors_validator(service))


def _view_options(config: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """What of a view's arguments is Pyramid's business."""
    told = {*config.get_predlist("route").sorter.names}  # to the route, and known to it alone
    told -= {*config.get_predlist("view").sorter.names}
    unwanted = _OURS | _HELD | told
    return {k: v for k, v in arguments.items() if k not in unwanted}


def _choices(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One view for each way to accept and be accepted: Pyramid then chooses between them."""
    accepts = _split(arguments.get("accept"))
    takes = _split(arguments.get("content_type"))
    answers: list[dict[str, Any]] = [{"accept": kind} for kind in accepts[0]]
    answers += [{"cornice_accept": function} for function in accepts[1]]
    # A body without a media type always passes.
    bodies: list[dict[str, Any]] = [{"content_type": (*takes[0], "")}] if takes[0] else []
    bodies += [{"cornice_content_type": function} for function in takes[1]]
    for answer, body in itertools.product(answers or [{}], bodies or [{}]):
        yield {**answer, **body}


def _split(value: Any) -> tuple[list[str], list[Any]]:
    """Media types, and callables that tell some."""
    given = [v for v in to_list(value) if v] if value else []
    return [v for v in given if not callable(v)], [v for v in given if callable(v)]


def get_fallback_view(service: Any) -> Callable[[Any], Any]:
    """The view for requests that no other view of the service takes: it tells why."""

    def fallback(request: Any) -> Any:
        method = request.method
        if method not in service.defined_methods:
            response = HTTPMethodNotAllowed()
            response.allow = service.defined_methods
            raise response
        offers = _offers(service.get_acceptable(method, True), request.info.get("acceptable"))
        asked = offers and "Accept" in request.headers
        if asked and not request.accept.acceptable_offers(offers):
            problem = f"Accept header should be one of {offers}"
            return _refuse(service, request, HTTPNotAcceptable, "Accept", problem)
        kinds = _offers(
            service.get_contenttypes(method, True), request.info.get("supported_contenttypes")
        )
        if kinds and not content_type_matches(request, kinds):
            problem = f"Content-Type header should be one of {kinds}"
            return _refuse(service, request, HTTPUnsupportedMediaType, "Content-Type", problem)
        # Some other predicate said no.
        raise PredicateMismatch(service.name)

    fallback.__name__ = "_fallback_view"
    return fallback


def _offers(declared: list[Any], called: Any) -> list[str]:
    return sorted({str(kind) for kind in [*declared, *(called or ())] if kind})


def _refuse(service: Any, request: Any, kind: Any, header: str, problem: str) -> Any:
    request.errors.status = kind.code
    request.errors.add("header", header, problem)
    answer = service.error_handler(request)
    # Raised where it can be, so that tweens and exception views meet it.
    if isinstance(answer, BaseException):
        raise answer
    return answer


# What `config.include("chapiteau.cornice")` does to a Configurator.


def includeme(config: Any) -> None:
    """Directives, renderer, predicate, request attributes, exception views.

    Settings: `handle_exceptions` (true), `available_languages`, `cornice.always_cors` (false).
    """
    settings = config.get_settings() or {}
    config.registry.cornice_services = {}
    config.registry.cornice_routes = {}
    use_service_routes(config)  # a table of routes instead of one pattern after the other
    config.add_directive("add_cornice_service", register_service_views)
    config.add_directive("add_cornice_resource", register_resource_views)
    if settings.get("available_languages"):
        setup_localization(config)  # first: it must know the locale before anybody asks for it
    config.add_subscriber(wrap_request, NewRequest)
    config.add_renderer("cornicejson", CorniceRenderer())
    config.add_view_predicate("content_type", ContentTypePredicate)
    config.add_view_predicate("cornice_accept", AcceptPredicate)
    config.add_view_predicate("cornice_content_type", ContentTypeFunctionPredicate)
    # Not a reified request method: Pyramid makes a new class per request for those.
    config.add_subscriber(note_service, BeforeTraversal)
    if asbool(settings.get("handle_exceptions", True)) and NATIVE not in config.registry:
        config.registry.cornice_handles_exceptions = True  # native services ask for it
        for kind in (Exception, HTTPNotFound, HTTPForbidden):
            config.add_view(handle_exceptions, context=kind, permission=NO_PERMISSION_REQUIRED)


def setup_localization(config: Any) -> None:
    """Choose the locale of a request from Accept-Language; switched on by a setting.

    Colander's own messages are then translated too, when it is installed.
    """
    if importlib.util.find_spec("colander") is not None:
        config.add_translation_dirs("colander:locale/")
    settings = config.get_settings()
    config.add_subscriber(
        partial(
            set_localizer_for_languages,
            available_languages=aslist(settings["available_languages"]),
            default_locale_name=settings.get("pyramid.default_locale_name", "en"),
        ),
        NewRequest,
    )


def set_localizer_for_languages(
    event: Any, available_languages: list[str], default_locale_name: str
) -> None:
    """Give the request of a NewRequest event the best of the available languages."""
    request = event.request
    wanted = request.accept_language
    if wanted:
        found = wanted.lookup(available_languages, default=default_locale_name)
        request._LOCALE_ = found
