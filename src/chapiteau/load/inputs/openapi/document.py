"""An OpenAPI 3.0 or 3.1 document → its operations. Faults become problems with JSON pointers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.load.inputs.openapi.operations import (
    Body,
    Link,
    Operation,
    Parameter,
    SecurityScheme,
)
from chapiteau.load.inputs.schema_references import References, json_pointer

__all__ = ["Document", "read_document"]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_STYLES: Final = {"path": "simple", "header": "simple", "query": "form", "cookie": "form"}
# Parameters of these names are ignored: other parts of the document speak of them (4.8.12.1).
_SPOKEN_OF: Final = frozenset({"accept", "content-type", "authorization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Everything of a document that a load test needs."""

    title: str
    version: str
    operations: tuple[Operation, ...]
    servers: tuple[str, ...]
    schemes: Mapping[str, SecurityScheme]


def read_document(raw: Mapping[str, Any], references: References) -> Document:
    """The document's operations, in its order; what can't be read is noted in `references`."""
    reader = _Reader(raw, references)
    info = _table(raw.get("info"))
    return Document(
        title=str(info.get("title", "")),
        version=str(info.get("version", "")),
        operations=tuple(reader.operations()),
        servers=reader.servers(raw.get("servers"), "#/servers"),
        schemes=reader.schemes(),
    )


def _table(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, Mapping) else {}


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


