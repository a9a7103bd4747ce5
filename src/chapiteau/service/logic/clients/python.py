"""A typed Python client: one file, standard library only, sync and async, strict for mypy."""

import keyword
import re
from typing import Any, Final

from chapiteau.service.logic.clients.calls import Argument, Call, calls, is_upload

__all__ = ["python_client"]


def python_client(document: dict[str, Any], *, name: str = "Client") -> str:
    """The source of a module with the classes `name` and `Async…name`."""
    info = document.get("info", {})
    title = _one_line(f"{info.get('title', 'API')} {info.get('version', '')}".strip())
    parts = [_HEAD.format(title=title)]
    schemas = document.get("components", {}).get("schemas", {})
    parts += [_model(key, schema) for key, schema in schemas.items()]
    parts.append(_BASE)
    found = list(calls(document))
    parts.append(_CLASS.format(name=name, title=title))
    parts += [_method(call) for call in found]
    parts.append(_ASYNC.format(name=name, title=title))
    parts += [_async_method(call) for call in found]
    return "".join(parts)


# ── types ────────────────────────────────────────────────────────────────────────────────────────
_SIMPLE: Final = {
    "string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None",
}  # fmt: skip


def _class_name(text: str) -> str:
    name = re.sub(r"\W+", "_", text).strip("_")
    return name if name and not name[0].isdigit() else f"T_{name}"


def _type(schema: dict[str, Any]) -> str:
    if is_upload(schema):
        return "Upload"
    if "$ref" in schema:
        return _class_name(schema["$ref"].rpartition("/")[2])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(_type(part) for part in schema[key]))
    if "enum" in schema and all(isinstance(v, str | int | bool) for v in schema["enum"]):
        return f"Literal[{', '.join(repr(v) for v in schema['enum'])}]"
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": one}) for one in kind)
    if kind == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"dict[str, {_type(more) if isinstance(more, dict) else 'Any'}]"
    return _SIMPLE.get(str(kind), "Any")


def _model(key: str, schema: dict[str, Any]) -> str:
    name = _class_name(key)
    if "properties" not in schema:
        return f"\n{name}: TypeAlias = {_quoted(_type(schema))}\n"
    required = set(schema.get("required", ()))
    fields = [
        (wire, _type(part) if wire in required else f"NotRequired[{_type(part)}]")
        for wire, part in schema["properties"].items()
    ]
    if all(wire.isidentifier() and not keyword.iskeyword(wire) for wire, _ in fields):
        words = _one_line(schema.get("description", "")) or f"{name}."
        lines = "".join(f"    {wire}: {kind}\n" for wire, kind in fields)
        return f'\n\nclass {name}(TypedDict):\n    """{words}"""\n\n{lines or "    pass" + chr(10)}'
    pairs = ", ".join(f"{wire!r}: {_quoted(kind)}" for wire, kind in fields)
    return f'\n{name} = TypedDict("{name}", {{{pairs}}})\n'


def _quoted(kind: str) -> str:
    return f'"{kind}"'.replace("'", "\\'") if '"' not in kind else repr(kind)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace('"""', "'''")


# ── methods ──────────────────────────────────────────────────────────────────────────────────────
def _signature(call: Call) -> str:
    in_path = [a for a in call.arguments if a.place == "path"]
    parts = ["self", *(f"{a.name}: {_type(a.schema)}" for a in in_path)]
    named = [_named(a) for a in call.arguments if a.place != "path"]
    if call.body is not None:
        kind = "bytes" if call.body.is_bytes else _type(call.body.schema)
        parts.append(f"body: {kind}" if call.body.required else f"body: {kind} | None = None")
    return ", ".join([*parts, *(["*", *named] if named else [])])


def _named(argument: Argument) -> str:
    kind = _type(argument.schema)
    if argument.required:
        return f"{argument.name}: {kind}"
    return f"{argument.name}: {kind}{'' if kind.endswith('None') else ' | None'} = None"


def _answer(call: Call) -> str:
    if call.is_bytes:
        return "bytes"
    return "None" if call.answer is None else _type(call.answer)


def _method(call: Call) -> str:
    def pairs(place: str) -> str:
        said = [f'"{a.wire}": {a.name}' for a in call.arguments if a.place == place]
        fixed = [f'"{k}": "{v}"' for k, v in call.constants.items()] if place == "header" else []
        if place == "header" and (cookies := pairs("cookie")):
            fixed.append(f'"Cookie": _cookies({{{cookies}}})')
        return ", ".join([*said, *fixed])

    path = call.path
    for argument in call.arguments:
        if argument.place == "path":
            path = path.replace("{" + argument.wire + "}", "{_quote(" + argument.name + ")}")
    body = ", body=body" if call.body is not None else ""
    if call.body is not None and call.body.media != "application/json":
        body += f', media="{call.body.media}"'
    if call.accept != "application/json":
        body += f', accept="{call.accept}"'
    prefix = "f" if "{" in path else ""
    return (
        f"\n    def {call.name}({_signature(call)}) -> Answer[{_answer(call)}]:\n"
        f'        """{_one_line(call.words) or call.method + " " + call.path}"""\n'
        f'        return self._send("{call.method}", {prefix}"{path}", '
        f"{{{pairs('query')}}}, {{{pairs('header')}}}{body})\n"
    )


def _async_method(call: Call) -> str:
    given = [
        a.name if a.place == "path" else f"{a.name}={a.name}"
        for a in sorted(call.arguments, key=lambda a: a.place != "path")
    ]
    if call.body is not None:
        given.insert(sum(a.place == "path" for a in call.arguments), "body")
    words = ", ".join([f"self._client.{call.name}", *given])
    return (
        f"\n    async def {call.name}({_signature(call)}) -> Answer[{_answer(call)}]:\n"
        f'        """{_one_line(call.words) or call.method + " " + call.path}"""\n'
        f"        return await asyncio.to_thread({words})\n"
    )


