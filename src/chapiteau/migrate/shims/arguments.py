"""Arguments of requests and aiohttp → what our session takes. Written once, for all three."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.load.inputs.openapi.serialization import encode_multipart
from chapiteau.load.inputs.url_encoding import form_encode

__all__ = ["RequestArguments", "read_arguments"]

_BOUNDARY: Final = "------------------------chapiteau2b8e4d6f"


@dataclass(slots=True)
class RequestArguments:
    """A request before it goes: auth objects of `requests` are called with it."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    options: dict[str, Any] = field(default_factory=dict)  # of our session


def read_arguments(method: str, url: str, given: Mapping[str, Any]) -> RequestArguments:
    """The request that these arguments ask for; what is about the connection is left out.

    Taken: params, data, json, files, headers, cookies, auth, timeout, allow_redirects, name.
    Raises TypeError for a body that can't be sent.
    """
    request = RequestArguments(method.upper(), url, _headers(given.get("headers")))
    body, kind = _body(given)
    request.body = body
    if kind and not any(name.lower() == "content-type" for name in request.headers):
        request.headers["Content-Type"] = kind
    if cookies := given.get("cookies"):
        pairs = cookies.items() if isinstance(cookies, Mapping) else cookies
        request.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in pairs)
    if params := given.get("params"):
        request.options["params"] = _params(params)
    _authorise(request, given.get("auth"))
    timeout = _timeout(given.get("timeout"))
    if timeout is not None:
        request.options["timeout"] = timeout
    if given.get("allow_redirects") is not None:
        request.options["allow_redirects"] = bool(given["allow_redirects"])
    if given.get("name"):
        request.options["name"] = str(given["name"])
    if given.get("expect") is not None:
        request.options["expect"] = given["expect"]
    # No options at all: then our session has the request ready from the time before.
    if request.headers:
        request.options["headers"] = request.headers
    if request.body:
        request.options["data"] = request.body
    return request


def _headers(raw: Any) -> dict[str, str]:
    pairs = raw.items() if hasattr(raw, "items") else raw or ()
    return {_text(name): _text(value) for name, value in pairs if value is not None}


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _body(given: Mapping[str, Any]) -> tuple[bytes, str]:
    if given.get("json") is not None:
        return json.dumps(given["json"]).encode(), "application/json"
    data = given.get("data")
    if given.get("files"):
        return _multipart(data, given["files"])
    if data is None:
        return b"", ""
    if callable(data) and _is_form(getattr(data, "_fields", None)):
        return _form(data._fields, multipart=bool(getattr(data, "is_multipart", True)))
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data), ""
    if isinstance(data, str):
        return data.encode(), ""
    if isinstance(data, Mapping) or _is_pairs(data):
        return form_encode(_fields(data)).encode(), "application/x-www-form-urlencoded"
    if hasattr(data, "read"):
        content = data.read()
        return content if isinstance(content, bytes) else str(content).encode(), ""
    raise TypeError(f"a body of {type(data).__name__} can't be sent: give bytes, text or a dict")


def _is_form(fields: Any) -> bool:
    """aiohttp.FormData keeps (what it is called, its headers, its value)."""
    return isinstance(fields, list) and all(
        isinstance(one, tuple) and len(one) == 3 and "name" in one[0] for one in fields
    )


def _form(fields: list[Any], *, multipart: bool) -> tuple[bytes, str]:
    if not multipart:
        pairs = [(_text(about["name"]), _text(value)) for about, _, value in fields]
        return form_encode(pairs).encode(), "application/x-www-form-urlencoded"
    parts = []
    for about, headers, value in fields:
        content = value.read() if hasattr(value, "read") else value
        raw = content if isinstance(content, bytes) else str(content).encode()
        file = str(about.get("filename") or "")
        parts.append((str(about["name"]), file, str(headers.get("Content-Type", "")), raw))
    kind, body = encode_multipart(parts, _BOUNDARY)
    return body, kind


def _is_pairs(data: Any) -> bool:
    return isinstance(data, list | tuple) and all(
        isinstance(item, list | tuple) and len(item) == 2 for item in data
    )


def _fields(data: Any) -> list[tuple[str, str]]:
    pairs: Iterable[tuple[Any, Any]] = data.items() if isinstance(data, Mapping) else data
    return [
        (_text(name), _text(one))
        for name, value in pairs
        for one in (value if isinstance(value, list | tuple) else [value])
        if one is not None
    ]


def _params(raw: Any) -> Any:
    """Query parameters; None means that a parameter is not sent."""
    if isinstance(raw, str | bytes):
        pairs = (piece.partition("=") for piece in _text(raw).split("&") if piece)
        return {name: value for name, _, value in pairs}
    items: Iterable[tuple[Any, Any]] = raw.items() if hasattr(raw, "items") else raw
    found: dict[str, Any] = {}
    for name, value in items:
        if value is not None:
            found[_text(name)] = (
                _text(value) if not isinstance(value, list | tuple) else list(value)
            )
    return found


def _multipart(data: Any, files: Any) -> tuple[bytes, str]:
    parts = [(name, "", "", value.encode()) for name, value in _fields(data or {})]
    for name, value in files.items() if isinstance(files, Mapping) else files:
        file, content, kind = str(name), value, "application/octet-stream"
        if isinstance(value, tuple | list):
            file, content = str(value[0] or name), value[1]
            kind = str(value[2]) if len(value) > 2 and value[2] else kind
        if hasattr(content, "read"):
            file = file if isinstance(value, tuple | list) else _file_name(content, file)
            content = content.read()
        raw = content if isinstance(content, bytes) else str(content).encode()
        parts.append((str(name), file, kind, raw))
    kind, body = encode_multipart(parts, _BOUNDARY)
    return body, kind


def _file_name(file: Any, otherwise: str) -> str:
    name = getattr(file, "name", None)
    return name.rpartition("/")[2] if isinstance(name, str) else otherwise


def _authorise(request: RequestArguments, auth: Any) -> None:
    if auth is None:
        return
    if hasattr(auth, "encode") and not isinstance(auth, str):  # aiohttp.BasicAuth
        request.headers["Authorization"] = str(auth.encode())
    elif isinstance(auth, tuple | list) and len(auth) == 2:
        pair = f"{_text(auth[0])}:{_text(auth[1])}".encode()
        request.headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    elif callable(auth):  # requests.auth.AuthBase: it changes the request's headers
        auth(request)


def _timeout(raw: Any) -> float | None:
    if isinstance(raw, tuple | list):
        raw = max((t for t in raw if isinstance(t, int | float)), default=None)
    total = getattr(raw, "total", raw)  # aiohttp.ClientTimeout
    return float(total) if isinstance(total, int | float) and total > 0 else None
