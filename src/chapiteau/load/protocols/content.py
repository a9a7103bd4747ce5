"""Bodies: what goes out from `json=` or `data=`, and what comes in under content encodings."""

import importlib
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from chapiteau.load.errors import BadResponseError
from chapiteau.load.protocols.urls import query

__all__ = ["accept_encoding", "charset", "decode_body", "encode_body"]

_JSON_BODY = "application/json"
_FORM_BODY = "application/x-www-form-urlencoded"
_MOST: Final = 256 << 20  # bytes of an unpacked body
_STEP: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


brotli: Any = _library("brotli")
zstandard: Any = _library("zstandard")


def encode_body(json_value: Any, data: Any, *, has_json: bool) -> tuple[bytes, str]:
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


def decode_body(body: bytes, encoding: str) -> bytes:
    """The body without its content encodings (RFC 9110 §8.4). Raises BadResponseError, also for one
    that would grow beyond 256 MiB."""
    for name in reversed([part.strip().lower() for part in encoding.split(",") if part.strip()]):
        if name == "identity":
            continue
        unpack = _unpacker(name)
        if unpack is None:
            raise BadResponseError(f"an answer in encoding {name!r}, which nobody asked for")
        body = unpack(body, name) if body else body
    return body


def accept_encoding() -> str:
    """The Accept-Encoding field: what can be undone here (br and zstd: the extra `compress`)."""
    return ", ".join(
        ["gzip", "deflate"]
        + (["br"] if brotli is not None else [])
        + (["zstd"] if zstandard is not None else [])
    )


def _inflated(body: bytes, name: str) -> bytes:
    """All members of a gzip body (RFC 1952 §2.2), or the one of a deflate body."""
    bits = 47  # gzip or zlib, told by its header
    if name == "deflate" and body[0] & 0x0F != 8:
        bits = -15  # raw deflate: wrong, but many servers do it
    parts, size = [], 0
    while True:
        unpacker = zlib.decompressobj(bits)
        try:
            parts.append(unpacker.decompress(body, _MOST - size))
        except zlib.error as exc:
            raise _broken(name, exc) from None
        size += len(parts[-1])
        if size >= _MOST:
            raise _bomb(name)
        if not unpacker.eof:
            raise _broken(name, "it ends too early")
        body = unpacker.unused_data
        if not body.startswith(_GZIP):  # what follows otherwise, all clients leave aside
            return b"".join(parts)


def _unbrotlied(body: bytes, name: str) -> bytes:
    unpacker = brotli.Decompressor()
    parts, size = [], 0
    try:
        while not unpacker.is_finished():
            part = unpacker.process(body, output_buffer_limit=_STEP)
            body = b""
            size += len(part)
            if size >= _MOST:
                raise _bomb(name)
            if not part and unpacker.can_accept_more_data() and not unpacker.is_finished():
                raise _broken(name, "it ends too early")
            parts.append(part)
    except brotli.error as exc:
        raise _broken(name, exc) from None
    return b"".join(parts)


def _unzstd(body: bytes, name: str) -> bytes:
    """All frames of a body (RFC 8878 §3.1), in small steps: four bytes may stand for 128 KiB."""
    parts, size, at = [], 0, 0
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    rest = b""
    try:
        while rest or at < len(body):
            if unpacker.eof:
                if not rest.startswith(_ZSTD) and len(rest) >= len(_ZSTD):
                    break
                unpacker = zstandard.ZstdDecompressor().decompressobj()
            piece, rest = rest + body[at : at + 4096], b""
            at += 4096
            parts.append(unpacker.decompress(piece))
            rest = unpacker.unused_data
            size += len(parts[-1])
            if size >= _MOST:
                raise _bomb(name)
    except zstandard.ZstdError as exc:
        raise _broken(name, exc) from None
    if not unpacker.eof:
        raise _broken(name, "it ends too early")
    return b"".join(parts)


def _broken(name: str, why: object) -> BadResponseError:
    return BadResponseError(f"broken {name} body: {why}")


def _bomb(name: str) -> BadResponseError:
    return BadResponseError(f"a {name} body that unpacks to more than {_MOST >> 20} MiB")


def _unpacker(name: str) -> Callable[[bytes, str], bytes] | None:
    if name in {"gzip", "x-gzip", "deflate"}:
        return _inflated
    if name == "br" and brotli is not None:
        return _unbrotlied
    return _unzstd if name == "zstd" and zstandard is not None else None


def charset(content_type: str) -> str:
    """The charset of a content type; utf-8 when none is named."""
    for part in content_type.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == "charset":
            return value.strip().strip('"') or "utf-8"
    return "utf-8"
