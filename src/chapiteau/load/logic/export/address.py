"""Addresses of several schemes, taken apart: `scheme://user:password@host:port/path?query`."""

import re
from dataclasses import dataclass
from typing import Final

from chapiteau.core.errors import UsageError
from chapiteau.load.logic.inputs.quoting import split_query, unquote

__all__ = ["Parts", "parts_of"]

_ONE: Final = re.compile(
    r"(?P<scheme>[a-z+]+)://(?:(?P<user>[^/\s]*)@)?(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^/:?#@\s]+))"
    r"(?::(?P<port>\d{1,5}))?(?P<path>/[^?#\s]*)?(?:\?(?P<query>[^#\s]*))?"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """An address. `netloc` is what stands between the slashes; `port` is 0 when none is given."""

    scheme: str
    netloc: str
    host: str
    port: int
    path: str
    query: dict[str, str]
    user: str = ""
    password: str = ""


def parts_of(text: str, what: str, hint: str) -> Parts:
    """Take an address apart. Raises UsageError that begins with `what`."""
    found = _ONE.fullmatch(text)
    if found is None or int(found["port"] or 0) > 65535:
        raise UsageError(f"{what} {text!r}: no address", hint=hint)
    user, _, password = (found["user"] or "").partition(":")
    return Parts(
        scheme=found["scheme"],
        netloc=text.partition("://")[2].partition("/")[0].partition("?")[0],
        host=found["six"] or found["host"],
        port=int(found["port"] or 0),
        path=found["path"] or "",
        query=dict(split_query("?" + (found["query"] or ""))[1]),
        user=unquote(user),
        password=unquote(password),
    )
