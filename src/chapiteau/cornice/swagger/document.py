"""`CorniceSwagger`: the document of Cornice services."""

import inspect
from collections.abc import Iterable
from typing import Any

from pyramid.interfaces import IRoutesMapper
from pyramid.threadlocal import get_current_registry

from chapiteau.cornice.service import Service
from chapiteau.cornice.swagger.converters import TypeConversionDispatcher
from chapiteau.cornice.swagger.openapi import to_openapi
from chapiteau.cornice.swagger.parts import DefinitionHandler, ParameterHandler, ResponseHandler
from chapiteau.cornice.swagger.schemas import whole_schema
from chapiteau.cornice.util import to_list

__all__ = ["CorniceSwagger", "CorniceSwaggerException"]


class CorniceSwaggerException(Exception):  # noqa: N818 — the name that applications catch
    """Services that can't be described."""


class CorniceSwagger:
    """Makes the document of some services; class attributes are defaults for a subclass.

    Swagger 2 as cornice_swagger made it, or OpenAPI 3.1 with `generate(openapi="3.1")`, which has
    also parameters of the single-part validators, marshmallow schemas, several views for a method,
    and the answers for errors.
    """

    services: list[Service] = []  # noqa: RUF012 — a default for subclasses, never changed
    definitions: Any = DefinitionHandler
    parameters: Any = ParameterHandler
    responses: Any = ResponseHandler
    type_converter: Any = TypeConversionDispatcher
    custom_type_converters: dict[Any, Any] = {}  # noqa: RUF012 — likewise
    default_type_converter: Any = None
    default_tags: Any = None
    default_op_ids: Any = None
    default_security: Any = None
    summary_docstrings = False
    ignore_methods: Iterable[str] = ("HEAD", "OPTIONS")
    ignore_ctypes: Iterable[str] = ()
    api_title = ""
    api_version = ""
    base_path = "/"
    swagger: dict[str, Any] = {"info": {}}  # noqa: RUF012 — likewise

    def __init__(
        self,
        services: Iterable[Service] | None = None,
        def_ref_depth: int = 0,
        param_ref: bool = False,
        resp_ref: bool = False,
        pyramid_registry: Any = None,
    ) -> None:
        converter = type(self).type_converter(
            self.custom_type_converters, self.default_type_converter
        )
        if services is not None:
            self.services = list(services)
        kinds = type(self)
        self.definitions = kinds.definitions(ref=def_ref_depth, type_converter=converter)
        self.parameters = kinds.parameters(
            self.definitions, ref=param_ref, type_converter=converter
        )
        self.responses = kinds.responses(self.definitions, ref=resp_ref, type_converter=converter)
        self.pyramid_registry = pyramid_registry
        self._full = False

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The same as `generate`."""
        return self.generate(*args, **kwargs)

    def generate(
        self,
        title: str | None = None,
        version: str | None = None,
        base_path: str | None = None,
        info: dict[str, Any] | None = None,
        swagger: dict[str, Any] | None = None,
        openapi: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The document: Swagger 2, or OpenAPI when `openapi` says a version ("3.1").

        `info` and `swagger` are merged into it. Raises CorniceSwaggerException, ConversionError.
        """
        self._full = openapi is not None
        made = _merged(_merged({}, type(self).swagger), swagger or {})
        made["info"] = {**made.get("info", {}), **(info or {})}
        made["info"]["title"] = title or made["info"].get("title", self.api_title)
        made["info"]["version"] = version or made["info"].get("version", self.api_version)
        made["swagger"] = "2.0"
        made["basePath"] = base_path or made.get("basePath", self.base_path)
        paths, tags = self._build_paths()
        known = list(made.get("tags", []))
        known += [{"name": t} for t in tags if t not in {k["name"] for k in known}]
        if known:
            made["tags"] = known
        made["paths"] = _merged(paths, made.get("paths", {}))
        registries = {
            "definitions": self.definitions.definition_registry,
            "parameters": self.parameters.parameter_registry,
            "responses": self.responses.response_registry,
        }
        for key, found in registries.items():
            if found:
                made[key] = _merged(made.get(key, {}), found)
        return to_openapi(made) if self._full else made

    # ── paths ───────────────────────────────────────────────────────────────────────────────
    def _build_paths(self) -> tuple[dict[str, Any], list[str]]:
        paths: dict[str, Any] = {}
        tags: list[str] = []
        for service in self.services:
            path = self._path_of(service)
            entry = paths.setdefault(path, {})
            parameters = self.parameters.from_path(path)
            if parameters:
                entry["parameters"] = parameters
            for method, view, args in service.definitions:
                if method.upper() in {m.upper() for m in self.ignore_methods}:
                    continue
                if set(to_list(args.get("content_type"))) & set(self.ignore_ctypes):
                    continue
                operation = self._operation(service, method, view, args)
                tags += [t for t in operation.get("tags", ()) if t not in tags]
                entry[method.lower()] = self._joined(entry.get(method.lower()), operation)
        return paths, tags

    def _joined(self, first: Any, second: dict[str, Any]) -> dict[str, Any]:
        if first is None:
            return second
        if not self._full:
            raise CorniceSwaggerException(
                "Swagger 2 has one view for a method: ignore one by ignore_ctypes, or ask for "
                'openapi="3.1"'
            )
        for key in ("produces", "consumes"):
            both = dict.fromkeys([*first.get(key, ()), *second.get(key, ())])
            if both:
                first[key] = list(both)
        return dict(first)

    def _path_of(self, service: Service) -> str:
        path = service.path
        if service.pyramid_route:
            registry = self.pyramid_registry or get_current_registry()
            mapper = registry.queryUtility(IRoutesMapper) if registry is not None else None
            route = mapper.get_route(service.pyramid_route) if mapper is not None else None
            if route is None:
                raise CorniceSwaggerException(
                    f"no route {service.pyramid_route!r}: give a registry"
                )
            path = route.pattern
        return "/" + str(path).lstrip("/")

    # ── operations ──────────────────────────────────────────────────────────────────────────
    def _operation(
        self, service: Service, method: str, view: Any, args: dict[str, Any]
    ) -> dict[str, Any]:
        made: dict[str, Any] = {"responses": self._responses_of(args)}
        produces = _produced(args) or (_offered(args, "accept") if self._full else [])
        consumes = _offered(args, "content_type")
        schema = whole_schema(args, full=self._full)
        parameters = self.parameters.from_schema(schema) if schema is not None else []
        summary = _docstring(view, args) if self.summary_docstrings or self._full else ""
        if self._full:
            summary = summary.partition("\n")[0]
        told = {
            "produces": produces,
            "consumes": consumes,
            "parameters": parameters,
            "summary": summary,
            "tags": args.get("tags") or _asked(self.default_tags, service, method),
            "operationId": args.get("operation_id") or _asked(self.default_op_ids, service, method),
            "deprecated": args.get("deprecated"),
        }
        made.update({key: value for key, value in told.items() if value})
        security = args.get("api_security", _asked(self.default_security, service, method))
        if security is not None:  # an empty list is a word too: nothing is needed here
            made["security"] = security
        return made

    def _responses_of(self, args: dict[str, Any]) -> dict[str, Any]:
        schemas = args.get("response_schemas")
        if not schemas:
            return {"default": {"description": "UNDOCUMENTED RESPONSE"}}
        found: dict[str, Any] = self.responses.from_schema_mapping(schemas)
        return found


def _asked(default: Any, service: Service, method: str) -> Any:
    return default(service, method) if callable(default) else default


def _produced(args: dict[str, Any]) -> list[str]:
    renderer = str(args.get("renderer"))
    if "json" in renderer:
        return ["application/json"]
    if renderer == "xml":
        return ["text/xml"]
    return []


def _offered(args: dict[str, Any], name: str) -> list[str]:
    return [kind for kind in to_list(args.get(name)) if isinstance(kind, str)]


def _docstring(view: Any, args: dict[str, Any]) -> str:
    if isinstance(view, str) and args.get("klass") is not None:
        view = getattr(args["klass"], view, None)
    doc = getattr(view, "__doc__", None) or ""
    clean = inspect.cleandoc(doc)
    # cornice_swagger keeps the last line break of a docstring that ends on a line of its own.
    return clean + "\n" if clean and not doc.rpartition("\n")[2].strip() else clean


def _merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """A new dict: `more` over `base`, level by level."""
    found = dict(base)
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = _merged(found[key], value)
        else:
            found[key] = dict(value) if isinstance(value, dict) else value
    return found
