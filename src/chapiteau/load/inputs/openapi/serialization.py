"""Request bodies as bytes: JSON, forms, multipart, XML, plain text and raw bytes."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from chapiteau.load.inputs.openapi.operations import Body, Parameter
from chapiteau.load.inputs.url_encoding import form_encode, quote

if TYPE_CHECKING:
    import random

__all__ = [
    "encode_body",
    "encode_multipart",
    "is_json",
    "plain_text",
    "preferred_body",
    "serialize_cookie",
    "serialize_header",
    "serialize_path",
    "serialize_query",
]


# Parameter values as text: the styles of OpenAPI 3 (4.8.12.4), exploded or not.

_RESERVED: Final = ":/?#[]@!$&'()*+,;="
# What a query may hold unescaped when the document allows reserved characters: `&`, `#` and the
# like would end the value, so they never stay.
_QUERY_RESERVED: Final = ":/?@!$'()*,;"
_BETWEEN: Final = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}


def plain_text(value: Any) -> str:
    """A scalar as text: true, 3, 2.5; objects and arrays as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def serialize_path(parameter: Parameter, value: Any) -> str:
    """The text that takes the place of `{name}` in the path."""
    if parameter.media:
        return quote(json.dumps(value, separators=(",", ":")))
    name = quote(parameter.name)
    if parameter.style == "label":
        between = "." if parameter.explode else ","
        return "." + between.join(_pieces(value, explode=parameter.explode))
    if parameter.style == "matrix":
        return _matrix(name, value, explode=parameter.explode)
    # An empty segment would be another path: a dash keeps the route.
    return ",".join(_pieces(value, explode=parameter.explode)) or "-"


def _matrix(name: str, value: Any, *, explode: bool) -> str:
    if explode and isinstance(value, Mapping):
        return "".join(f";{quote(str(k))}={quote(plain_text(v))}" for k, v in value.items())
    if explode and isinstance(value, list):
        return "".join(f";{name}={quote(plain_text(v))}" for v in value)
    return f";{name}={','.join(_pieces(value, explode=False))}"


def _pieces(value: Any, *, explode: bool) -> list[str]:
    """The encoded parts of a value of styles simple and label."""
    if isinstance(value, Mapping):
        if explode:
            return [f"{quote(str(k))}={quote(plain_text(v))}" for k, v in value.items()]
        return [quote(text) for k, v in value.items() for text in (str(k), plain_text(v))]
    if isinstance(value, list):
        return [quote(plain_text(v)) for v in value]
    return [quote(plain_text(value))]


def serialize_query(parameter: Parameter, value: Any) -> str:
    """The `name=value` pieces for the query, joined by `&`; "" when the value is empty."""
    keep = _QUERY_RESERVED if parameter.keep_reserved else ""
    name = quote(parameter.name, "[]")
    if parameter.media:
        return f"{name}={quote(json.dumps(value, separators=(',', ':')), keep)}"
    if parameter.style == "deepObject" and isinstance(value, Mapping):
        return "&".join(_deep(name, value, keep))
    if isinstance(value, Mapping):
        if parameter.explode:
            return "&".join(
                f"{quote(str(k))}={quote(plain_text(v), keep)}" for k, v in value.items()
            )
        flat = [quote(text, keep) for k, v in value.items() for text in (str(k), plain_text(v))]
        return f"{name}={_BETWEEN.get(parameter.style, ',').join(flat)}"
    if isinstance(value, list):
        items = [quote(plain_text(v), keep) for v in value]
        if parameter.explode:
            return "&".join(f"{name}={item}" for item in items)
        return f"{name}={_BETWEEN.get(parameter.style, ',').join(items)}"
    return f"{name}={quote(plain_text(value), keep)}"


def _deep(name: str, value: Mapping[str, Any], keep: str) -> list[str]:
    """`filter[price][min]=3`: nested further than the standard says, as everybody does it."""
    found: list[str] = []
    for key, item in value.items():
        inner = f"{name}[{quote(str(key))}]"
        if isinstance(item, Mapping):
            found += _deep(inner, item, keep)
        elif isinstance(item, list):
            found += [f"{inner}={quote(plain_text(v), keep)}" for v in item]
        else:
            found.append(f"{inner}={quote(plain_text(item), keep)}")
    return found


def serialize_header(parameter: Parameter, value: Any) -> str:
    """The value of a header (style simple), one line of visible ASCII and spaces."""
    if parameter.media:
        return json.dumps(value, separators=(",", ":"))
    if isinstance(value, Mapping):
        pairs = [(str(k), plain_text(v)) for k, v in value.items()]
        text = ",".join("=".join(p) if parameter.explode else ",".join(p) for p in pairs)
    elif isinstance(value, list):
        text = ",".join(plain_text(v) for v in value)
    else:
        text = plain_text(value)
    return "".join(c for c in text if " " <= c <= "~").strip()


def serialize_cookie(parameter: Parameter, value: Any) -> str:
    """The `name=value` of a cookie (style form)."""
    if isinstance(value, Mapping | list) and not parameter.media:
        return f"{quote(parameter.name)}={','.join(_pieces(value, explode=False))}"
    return f"{quote(parameter.name)}={quote(plain_text(value))}"


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


def preferred_body(bodies: tuple[Body, ...]) -> Body | None:
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
    return body.media if "*" not in media else "text/plain", plain_text(value).encode(
        "utf-8", "replace"
    )


def _form_pairs(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, Mapping):
        return [("value", plain_text(value))]
    return [
        (str(name), plain_text(part))
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
            parts.append((str(name), file, kind, plain_text(part).encode("utf-8", "replace")))
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
        text = plain_text(value)
        inside = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{tag}>{inside}</{tag}>"
