"""Request bodies as bytes: JSON, forms, multipart, XML, plain text and raw bytes."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from chapiteau.load.logic.inputs.openapi.operation import Body
from chapiteau.load.logic.inputs.openapi.parameters import plain
from chapiteau.load.logic.inputs.quoting import form_encode

if TYPE_CHECKING:
    import random

__all__ = ["encode_body", "encode_multipart", "is_json", "preferred"]

_ORDER: Final = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/xml",
    "text/plain",
)


def is_json(media: str) -> bool:
    """JSON itself or a dialect of it: `application/problem+json`."""
    essence = media.partition(";")[0].strip().lower()
    return essence == "application/json" or essence.endswith("+json")


def preferred(bodies: tuple[Body, ...]) -> Body | None:
    """The media type to send: JSON where it may be, then forms, then what there is."""
    for body in bodies:
        if is_json(body.media):
            return body
    for media in _ORDER:
        for body in bodies:
            if body.media.partition(";")[0].strip().lower() == media:
                return body
    return bodies[0] if bodies else None


def encode_body(body: Body, value: Any, chance: "random.Random") -> tuple[str, bytes]:
    """The content type and the bytes of a body with this value."""
    media = body.media.partition(";")[0].strip().lower()
    if media in {"*/*", "application/*"}:
        media = "application/json"
    if is_json(media):
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        kept = body.media if is_json(body.media) else media
        return kept, text.encode("utf-8", "replace")
    if media == "application/x-www-form-urlencoded":
        return media, form_encode(_form_pairs(value)).encode()
    if media.startswith("multipart/"):
        boundary = f"chapiteau-{chance.getrandbits(64):016x}"
        return encode_multipart(_form_parts(value, body.encoding), boundary, media)
    if media.endswith(("/xml", "+xml")):
        return body.media, _xml(value).encode("utf-8", "replace")
    return body.media if "*" not in media else "text/plain", plain(value).encode("utf-8", "replace")


def _form_pairs(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, Mapping):
        return [("value", plain(value))]
    return [
        (str(name), plain(part))
        for name, item in value.items()
        for part in (item if isinstance(item, list) else [item])
    ]


# name, file name or "", content type, content
Part = tuple[str, str, str, bytes]


def _form_parts(value: Any, encoding: Mapping[str, Any]) -> list[Part]:
    parts: list[Part] = []
    for name, item in (value if isinstance(value, Mapping) else {"value": value}).items():
        spec = encoding.get(name)
        media = spec.get("contentType", "") if isinstance(spec, Mapping) else ""
        media = str(media).partition(",")[0].strip()
        for part in item if isinstance(item, list) else [item]:
            kind = media or ("application/json" if isinstance(part, Mapping) else "")
            file = f"{name}.bin" if kind and kind != "application/json" else ""
            parts.append((str(name), file, kind, plain(part).encode("utf-8", "replace")))
    return parts


def encode_multipart(
    parts: list[Part], boundary: str, media: str = "multipart/form-data"
) -> tuple[str, bytes]:
    """The content type and bytes of a multipart body (RFC 7578)."""
    lines: list[bytes] = []
    for name, file, kind, content in parts:
        label = f'form-data; name="{_quoted(name)}"'
        if file:
            label += f'; filename="{_quoted(file)}"'
        head = f"--{boundary}\r\nContent-Disposition: {label}\r\n"
        if kind:
            head += f"Content-Type: {kind}\r\n"
        lines += [head.encode("utf-8", "replace"), b"\r\n", content, b"\r\n"]
    return f"{media}; boundary={boundary}", b"".join([*lines, f"--{boundary}--\r\n".encode()])


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _xml(value: Any, name: str = "root") -> str:
    tag = "".join(c if c.isalnum() or c in "_-" else "_" for c in name) or "item"
    if isinstance(value, Mapping):
        inside = "".join(_xml(item, str(key)) for key, item in value.items())
    elif isinstance(value, list):
        return "".join(_xml(item, name) for item in value)
    else:
        text = plain(value)
        inside = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{tag}>{inside}</{tag}>"
