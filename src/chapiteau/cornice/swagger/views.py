"""What `config.include("chapiteau.cornice.swagger")` brings."""

import json
from importlib.resources import files
from typing import Any

from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED

from chapiteau.cornice.service import Service, get_services
from chapiteau.cornice.swagger.swagger import CorniceSwagger
from chapiteau.service.openapi import Json

__all__ = [
    "CorniceSwaggerPredicate",
    "cornice_enable_openapi_explorer",
    "cornice_enable_openapi_view",
    "includeme",
    "open_api_json_view",
    "swagger_ui_template_view",
]


class CorniceSwaggerPredicate:
    """A view argument that is for the document alone: it lets every request pass."""

    def __init__(self, schema: Any, config: Any) -> None:
        self.schema = schema

    def text(self) -> str:
        """How Pyramid shows it."""
        return str(self.schema)

    phash = text

    def __call__(self, context: Any, request: Any) -> bool:
        return True


def includeme(config: Any) -> None:
    """View arguments for the document, and the directives that publish it."""
    for name in ("response_schemas", "tags", "operation_id", "api_security", "deprecated"):
        config.add_view_predicate(name, CorniceSwaggerPredicate)
    config.add_directive("cornice_enable_openapi_view", cornice_enable_openapi_view)
    config.add_directive("cornice_enable_openapi_explorer", cornice_enable_openapi_explorer)


def cornice_enable_openapi_view(
    config: Any,
    api_path: str = "/api-explorer/swagger.json",
    permission: str = NO_PERMISSION_REQUIRED,
    route_factory: Any = None,
    **kwargs: Any,
) -> None:
    """Serve the document; further arguments are those of `CorniceSwagger.generate`."""
    config.registry.settings["cornice_swagger.spec_kwargs"] = kwargs
    config.add_route("cornice_swagger.open_api_path", api_path, factory=route_factory)
    config.add_view(
        open_api_json_view,
        renderer="json",
        permission=permission,
        route_name="cornice_swagger.open_api_path",
    )


def cornice_enable_openapi_explorer(
    config: Any,
    api_explorer_path: str = "/api-explorer",
    permission: str = NO_PERMISSION_REQUIRED,
    route_factory: Any = None,
    **kwargs: Any,
) -> None:
    """Serve a page that shows the document; it loads nothing from other hosts."""
    config.add_route("cornice_swagger.api_explorer_path", api_explorer_path, factory=route_factory)
    config.add_view(
        swagger_ui_template_view,
        permission=permission,
        route_name="cornice_swagger.api_explorer_path",
    )


def open_api_json_view(request: Any) -> Json:
    """The document of this application's services."""
    given = dict(request.registry.settings.get("cornice_swagger.spec_kwargs") or {})
    made = CorniceSwagger(_services_of(request.registry), pyramid_registry=request.registry)
    return made.generate(**given)


def _services_of(registry: Any) -> list[Service]:
    """In the order in which they were made; those of other applications are left out."""
    own = getattr(registry, "cornice_services", {}).values()
    ordered = [service for service in get_services() if service in own]
    return ordered + [service for service in own if service not in ordered]


def swagger_ui_template_view(request: Any) -> Response:
    """The page."""
    page = files("chapiteau.cornice.swagger").joinpath("explorer.html").read_text("utf-8")
    # Inside a script element "<" could end it.
    url = json.dumps(request.route_url("cornice_swagger.open_api_path")).replace("<", "\\u003c")
    return Response(page.replace("__DOCUMENT__", url), charset="utf-8", content_type="text/html")
