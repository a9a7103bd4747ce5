"""Parameter values as text: the styles of OpenAPI 3 (4.8.12.4), exploded or not."""

import json
from collections.abc import Mapping
from typing import Any, Final

from chapiteau.load.logic.inputs.openapi.operation import Parameter
from chapiteau.load.logic.inputs.quoting import quote

__all__ = ["as_cookie", "as_header", "as_path", "as_query", "plain"]

_RESERVED: Final = ":/?#[]@!$&'()*+,;="
# What a query may hold unescaped when the document allows reserved characters: `&`, `#` and the
# like would end the value, so they never stay.
_QUERY_RESERVED: Final = ":/?@!$'()*,;"
_BETWEEN: Final = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}


def plain(value: Any) -> str:
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


def as_path(parameter: Parameter, value: Any) -> str:
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
        return "".join(f";{quote(str(k))}={quote(plain(v))}" for k, v in value.items())
    if explode and isinstance(value, list):
        return "".join(f";{name}={quote(plain(v))}" for v in value)
    return f";{name}={','.join(_pieces(value, explode=False))}"


def _pieces(value: Any, *, explode: bool) -> list[str]:
    """The encoded parts of a value of styles simple and label."""
    if isinstance(value, Mapping):
        if explode:
            return [f"{quote(str(k))}={quote(plain(v))}" for k, v in value.items()]
        return [quote(text) for k, v in value.items() for text in (str(k), plain(v))]
    if isinstance(value, list):
        return [quote(plain(v)) for v in value]
    return [quote(plain(value))]


def as_query(parameter: Parameter, value: Any) -> str:
    """The `name=value` pieces for the query, joined by `&`; "" when the value is empty."""
    keep = _QUERY_RESERVED if parameter.keep_reserved else ""
    name = quote(parameter.name, "[]")
    if parameter.media:
        return f"{name}={quote(json.dumps(value, separators=(',', ':')), keep)}"
    if parameter.style == "deepObject" and isinstance(value, Mapping):
        return "&".join(_deep(name, value, keep))
    if isinstance(value, Mapping):
        if parameter.explode:
            return "&".join(f"{quote(str(k))}={quote(plain(v), keep)}" for k, v in value.items())
        flat = [quote(text, keep) for k, v in value.items() for text in (str(k), plain(v))]
        return f"{name}={_BETWEEN.get(parameter.style, ',').join(flat)}"
    if isinstance(value, list):
        items = [quote(plain(v), keep) for v in value]
        if parameter.explode:
            return "&".join(f"{name}={item}" for item in items)
        return f"{name}={_BETWEEN.get(parameter.style, ',').join(items)}"
    return f"{name}={quote(plain(value), keep)}"


def _deep(name: str, value: Mapping[str, Any], keep: str) -> list[str]:
    """`filter[price][min]=3`: nested further than the standard says, as everybody does it."""
    found: list[str] = []
    for key, item in value.items():
        inner = f"{name}[{quote(str(key))}]"
        if isinstance(item, Mapping):
            found += _deep(inner, item, keep)
        elif isinstance(item, list):
            found += [f"{inner}={quote(plain(v), keep)}" for v in item]
        else:
            found.append(f"{inner}={quote(plain(item), keep)}")
    return found


def as_header(parameter: Parameter, value: Any) -> str:
    """The value of a header (style simple), one line of visible ASCII and spaces."""
    if parameter.media:
        return json.dumps(value, separators=(",", ":"))
    if isinstance(value, Mapping):
        pairs = [(str(k), plain(v)) for k, v in value.items()]
        text = ",".join("=".join(p) if parameter.explode else ",".join(p) for p in pairs)
    elif isinstance(value, list):
        text = ",".join(plain(v) for v in value)
    else:
        text = plain(value)
    return "".join(c for c in text if " " <= c <= "~").strip()


def as_cookie(parameter: Parameter, value: Any) -> str:
    """The `name=value` of a cookie (style form)."""
    if isinstance(value, Mapping | list) and not parameter.media:
        return f"{quote(parameter.name)}={','.join(_pieces(value, explode=False))}"
    return f"{quote(parameter.name)}={quote(plain(value))}"
