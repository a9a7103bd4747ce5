"""The module `cornice_swagger.swagger`, for imports that name it."""

import inspect
import re
import warnings
from collections.abc import Iterable
from typing import Any, Final

from pyramid.interfaces import IRoutesMapper
from pyramid.threadlocal import get_current_registry

from chapiteau.cornice.service import Service
from chapiteau.cornice.swagger.converters import (
    ParameterConversionDispatcher,
    TypeConversionDispatcher,
)
from chapiteau.cornice.swagger.handlers import (
    CorniceSwaggerException,
    DefinitionHandler,
    ParameterHandler,
    ResponseHandler,
)
from chapiteau.cornice.swagger.openapi import to_openapi
from chapiteau.cornice.swagger.schemas import transformed_schema, whole_schema
from chapiteau.cornice.swagger.util import body_schema_transformer
from chapiteau.cornice.util import to_list
from chapiteau.service.openapi import Json

__all__ = [
    "CorniceSwagger",
    "CorniceSwaggerException",
    "DefinitionHandler",
    "ParameterHandler",
    "ResponseHandler",
]


# `CorniceSwagger`: the document of Cornice services.

_REST: Final = re.compile(r"\*(subpath|traverse)\b")  # what Pyramid matches as the rest of a path


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
    schema_transformers: list[Any] = [body_schema_transformer]  # noqa: RUF012 — likewise
    type_converter: Any = TypeConversionDispatcher
    parameter_converter: Any = ParameterConversionDispatcher
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
    swagger: Json = {"info": {}}  # noqa: RUF012 — likewise

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
        # Of this object: an application adds to it.
        self.schema_transformers = list(self.schema_transformers)
        if services is not None:
            self.services = list(services)
        kinds = type(self)
        self.definitions = kinds.definitions(ref=def_ref_depth, type_converter=converter)
        self.parameters = kinds.parameters(
            self.definitions,
            ref=param_ref,
            type_converter=converter,
            parameter_converter=kinds.parameter_converter(converter),
        )
        self.responses = kinds.responses(self.definitions, ref=resp_ref, type_converter=converter)
        self.pyramid_registry = pyramid_registry
        self._full = False

    def __call__(self, *args: Any, **kwargs: Any) -> Json:
        """The same as `generate`, by its old name."""
        told = "Calling `CorniceSwagger` is deprecated, call `generate` instead"
        warnings.warn(told, DeprecationWarning, stacklevel=2)
        return self.generate(*args, **kwargs)

    def generate(
        self,
        title: str | None = None,
        version: str | None = None,
        base_path: str | None = None,
        info: Json | None = None,
        swagger: Json | None = None,
        openapi: str | None = None,
        **kwargs: Any,
    ) -> Json:
        """The document: Swagger 2, or OpenAPI when `openapi` says a version ("3.1").

        `info` and `swagger` are merged into it. Raises CorniceSwaggerException, ConversionError.
        """
        self._full = openapi is not None
        made = _merged(_merged({}, self.swagger), swagger or {})
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
                made[key] = _merged(found, made.get(key, {}))  # what is given wins
        return to_openapi(made) if self._full else made

    # ── paths ───────────────────────────────────────────────────────────────────────────────
    def _build_paths(self) -> tuple[Json, list[str]]:
        paths: Json = {}
        tags: list[str] = []
        for service in self.services:
            path, entry = self._extract_path_from_service(service)
            if self._full:
                entry = paths.setdefault(path, entry)
            else:  # of two services at one path, cornice_swagger shows the last
                paths[path] = entry
            own = _checked(getattr(service, "tags", []), "tags")
            tags += [t for t in own if t not in tags]
            for method, view, args in service.definitions:
                if method.upper() in {m.upper() for m in self.ignore_methods}:
                    continue
                if set(to_list(args.get("content_type"))) & set(self.ignore_ctypes):
                    continue
                operation = self._operation(service, method, view, args)
                tags += [t for t in operation.get("tags", ()) if t not in tags]
                entry[method.lower()] = self._joined(entry.get(method.lower()), operation)
        return paths, tags

    def _joined(self, first: Any, second: Json) -> Json:
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

    def _extract_path_from_service(self, service: Service) -> tuple[str, Json]:
        """The path of a service and what its parameters are; a subclass may do it otherwise."""
        path = self._path_of(service)
        parameters = self.parameters.from_path(path)
        return path, {"parameters": parameters} if parameters else {}

    def _path_of(self, service: Service) -> str:
        path = service.path
        if service.pyramid_route:
            registry = self.pyramid_registry or get_current_registry()
            mapper = registry.queryUtility(IRoutesMapper) if registry is not None else None
            route = mapper.get_route(service.pyramid_route) if mapper is not None else None
            if route is None:
                raise ValueError(f"no route {service.pyramid_route!r}: give a registry")
            path = route.pattern
        return "/" + _REST.sub("{subpath}", str(path)).lstrip("/")

    # ── operations ──────────────────────────────────────────────────────────────────────────
    def _operation(self, service: Service, method: str, view: Any, args: Json) -> Json:
        made = self._extract_operation_from_view(view, args)
        told = {
            "tags": self._tags_of(service, method, made),
            "operationId": self._id_of(service, method, made),
        }
        made.update({key: value for key, value in told.items() if value})
        security = made.get("security", _asked(self.default_security, service, method))
        if security is not None:  # an empty list is a word too: nothing is needed here
            made["security"] = _checked(security, "security")
        return made

    def _extract_operation_from_view(self, view: Any, args: Json) -> Json:
        """What a view and its arguments tell; a subclass may tell more."""
        made: Json = {"responses": self._responses_of(args)}
        produces = _produced(args) or (_offered(args, "accept") if self._full else [])
        consumes = _offered(args, "content_type")
        schema = self._extract_transform_colander_schema(args)
        parameters = self.parameters.from_schema(schema) if schema is not None else []
        summary = _docstring(view, args) if self.summary_docstrings or self._full else ""
        if self._full:
            summary = summary.partition("\n")[0]
        told = {
            "produces": produces,
            "consumes": consumes,
            "parameters": parameters,
            "summary": summary,
            "deprecated": args.get("deprecated"),
        }
        made.update({key: value for key, value in told.items() if value})
        names = {"tags": "tags", "operation_id": "operationId", "api_security": "security"}
        made.update({names[key]: args[key] for key in names if key in args})
        if args.get("content_type") is not None and not self._full:
            made["consumes"] = consumes  # a callable can't be asked here
        return made

    def _extract_transform_colander_schema(self, args: Json) -> Any:
        if self._full:
            return whole_schema(args)
        return transformed_schema(args, self.schema_transformers)

    def _tags_of(self, service: Service, method: str, made: Json) -> list[Any]:
        """The service's, then the view's or the default ones; each once."""
        own = made["tags"] if "tags" in made else _asked(self.default_tags, service, method)
        both = [*getattr(service, "tags", []), *_checked(own or [], "tags")]
        return list(dict.fromkeys(both))

    def _id_of(self, service: Service, method: str, made: Json) -> Any:
        if "operationId" in made or not self.default_op_ids:
            return made.get("operationId")
        if not callable(self.default_op_ids):
            raise CorniceSwaggerException("default_op_ids should be a callable")
        return self.default_op_ids(service, method)

    def _responses_of(self, args: Json) -> Json:
        schemas = args.get("response_schemas")
        if not schemas:
            return {"default": {"description": "UNDOCUMENTED RESPONSE"}}
        found: Json = self.responses.from_schema_mapping(schemas)
        return found


def _checked(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise CorniceSwaggerException(f"{what} should be a list or callable, not {value!r}")
    return value


def _asked(default: Any, service: Service, method: str) -> Any:
    return default(service, method) if callable(default) else default


def _produced(args: Json) -> list[str]:
    renderer = str(args.get("renderer"))
    if "json" in renderer:
        return ["application/json"]
    if renderer == "xml":
        return ["text/xml"]
    return []


def _offered(args: Json, name: str) -> list[str]:
    return [kind for kind in to_list(args.get(name)) if isinstance(kind, str)]


def _docstring(view: Any, args: Json) -> str:
    if isinstance(view, str) and args.get("klass") is not None:
        view = getattr(args["klass"], view, None)
    doc = getattr(view, "__doc__", None) or ""
    clean = inspect.cleandoc(doc)
    # cornice_swagger keeps the last line break of a docstring that ends on a line of its own.
    return clean + "\n" if clean and not doc.rpartition("\n")[2].strip() else clean


def _merged(base: Json, more: Json) -> Json:
    """A new dict: `more` over `base`, level by level."""
    found = dict(base)
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = _merged(found[key], value)
        else:
            found[key] = dict(value) if isinstance(value, dict) else value
    return found
