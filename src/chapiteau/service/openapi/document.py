"""Declared operations as an OpenAPI 3.1 document: a function from values to a value."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chapiteau.service.declare.operation import BodySpec, Operation, Parameter, read_operation
from chapiteau.service.declare.path import openapi_path
from chapiteau.service.declare.pydantic_types import Mode, to_builtins
from chapiteau.service.declare.signature import Callback, Job, OperationOptions
from chapiteau.service.declare.views import accepted_media
from chapiteau.service.openapi import Json
from chapiteau.service.openapi.operations import Ids, merge_views
from chapiteau.service.openapi.responses import (
    ErrorFormat,
    error_responses,
    error_type,
    extra_responses,
    implicit_header_parameters,
    response_headers,
)
from chapiteau.service.openapi.schemas import (
    BINARY,
    Schemas,
    body_schema,
    forbid_control_characters,
    without_null,
)
from chapiteau.service.protocol.problem import reason_phrase
from chapiteau.service.protocol.versions import Versions

__all__ = ["ApiInfo", "DescribedService", "openapi_document"]

Edition = tuple[Versions, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiInfo:
    """What the document says about the API as a whole."""

    title: str = "API"
    version: str = "0"
    description: str = ""
    servers: tuple[str, ...] = ()
    errors: ErrorFormat = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedService:
    """A service as the document needs it."""

    name: str
    path: str
    description: str
    operations: tuple[Operation, ...]
    shared: bool = False  # the same in all versions: nobody needs to name one


def openapi_document(
    info: ApiInfo,
    services: Iterable[DescribedService],
    *,
    webhooks: Mapping[str, Operation] | None = None,
    edition: Edition | None = None,
) -> Json:
    """The document: same input, same output, in an order that doesn't depend on chance.

    `edition` is the version that is described, among those that there are. Raises
    DeclarationError for a link that leads nowhere.
    """
    return _Writer(info, tuple(services), dict(webhooks or {}), edition).document()


class _Writer:
    def __init__(
        self,
        info: ApiInfo,
        services: tuple[DescribedService, ...],
        webhooks: dict[str, Operation],
        edition: Edition | None,
    ) -> None:
        self.info = info
        self.versions = edition[0] if edition else None
        self.version = edition[1] if edition else ""
        self.shown = [
            (service, op)
            for service in services
            for op in service.operations
            if not op.options.hidden
        ]
        self.webhooks = [
            (DescribedService(name=name, path=name, description="", operations=(op,)), op)
            for name, op in sorted(webhooks.items())
        ]
        self.callbacks = {
            (service.path, op.method, name): _called(f"{service.name} {name}", one)
            for service, op in self.shown
            for name, one in op.options.callbacks.items()
        }
        jobs = (op for _, op in self.shown if op.answer is Job)
        self.job = next(jobs, None)
        self.schemas = Schemas(self._kinds())
        self.ids = Ids([*self.shown, *self.webhooks, *self.callbacks.values()])

    def _kinds(self) -> Iterator[tuple[tuple[Any, ...], Any, Mode]]:
        """Every type that needs a schema, with the key under which it is found again."""
        yield ("problem",), error_type(self.info.errors), "serialization"
        if any(op.options.later for _, op in self.shown):
            yield ("job",), Job, "serialization"
        for service, op in [*self.shown, *self.webhooks, *self.callbacks.values()]:
            own = (service.name, service.path, id(op))
            for parameter in op.parameters:
                place = parameter.marker.place
                yield (*own, place, parameter.wire), parameter.type, "validation"
            if op.body is not None and op.body.type is not bytes:
                yield (*own, "body"), op.body.type, "validation"
            if op.answer is not None:
                yield (*own, "answer"), op.answer, "serialization"

    def document(self) -> Json:
        info: Json = {"title": self.info.title, "version": self.info.version}
        if self.info.description:
            info["description"] = self.info.description
        made: Json = {"openapi": "3.1.0", "info": info}
        if self.info.servers:
            made["servers"] = [{"url": url} for url in self.info.servers]
        made["paths"] = self._paths()
        if self.webhooks:
            made["webhooks"] = {s.name: {"post": self._sent(s, op)} for s, op in self.webhooks}
        components = self.schemas.components
        made["components"] = {
            "schemas": {name: components[name] for name in sorted(components)},
            "headers": {
                "RequestId": {
                    "description": "Names this request in the service's log.",
                    "schema": {"type": "string"},
                }
            },
        }
        guards = [op.options.auth for _, op in self.shown if op.options.auth is not None]
        schemes = {guard.name: guard.document() for guard in guards}
        if schemes:
            made["components"]["securitySchemes"] = dict(sorted(schemes.items()))
        return made

    def _paths(self) -> Json:
        paths: Json = {}
        views: dict[tuple[str, str], list[tuple[DescribedService, Operation]]] = {}
        for service, op in self.shown:
            template = openapi_path(service.path)
            item = paths.setdefault(template, {})
            if service.description and "description" not in item:
                item["description"] = service.description
            views.setdefault((template, op.method.lower()), []).append((service, op))
        for (template, method), found in views.items():
            paths[template][method] = merge_views(
                [self._operation(service, op) for service, op in found],
                [" ".join(self._told_apart(op)) for _, op in found],
            )
        return paths

    @staticmethod
    def _told_apart(op: Operation) -> Iterator[str]:
        """By what a view is known among those of its method."""
        if taken := accepted_media(op):
            yield f"from {', '.join(taken)}"
        if op.offers != ("*/*",) and op.answer is not None:
            yield f"as {', '.join(op.offers)}"

    def _operation(self, service: DescribedService, op: Operation) -> Json:
        made = self._head(service, op)
        if op.options.deprecated or op.options.sunset:
            made["deprecated"] = True
        parameters = [self._parameter(service, op, p) for p in op.parameters]
        parameters += implicit_header_parameters(op) + self._version_parameter(service)
        if parameters:
            made["parameters"] = parameters
        if op.body is not None:
            made["requestBody"] = self._body(service, op, op.body)
        elif op.options.content_type and op.method in ("POST", "PUT", "PATCH"):
            content: Json = {self._media(service, one): {} for one in op.options.consumes}
            made["requestBody"] = {"content": content}
        if op.options.auth is not None:
            made["security"] = [{op.options.auth.name: list(op.options.scopes)}]
        made["responses"] = self._responses(service, op)
        if op.options.callbacks:
            made["callbacks"] = {
                name: {one.url: self._callback((service.path, op.method, name), one)}
                for name, one in op.options.callbacks.items()
            }
        return made

    def _head(self, service: DescribedService, op: Operation) -> Json:
        summary, description = _words(op)
        made: Json = {"operationId": self.ids.of(op)}
        made["tags"] = list(op.options.tags) or [service.name]
        if summary:
            made["summary"] = summary
        if description:
            made["description"] = description
        return made

    def _sent(self, service: DescribedService, op: Operation) -> Json:
        """A request that the service sends: a webhook's or a callback's."""
        made = self._head(service, op)
        if parameters := [self._parameter(service, op, p) for p in op.parameters]:
            made["parameters"] = parameters
        if op.body is not None:
            made["requestBody"] = self._body(service, op, op.body)
        made["responses"] = {str(op.status): self._good(service, op, {})}
        return made

    def _callback(self, key: tuple[str, str, str], one: Callback) -> Json:
        return {one.method.lower(): self._sent(*self.callbacks[key])}

    def _version_parameter(self, service: DescribedService) -> list[Json]:
        """The header that names this version, when that is how it is named."""
        if self.versions is None or self.versions.by != "header" or service.shared:
            return []
        made: Json = {"name": self.versions.header, "in": "header"}
        made["description"] = "The version of the API that is meant."
        if self.versions.required or self.version != self.versions.default:
            made["required"] = True
        return [{**made, "schema": {"type": "string", "enum": [self.version]}}]

    def _media(self, service: DescribedService, media: str) -> str:
        if self.versions is None or service.shared:
            return media
        return self.versions.media(media, self.version)

    def _parameter(self, service: DescribedService, op: Operation, p: Parameter) -> Json:
        key = (service.name, service.path, id(op), p.marker.place, p.wire)
        schema = without_null(self.schemas[key])
        made: Json = {"name": p.wire, "in": p.marker.place}
        description = p.marker.description or schema.pop("description", "")
        if description:
            made["description"] = description
        if p.required or p.marker.place == "path":
            made["required"] = True
        if p.marker.deprecated:
            made["deprecated"] = True
        if _plain_default(p.default) and p.default is not None:
            schema.setdefault("default", p.default)
        made["schema"] = schema
        if p.many:
            made["style"], made["explode"] = "form", p.marker.place in ("query", "cookie")
            if p.marker.place in ("header", "path"):
                made["style"] = "simple"
        if p.marker.place == "path" and schema.get("type") == "string":
            forbid_control_characters(schema)
        if p.marker.example is not None:
            made["example"] = to_builtins(p.marker.example, p.type)
        return made

    def _body(self, service: DescribedService, op: Operation, body: BodySpec) -> Json:
        made: Json = {}
        if body.marker.description:
            made["description"] = body.marker.description
        if body.type is bytes:
            own = op.options.consumes
            media = ("application/octet-stream",) if own == ("application/json",) else own
            made["content"] = {self._media(service, one): {"schema": BINARY} for one in media}
        else:
            content = {"schema": self.schemas[service.name, service.path, id(op), "body"]}
            if body.marker.example is not None:
                content["example"] = to_builtins(body.marker.example, body.type)
            made["content"] = {
                self._media(service, media): content for media in op.options.consumes
            }
        # No bytes are bytes too: nobody can tell an empty body from none.
        made["required"] = body.required and body.type is not bytes
        return made

    def _responses(self, service: DescribedService, op: Operation) -> Json:
        usual = {str(op.status): self._good(service, op, response_headers(op))}
        if op.options.later == "always":
            usual = {}
        further = extra_responses(op)
        if op.options.later and self.job is not None:
            told = {"operationId": self.ids.of(self.job)}
            further["202"]["links"] = {
                "job": {**told, "parameters": {"job_id": "$response.body#/id"}}
            }
        return {**usual, **further, **error_responses(op, self.info.errors)}

    def _good(self, service: DescribedService, op: Operation, headers: Json) -> Json:
        good: Json = {"description": reason_phrase(op.status)}
        if headers:
            good["headers"] = headers
        if op.answer is not None:
            schema = self.schemas[service.name, service.path, id(op), "answer"]
            good["content"] = {}
            for media in op.options.produces:
                raw = op.answer is bytes and "json" not in media
                content = {"schema": BINARY if raw else body_schema(schema, media)}
                if op.options.example is not None and "json" in media:
                    content["example"] = to_builtins(op.options.example, op.answer)
                good["content"][self._media(service, media)] = content
        elif op.raw_media:
            good["content"] = {media: {} for media in op.offers}
        if op.options.links:
            good["links"] = {
                name: self.ids.link(link, f"{op.where}: link {name!r}")
                for name, link in op.options.links.items()
            }
        return good


def _called(name: str, one: Callback) -> tuple[DescribedService, Operation]:
    op = read_operation(one.method.upper(), "/", one.request, OperationOptions())
    return DescribedService(name=name, path=one.url, description="", operations=(op,)), op


def _plain_default(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | type(None)) and not isinstance(value, type)


def _words(op: Operation) -> tuple[str, str]:
    """Summary and description: given, or first line and rest of the docstring."""
    text = inspect.getdoc(op.handler) or ""
    first, _, rest = text.partition("\n\n")
    summary = op.options.summary or " ".join(first.split())
    return summary, op.options.description or rest.strip()