_HEAD = '''"""Client of {title}. Written by `chapiteau service client`: don't edit."""

from __future__ import annotations

import asyncio
import http.client
import json
import secrets
import select
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NotRequired, TypeAlias, TypedDict, TypeVar
from urllib.parse import quote, urlencode, urlsplit

_ = (Literal, NotRequired, TypeAlias)  # not every document needs all of them
T = TypeVar("T")
'''

_BASE = '''

@dataclass(frozen=True)
class Answer(Generic[T]):
    """A good answer: the value, and what its headers say."""

    value: T
    status: int
    headers: Mapping[str, str] = field(repr=False)

    @property
    def etag(self) -> str | None:
        """Version to send back as If-Match."""
        return self.headers.get("etag")

    @property
    def links(self) -> dict[str, str]:
        """Targets of the Link header by relation: `links.get("next")`."""
        found = {}
        for part in self.headers.get("link", "").split(", <"):
            target, _, rest = part.strip("< ").partition(">")
            if 'rel="' in rest:
                found[rest.partition('rel="')[2].partition('"')[0]] = target
        return found


class ApiError(Exception):
    """An answer of 400 or more; `problem` is its document (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('detail') or problem.get('title') or ''}".strip())
        self.status = status
        self.problem = problem


@dataclass(frozen=True)
class Upload:
    """A file to send in a form."""

    name: str
    data: bytes = field(repr=False)
    media: str = "application/octet-stream"


def _quote(value: object) -> str:
    return quote(_text(value), safe="")


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cookies(given: Mapping[str, Any]) -> str | None:
    return "; ".join(f"{name}={_text(v)}" for name, v in given.items() if v is not None) or None


def _pairs(fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        (name, item)
        for name, value in fields.items()
        if value is not None
        for item in (value if isinstance(value, list) else [value])
    ]


def _is_json(media: str) -> bool:
    """Whether it is one JSON value: `application/x-ndjson` holds many."""
    kind = media.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _encoded(body: Any, media: str) -> tuple[bytes, str]:
    """A body as bytes, and its content type."""
    if isinstance(body, bytes):
        return body, media
    if media == "application/x-www-form-urlencoded":
        return urlencode([(k, _text(v)) for k, v in _pairs(body)]).encode(), media
    if media == "multipart/form-data":
        mark = secrets.token_hex(16)
        data = b"".join(_part(mark, name, value) for name, value in _pairs(body))
        return data + f"--{mark}--\\r\\n".encode(), f"{media}; boundary={mark}"
    return json.dumps(body).encode(), media


def _part(mark: str, name: str, value: Any) -> bytes:
    head = f'--{mark}\\r\\nContent-Disposition: form-data; name="{name}"'
    if not isinstance(value, Upload):
        return f"{head}\\r\\n\\r\\n{_text(value)}\\r\\n".encode()
    filename = quote(value.name, safe=" ")
    head += f'; filename="{filename}"\\r\\nContent-Type: {value.media}\\r\\n\\r\\n'
    return head.encode() + value.data + b"\\r\\n"
'''

_CLASS = '''

class {name}:
    """{title}. One connection per thread; safe to share between threads."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = urlsplit(url)
        self._headers = dict(headers or {{}})
        self._timeout = timeout
        self._tls = tls
        self._local = threading.local()

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            host, port = self._url.hostname or "localhost", self._url.port
            if self._url.scheme == "https":
                found = http.client.HTTPSConnection(
                    host, port, timeout=self._timeout, context=self._tls
                )
            else:
                found = http.client.HTTPConnection(host, port, timeout=self._timeout)
            self._local.connection = found
        elif found.sock is not None and select.select([found.sock], [], [], 0)[0]:
            found.close()  # nothing was asked, so what is there to read is its end
        return found

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        headers: Mapping[str, Any],
        *,
        body: Any = None,
        media: str = "application/json",
        accept: str = "application/json",
    ) -> Answer[Any]:
        pairs = [(name, _text(item)) for name, item in _pairs(query)]
        target = self._url.path.rstrip("/") + path + ("?" + urlencode(pairs) if pairs else "")
        sent = {{**self._headers, "Accept": accept}}
        sent.update({{name: _text(value) for name, value in headers.items() if value is not None}})
        data = None
        if body is not None:
            data, sent["Content-Type"] = _encoded(body, media)
        response, raw = self._exchange(method, target, data, sent)
        fields = {{name.lower(): value for name, value in response.getheaders()}}
        isjson = bool(raw) and _is_json(fields.get("content-type", ""))
        if response.status >= 400:
            problem = json.loads(raw) if isjson else None
            raise ApiError(response.status, problem if isinstance(problem, dict) else {{}})
        if not _is_json(accept):
            return Answer(raw, response.status, fields)
        return Answer(json.loads(raw) if isjson else None, response.status, fields)

    def _exchange(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        try:
            return self._ask(method, target, data, headers)
        except (http.client.HTTPException, ConnectionError):
            # A kept connection may have been closed meanwhile; asking again is safe only when
            # asking twice does no harm.
            if method not in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
                raise
        return self._ask(method, target, data, headers)

    def _ask(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self._connection()
        try:
            connection.request(method, target, data, dict(headers))
            response = connection.getresponse()
            return response, response.read()
        except BaseException:
            connection.close()  # half an answer may be left in it
            raise
'''

_ASYNC = '''

class Async{name}:
    """{title}, for asyncio: every call runs in a thread of the loop's pool."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._client = {name}(url, headers=headers, timeout=timeout, tls=tls)
'''
