"""Arguments of requests and aiohttp → those of our session."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from chapiteau.load.inputs.openapi.serialization import encode_multipart
from chapiteau.load.inputs.url_encoding import form_encode

__all__ = ["RequestArguments", "read_arguments"]

_BOUNDARY: Final = "------------------------chapiteau2b8e4d6f"
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class RequestArguments:
    """A request before it is sent: auth objects of `requests` are called with it."""

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
    headers = {_text(k): _text(v) for k, v in _items(given.get("headers")) if v is not None}
    body, kind = _body(given)
    if kind and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = kind
    if cookies := given.get("cookies"):
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in _items(cookies))
    request = RequestArguments(method.upper(), url, headers, body)
    _authorise(request, given.get("auth"))
    headers, body = request.headers, request.body  # which may be others now
    options = {
        "params": _params(given.get("params")),
        "timeout": _timeout(given.get("timeout")),
        "allow_redirects": given.get("allow_redirects"),
        "name": given.get("name") or None,
        "expect": given.get("expect"),
        "headers": headers or None,
        "data": body or None,
    }
    # No options at all: then our session has the request ready from the time before.
    return replace(
        request, options={key: value for key, value in options.items() if value is not None}
    )


def _items(pairs: Any) -> list[tuple[Any, Any]]:
    return list(pairs.items() if hasattr(pairs, "items") else pairs or ())


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(content: Any) -> bytes:
    content = content.read() if hasattr(content, "read") else content
    return bytes(content) if isinstance(content, bytes | bytearray) else str(content).encode()


# ── bodies ────────────────────────────────────────────────────────────────────────────────────
def _body(given: Mapping[str, Any]) -> tuple[bytes, str]:
    data = given.get("data")
    if given.get("json") is not None:
        return json.dumps(given["json"]).encode(), "application/json"
    if given.get("files"):
        return _multipart(data, given["files"])
    if callable(data) and _is_form(getattr(data, "_fields", None)):
        return _form(data._fields, multipart=bool(getattr(data, "is_multipart", True)))
    if isinstance(data, Mapping) or _is_pairs(data):
        return form_encode(_fields(data)).encode(), _FORM
    if data is None or isinstance(data, bytes | bytearray | memoryview | str):
        return data.encode() if isinstance(data, str) else bytes(data or b""), ""
    if hasattr(data, "read"):
        return _bytes(data), ""
    raise TypeError(f"a body of {type(data).__name__} can't be sent: give bytes, text or a dict")


def _is_form(fields: Any) -> bool:
    """aiohttp.FormData keeps (name and file name, headers, value)."""
    return isinstance(fields, list) and all(
        isinstance(one, tuple) and len(one) == 3 and "name" in one[0] for one in fields
    )


def _form(fields: list[Any], *, multipart: bool) -> tuple[bytes, str]:
    if not multipart:
        pairs = [(_text(about["name"]), _text(value)) for about, _, value in fields]
        return form_encode(pairs).encode(), _FORM
    parts = []
    for about, headers, value in fields:
        file, kind = str(about.get("filename") or ""), str(headers.get("Content-Type", ""))
        parts.append((str(about["name"]), file, kind, _bytes(value)))
    kind, body = encode_multipart(parts, _BOUNDARY)
    return body, kind


def _is_pairs(data: Any) -> bool:
    return isinstance(data, list | tuple) and all(
        isinstance(item, list | tuple) and len(item) == 2 for item in data
    )


def _fields(data: Any) -> list[tuple[str, str]]:
    return [
        (_text(name), _text(one))
        for name, value in _items(data)
        for one in (value if isinstance(value, list | tuple) else [value])
        if one is not None
    ]


def _multipart(data: Any, files: Any) -> tuple[bytes, str]:
    parts = [(name, "", "", value.encode()) for name, value in _fields(data)]
    for name, value in _items(files):
        file, content, kind = str(name), value, "application/octet-stream"
        if isinstance(value, tuple | list):
            file, content = str(value[0] or name), value[1]
            kind = str(value[2]) if len(value) > 2 and value[2] else kind
        elif isinstance(path := getattr(content, "name", None), str):
            file = path.rpartition("/")[2]
        parts.append((str(name), file, kind, _bytes(content)))
    kind, body = encode_multipart(parts, _BOUNDARY)
    return body, kind


# ── the rest ──────────────────────────────────────────────────────────────────────────────────
def _params(raw: Any) -> dict[str, str | list[object]] | None:
    """Query parameters; one that is None is not sent."""
    if isinstance(raw, str | bytes):
        pairs = (piece.partition("=") for piece in _text(raw).split("&") if piece)
        return {name: value for name, _, value in pairs}
    many = {_text(name): value for name, value in _items(raw) if value is not None}
    return {
        name: list(value) if isinstance(value, list | tuple) else _text(value)
        for name, value in many.items()
    } or None


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
