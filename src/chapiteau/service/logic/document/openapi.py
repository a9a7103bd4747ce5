"""Declared operations as an OpenAPI 3.1 document: a function from values to a value."""

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from chapiteau.service.logic.operation import BodySpec, Operation, Parameter
from chapiteau.service.logic.path import template_of
from chapiteau.service.logic.problem import (
    MEDIA_TYPE,
    ProblemDocument,
    ProblemError,
    phrase,
    problem_for,
)
from chapiteau.service.logic.upload import Upload

__all__ = ["ApiInfo", "Described", "openapi_document"]

_REF: Final = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiInfo:
    """What the document says about the API as a whole."""

    title: str = "API"
    version: str = "0"
    description: str = ""
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A service as the document needs it."""

    name: str
    path: str
    description: str
    operations: tuple[Operation, ...]


def openapi_document(info: ApiInfo, services: Iterable[Described]) -> dict[str, Any]:
    """The document: same input, same output, in an order that doesn't depend on chance."""
    return _Writer(info, tuple(services)).document()


class _Writer:
    def __init__(self, info: ApiInfo, services: tuple[Described, ...]) -> None:
        self.info = info
        self.services = tuple(
            s for s in services if any(not op.options.hidden for op in s.operations)
        )
        kinds = list(self._kinds())
        schemas, self.components = msgspec.json.schema_components(
            [kind for _, kind in kinds], schema_hook=_schema_of, ref_template=_REF
        )
        self.schemas = {key: schema for (key, _), schema in zip(kinds, schemas, strict=True)}
        self.ids: set[str] = set()

    def _shown(self) -> Iterable[tuple[Described, Operation]]:
        for service in self.services:
            for operation in service.operations:
                if not operation.options.hidden:
                    yield service, operation

    def _kinds(self) -> Iterable[tuple[tuple[Any, ...], Any]]:
        """Every type that needs a schema, with the key under which it is found again."""
        yield ("problem",), ProblemDocument
        for service, op in self._shown():
            own = (service.path, op.method)
            for parameter in op.parameters:
                yield (*own, parameter.marker.place, parameter.wire), parameter.type
            if op.body is not None and op.body.type is not bytes:
                yield (*own, "body"), op.body.type
            if op.answer is not None:
                yield (*own, "answer"), op.answer

    def document(self) -> dict[str, Any]:
        info: dict[str, Any] = {"title": self.info.title, "version": self.info.version}
        if self.info.description:
            info["description"] = self.info.description
        made: dict[str, Any] = {"openapi": "3.1.0", "info": info}
        if self.info.servers:
            made["servers"] = [{"url": url} for url in self.info.servers]
        made["paths"] = self._paths()
        made["components"] = {
            "schemas": {name: self.components[name] for name in sorted(self.components)},
            "headers": {
                "RequestId": {
                    "description": "Names this request in the service's log.",
                    "schema": {"type": "string"},
                }
            },
        }
        schemes = {
            op.options.auth.name: op.options.auth.document()
            for _, op in self._shown()
            if op.options.auth is not None
        }
        if schemes:
            made["components"]["securitySchemes"] = dict(sorted(schemes.items()))
        return made

    def _paths(self) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        for service, op in self._shown():
            item = paths.setdefault(template_of(service.path), {})
            if service.description and "description" not in item:
                item["description"] = service.description
            item[op.method.lower()] = self._operation(service, op)
        return paths

    def _operation(self, service: Described, op: Operation) -> dict[str, Any]:
        summary, description = _words(op)
        made: dict[str, Any] = {"operationId": self._id(service, op)}
        made["tags"] = list(op.options.tags) or [service.name]
        if summary:
            made["summary"] = summary
        if description:
            made["description"] = description
        if op.options.deprecated or op.options.sunset:
            made["deprecated"] = True
        parameters = [self._parameter(service, op, p) for p in op.parameters]
        parameters += _precondition_parameters(op)
        if parameters:
            made["parameters"] = parameters
        if op.body is not None:
            made["requestBody"] = self._body(service, op, op.body)
        if op.options.auth is not None:
            made["security"] = [{op.options.auth.name: list(op.options.scopes)}]
        made["responses"] = self._responses(service, op)
        return made

    def _id(self, service: Described, op: Operation) -> str:
        """Stable and unique: the given one, or the handler's name, made longer on a clash."""
        name = getattr(op.handler, "__name__", "")
        plain = re.sub(r"\W+", "_", f"{op.method.lower()}_{service.name}")
        for wish in (op.options.operation_id, name, f"{service.name}_{name}", plain):
            if wish and wish not in self.ids and wish != "<lambda>":
                self.ids.add(wish)
                return wish
        number = 2
        while f"{plain}_{number}" in self.ids:
            number += 1
        self.ids.add(f"{plain}_{number}")
        return f"{plain}_{number}"

    def _parameter(self, service: Described, op: Operation, p: Parameter) -> dict[str, Any]:
        schema = _without_null(self.schemas[service.path, op.method, p.marker.place, p.wire])
        made: dict[str, Any] = {"name": p.wire, "in": p.marker.place}
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
            made["style"], made["explode"] = "form", True
        if p.marker.example is not None:
            made["example"] = p.marker.example
        return made

    def _body(self, service: Described, op: Operation, body: BodySpec) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if body.marker.description:
            made["description"] = body.marker.description
        if body.type is bytes:
            made["content"] = {"application/octet-stream": {}}
        else:
            schema = self.schemas[service.path, op.method, "body"]
            made["content"] = {media: {"schema": schema} for media in op.options.consumes}
        made["required"] = body.required
        return made

    def _responses(self, service: Described, op: Operation) -> dict[str, Any]:
        good: dict[str, Any] = {"description": phrase(op.status)}
        headers: dict[str, Any] = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
        if op.options.etag is not None:
            headers["ETag"] = {"description": "Version.", "schema": {"type": "string"}}
        if op.options.limit is not None:
            words = "What is left of the client's budget."
            headers["RateLimit"] = {"description": words, "schema": {"type": "string"}}
        if op.status == 201:
            headers["Location"] = {
                "description": "Where the new resource is.",
                "schema": {"type": "string", "format": "uri-reference"},
            }
        for name, words in op.options.headers.items():
            headers[name] = {"description": words, "schema": {"type": "string"}}
        good["headers"] = headers
        if op.answer is not None:
            schema = self.schemas[service.path, op.method, "answer"]
            good["content"] = {media: {"schema": schema} for media in op.options.produces}
        elif op.raw_media:
            good["content"] = {op.raw_media: {}}
        made: dict[str, Any] = {str(op.status): good}
        if op.options.etag is not None and op.method == "GET":
            made["304"] = {"description": "Not Modified: the client has this version."}
        for status, titles in sorted(_failures(op).items()):
            made[str(status)] = _problem_answer(status, titles)
        return made


