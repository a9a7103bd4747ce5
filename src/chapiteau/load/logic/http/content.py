"""Bodies: what goes out from `json=` or `data=`, and what comes in under content encodings."""

import importlib
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from chapiteau.load.errors import BadAnswerError
from chapiteau.load.logic.urls import query

__all__ = ["accepted", "charset", "decoded", "encoded"]

_JSON_BODY = "application/json"
_FORM_BODY = "application/x-www-form-urlencoded"


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


brotli: Any = _library("brotli")
zstandard: Any = _library("zstandard")


def encoded(json_value: Any, data: Any, *, has_json: bool) -> tuple[bytes, str]:
    """The body's bytes and its content type ("" when the caller must say)."""
    if has_json:
        text = json.dumps(json_value, separators=(",", ":"), ensure_ascii=False)
        return text.encode(), _JSON_BODY
    if data is None:
        return b"", ""
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data), ""
    if isinstance(data, str):
        return data.encode(), "text/plain; charset=utf-8"
    if isinstance(data, Mapping):
        return query(data).replace("%20", "+").encode(), _FORM_BODY
    raise TypeError(
        f"data= takes bytes, text or a mapping of form fields, not {type(data).__name__}"
    )


def decoded(body: bytes, encoding: str) -> bytes:
    """The body without its content encodings (RFC 9110 §8.4). Raises BadAnswerError."""
    for name in reversed([part.strip().lower() for part in encoding.split(",") if part.strip()]):
        if name in {"gzip", "x-gzip", "deflate"}:
            body = _inflated(body, name)
        elif name == "br" and brotli is not None:
            body = _unpacked(brotli.decompress, brotli.error, body, name)
        elif name == "zstd" and zstandard is not None:
            unpack = zstandard.ZstdDecompressor().decompressobj().decompress
            body = _unpacked(unpack, zstandard.ZstdError, body, name)
        elif name != "identity":
            raise BadAnswerError(f"an answer in encoding {name!r}, which nobody asked for")
    return body


def accepted() -> str:
    """The Accept-Encoding field: what can be undone here (br and zstd: the extra `compress`)."""
    return ", ".join(
        ["gzip", "deflate"]
        + (["br"] if brotli is not None else [])
        + (["zstd"] if zstandard is not None else [])
    )


def _unpacked(
    unpack: Callable[[bytes], bytes], error: type[Exception], body: bytes, name: str
) -> bytes:
    if not body:
        return body
    try:
        return unpack(body)
    except error as exc:
        raise BadAnswerError(f"broken {name} body: {exc}") from None


def _inflated(body: bytes, name: str) -> bytes:
    if not body:
        return body
    try:
        if name == "deflate" and body[0] & 0x0F != 8:
            return zlib.decompress(body, wbits=-15)  # raw deflate: wrong, but many servers do it
        return zlib.decompress(body, wbits=47)  # gzip or zlib, told by its header
    except zlib.error as exc:
        raise BadAnswerError(f"broken {name} body: {exc}") from None


def charset(content_type: str) -> str:
    """The charset of a content type; utf-8 when none is named."""
    for part in content_type.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == "charset":
            return value.strip().strip('"') or "utf-8"
    return "utf-8"