class _Reader:
    def __init__(self, raw: Mapping[str, Any], references: References) -> None:
        self.raw = raw
        self.references = references

    def table(self, raw: Any, where: str, what: str) -> tuple[Mapping[str, Any], str]:
        """The table at `where`, its `$ref` followed; an empty one and a problem otherwise."""
        node, at = self.references.follow(raw, where)
        if isinstance(node, Mapping):
            return node, at
        self.references.problem(at, f"{what} must be a table")
        return {}, at

    def operations(self) -> Iterator[Operation]:
        paths, _ = self.table(self.raw.get("paths", {}), "#/paths", "paths")
        for path, raw in paths.items():
            if not str(path).startswith("/"):
                if not str(path).startswith("x-"):
                    where = json_pointer("paths", path)
                    self.references.problem(where, "a path must begin with a slash")
                continue
            item, where = self.table(raw, json_pointer("paths", path), "a path")
            for method in _METHODS:
                if method in item:
                    yield self.operation(str(path), method, item, where)

    def operation(self, path: str, method: str, item: Mapping[str, Any], at: str) -> Operation:
        raw, where = self.table(item[method], f"{at}/{method}", "an operation")
        body, body_at = self.references.follow(raw.get("requestBody"), f"{where}/requestBody")
        responses = _table(raw.get("responses"))
        servers = self.servers(raw.get("servers"), where) or self.servers(item.get("servers"), at)
        return Operation(
            method=method.upper(),
            path=path,
            where=where,
            operation_id=str(raw.get("operationId", "")),
            tags=tuple(str(t) for t in _list(raw.get("tags"))),
            parameters=self.parameters(item, at, raw, where, path),
            bodies=tuple(self.bodies(_table(body), body_at)),
            body_required=_table(body).get("required") is True,
            statuses=frozenset(str(s).upper() for s in responses if not str(s).startswith("x-")),
            accept=self.accept(responses, where),
            deprecated=raw.get("deprecated") is True,
            weight=self.weight(raw, item, where),
            security=self.security(raw.get("security", self.raw.get("security"))),
            server=servers[0] if servers else "",
            links=tuple(self.links(responses, where)),
        )

    # ── parameters ──────────────────────────────────────────────────────────────────────────

    def parameters(
        self, item: Mapping[str, Any], item_at: str, raw: Mapping[str, Any], at: str, path: str
    ) -> tuple[Parameter, ...]:
        found: dict[tuple[str, str], Parameter] = {}
        for table, where in ((item, item_at), (raw, at)):
            for i, part in enumerate(_list(table.get("parameters"))):
                parameter = self.parameter(part, f"{where}/parameters/{i}")
                if parameter is not None:
                    found[parameter.place, parameter.name] = parameter
        for name in _names_in(path):
            if ("path", name) not in found:
                hint = "add it to the operation's parameters"
                self.references.problem(at, f"path parameter {name!r} is not described", hint)
                found["path", name] = Parameter(
                    name=name, place="path", required=True, schema={"type": "string"}, where=at
                )
        return tuple(found.values())

    def parameter(self, part: Any, at: str) -> Parameter | None:
        raw, where = self.table(part, at, "a parameter")
        name, place = raw.get("name"), raw.get("in")
        if not isinstance(name, str) or not isinstance(place, str) or place not in _STYLES:
            if raw:
                self.references.problem(where, "a parameter must have a name and a place (in)")
            return None
        if place == "header" and name.lower() in _SPOKEN_OF:
            return None
        style = str(raw.get("style", _STYLES[place]))
        media, content = next(iter(_table(raw.get("content")).items()), ("", {}))
        schema = _table(content).get("schema") if media else raw.get("schema")
        schema_at = where + (json_pointer("content", media, "schema")[1:] if media else "/schema")
        return Parameter(
            name=name,
            place=place,
            required=raw.get("required") is True or place == "path",
            style=style,
            explode=bool(raw.get("explode", style == "form")),
            keep_reserved=raw.get("allowReserved") is True,
            media=str(media),
            schema=schema if schema is not None else {"type": "string"},
            where=schema_at,
            examples=self.examples(raw, where) or self.examples(_table(content), where),
        )

    def examples(self, raw: Mapping[str, Any], where: str) -> tuple[Any, ...]:
        """The values of `example` and `examples` beside a schema."""
        found = [raw["example"]] if "example" in raw else []
        for name, part in _table(raw.get("examples")).items():
            example, _ = self.references.follow(part, where + json_pointer("examples", name)[1:])
            if isinstance(example, Mapping) and "value" in example:
                found.append(example["value"])
        return tuple(found)

    # ── bodies and answers ──────────────────────────────────────────────────────────────────

    def bodies(self, raw: Mapping[str, Any], at: str) -> Iterator[Body]:
        for media, part in _table(raw.get("content")).items():
            where = at + json_pointer("content", media)[1:]
            content, where = self.table(part, where, "a media type")
            yield Body(
                media=str(media),
                schema=content.get("schema", {}),
                where=where + "/schema",
                examples=self.examples(content, where),
                encoding=_table(content.get("encoding")),
            )

    def accept(self, responses: Mapping[str, Any], at: str) -> str:
        """The media types of the good answers, as an Accept header."""
        found: dict[str, None] = {}
        for status, part in responses.items():
            if str(status).startswith("2"):
                where = at + json_pointer("responses", status)[1:]
                response, _ = self.table(part, where, "a response")
                found.update(dict.fromkeys(map(str, _table(response.get("content")))))
        return ", ".join(media for media in found if _sendable(media))

    def links(self, responses: Mapping[str, Any], at: str) -> Iterator[Link]:
        for status, part in responses.items():
            where = at + json_pointer("responses", status)[1:]
            response, where = self.references.follow(part, where)
            for name, raw in _table(_table(response).get("links")).items():
                link, _ = self.references.follow(raw, where + json_pointer("links", name)[1:])
                target = _table(link).get("operationId") or _table(link).get("operationRef")
                parameters = _table(_table(link).get("parameters"))
                if isinstance(target, str) and parameters:
                    texts = {str(k): v for k, v in parameters.items() if isinstance(v, str)}
                    yield Link(target=_named(target), parameters=texts)

    def weight(self, raw: Mapping[str, Any], item: Mapping[str, Any], at: str) -> float | None:
        value = raw.get("x-chapiteau-weight", item.get("x-chapiteau-weight"))
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            where = f"{at}/x-chapiteau-weight"
            self.references.problem(where, f"must be a number from 0 up, not {value!r}")
            return None
        return float(value)

    # ── where and who ───────────────────────────────────────────────────────────────────────

    def servers(self, raw: Any, at: str) -> tuple[str, ...]:
        found = []
        for i, part in enumerate(_list(raw)):
            server = _table(part)
            url = server.get("url")
            if not isinstance(url, str):
                self.references.problem(f"{at}/{i}", "a server must have a url")
                continue
            for name, variable in _table(server.get("variables")).items():
                value = _table(variable).get("default", "")
                url = url.replace("{" + str(name) + "}", str(value))
            if missing := _names_in(url):
                what = f"server variable {missing[0]!r} is not described"
                self.references.problem(f"{at}/{i}", what, "add it to the server's variables")
                continue
            found.append(url.rstrip("/"))
        return tuple(found)

    def security(self, raw: Any) -> tuple[frozenset[str], ...]:
        return tuple(frozenset(map(str, _table(part))) for part in _list(raw))

    def schemes(self) -> dict[str, SecurityScheme]:
        found = {}
        parts = _table(_table(self.raw.get("components")).get("securitySchemes"))
        for name, part in parts.items():
            where = json_pointer("components", "securitySchemes", name)
            raw, _ = self.table(part, where, "a security scheme")
            found[str(name)] = SecurityScheme(
                name=str(name),
                kind=str(raw.get("type", "")),
                scheme=str(raw.get("scheme", "")).lower(),
                place=str(raw.get("in", "")),
                key=str(raw.get("name", "")),
            )
        return found


def _names_in(path: str) -> list[str]:
    """The names between braces of a path template."""
    return [piece.partition("}")[0] for piece in path.split("{")[1:] if "}" in piece]


def _sendable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _named(target: str) -> str:
    """A link's target: an operationId as it is, `#/paths/~1x/get` as `GET /x`."""
    if "#/paths/" not in target:
        return target
    path, _, method = target.partition("#/paths/")[2].rpartition("/")
    return f"{method.upper()} {path.replace('~1', '/').replace('~0', '~')}"