def _schema_of(kind: Any) -> dict[str, Any]:
    """Schemas of types that msgspec doesn't know. Raises NotImplementedError for all but ours."""
    if kind is Upload:
        return {"type": "string", "contentMediaType": "application/octet-stream"}
    raise NotImplementedError


def _failures(op: Operation) -> dict[int, list[str]]:
    """Status → titles of the problems that an operation can answer with."""
    kinds: list[type[ProblemError]] = list(op.options.raises)
    statuses: list[int] = []
    if op.parameters or op.body is not None or op.options.unknown_query == "refuse":
        statuses += [400, 422]
    elif op.options.validators:
        statuses.append(422)
    if op.body is not None:
        statuses += [413, 415]
    if op.precondition_argument is not None:
        statuses += [412, 428] if op.options.if_match == "required" else [412]
    if op.options.auth is not None:
        statuses += [401, 403] if op.options.scopes else [401]
    if op.options.idempotent:
        statuses += [409, 422]
    if op.options.limit is not None:
        statuses.append(429)
    statuses += [406, 500]
    found: dict[int, list[str]] = {}
    for kind in [*kinds, *(type(problem_for(status)) for status in statuses)]:
        titles = found.setdefault(kind.status, [])
        title = kind.title or phrase(kind.status)
        if title not in titles and (kind.title or not titles):
            titles.append(title)
    return found


def _problem_answer(status: int, titles: list[str]) -> dict[str, Any]:
    return {
        "description": "; ".join(titles) or phrase(status),
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="ProblemDocument")}}},
    }


def _precondition_parameters(op: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if op.options.idempotent:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Sent again with the same key, the request is not done again.",
                "schema": {"type": "string", "maxLength": 255},
            }
        )
    if op.precondition_argument is None:
        return found
    return [
        *found,
        {
            "name": "If-Match",
            "in": "header",
            "description": "ETag of the version that is meant to change, or *.",
            "required": op.options.if_match == "required",
            "schema": {"type": "string"},
        },
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is not there is left out; no text on the wire means null."""
    parts = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    if not parts:
        return dict(schema)
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**parts[0], **rest} if len(parts) == 1 else {**rest, "anyOf": parts}


def _plain_default(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | type(None)) and not isinstance(value, type)


def _words(op: Operation) -> tuple[str, str]:
    """Summary and description: given, or first line and rest of the docstring."""
    text = inspect.getdoc(op.handler) or ""
    first, _, rest = text.partition("\n\n")
    summary = op.options.summary or " ".join(first.split())
    return summary, op.options.description or rest.strip()
