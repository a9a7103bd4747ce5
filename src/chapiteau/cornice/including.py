"""What `config.include("chapiteau.cornice")` does to a Configurator."""

import importlib.util
from functools import partial
from typing import Any

from pyramid.events import BeforeTraversal, NewRequest
from pyramid.httpexceptions import HTTPForbidden, HTTPNotFound
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.settings import asbool, aslist

from chapiteau.cornice.pyramidhook import (
    NATIVE,
    handle_exceptions,
    note_service,
    register_resource_views,
    register_service_views,
    wrap_request,
)
from chapiteau.cornice.renderer import CorniceRenderer
from chapiteau.cornice.util import AcceptPredicate, ContentTypePredicate, TakesPredicate
from chapiteau.service.engine.routes import use_service_routes

__all__ = ["includeme", "set_localizer_for_languages", "setup_localization"]


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
    config.add_view_predicate("cornice_content_type", TakesPredicate)
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
