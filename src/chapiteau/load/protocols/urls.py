"""Addresses taken apart and put together, and the names that requests are grouped under."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.core.errors import UsageError

__all__ = [
    "Address",
    "endpoint_name",
    "is_allowed",
    "is_loopback",
    "join",
    "parse",
    "query",
    "resolve_location",
    "same_host",
]

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?:(?P<user>[^@/?#]*)@)?"
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:/?#\[\]@]+)(?::(?P<port>\d{1,5}))?(?P<path>[/?#]?[^#]*)(?:#.*)?"
)
_PORTS: Final = {"http": 80, "https": 443}
_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_KEPT: Final = _SAFE | frozenset(b"!$&'()*+,;=:@/?%[]")
# Segments that name one thing among many: numbers, UUIDs, long hexadecimal and random-looking ids.
_ID: Final = re.compile(
    r"\d+|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}"
    r"|(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{20,}"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A URL's parts; `path` begins with "/" and holds the query; `user` is user:password."""

    scheme: str
    host: str
    port: int
    path: str
    user: str = ""

    @property
    def netloc(self) -> str:
        """Host and port as the Host field has them: the usual port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.netloc}"

    def __str__(self) -> str:
        return self.origin + self.path


def parse(url: str) -> Address:
    """The parts of an absolute http or https URL. Raises UsageError when it is none."""
    match = _URL.fullmatch(url.strip())
    if match is None or (match["port"] and int(match["port"]) > 65535):
        raise UsageError(
            f"{url!r} is no http or https URL", hint="for example http://localhost:8000/"
        )
    path = match["path"] or "/"
    if not path.startswith("/"):
        path = "/" + path
    scheme = match["scheme"]
    return Address(
        scheme=scheme,
        host=match["host"].strip("[]"),
        port=int(match["port"] or _PORTS[scheme]),
        path="".join(chr(b) if b in _KEPT else f"%{b:02X}" for b in path.encode()),
        user=match["user"] or "",
    )


def join(base: str, url: str) -> str:
    """An absolute URL from one that may be relative to `base` (RFC 3986 §5, without "..")."""
    if url.startswith(("http://", "https://")):
        return url
    if not base:
        raise UsageError(
            f"{url!r} is relative, and there is no base URL", hint="pass --base http://host:port"
        )
    at = parse(base)
    if url.startswith("//"):
        return f"{at.scheme}:{url}"
    if url.startswith("/"):
        # The base may have a path of its own (an API's prefix): requests stay below it.
        return at.origin + at.path.split("?")[0].rstrip("/") + url
    folder = at.path.split("?")[0]
    return at.origin + folder.rstrip("/") + ("" if url.startswith("?") or not url else "/") + url


def resolve_location(at: Address, location: str) -> str:
    """Where a Location field leads to from `at` (RFC 3986 §5.2)."""
    if location.startswith(("http://", "https://")):
        return location
    if location.startswith("//"):
        return f"{at.scheme}:{location}"
    if location.startswith("/"):
        return at.origin + location
    folder = at.path.split("?")[0].rsplit("/", 1)[0]
    return f"{at.origin}{folder}/{location}"


def query(params: Mapping[str, Any]) -> str:
    """A query string; a list gives its name several times, None is left out."""
    pairs = []
    for name, value in params.items():
        for item in value if isinstance(value, list | tuple) else (value,):
            if item is not None:
                text = str(item).lower() if isinstance(item, bool) else str(item)
                pairs.append(f"{_quote(name)}={_quote(text)}")
    return "&".join(pairs)


def _quote(text: str) -> str:
    return "".join(chr(b) if b in _SAFE else f"%{b:02X}" for b in text.encode())


def endpoint_name(method: str, path: str) -> str:
    """The row that a request counts in: ids in the path become {id}, the query is dropped."""
    bare = path.split("?", 1)[0]
    named = "/".join("{id}" if _ID.fullmatch(part) else part for part in bare.split("/"))
    return f"{method} {named}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its own name or number."""
    host = host.lower().removesuffix(".")
    return host in {"localhost", "::1", "0:0:0:0:0:0:0:1"} or bool(
        re.fullmatch(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}|.+\.localhost", host)
    )


def is_allowed(host: str, allowed: Collection[str]) -> bool:
    """Whether load may be put on a host: on this machine always, else when it was allowed."""
    return is_loopback(host) or same_host(host) in {same_host(one) for one in allowed}


def same_host(host: str) -> str:
    """One spelling of a host's name: in lower case, without a dot or brackets around it."""
    return host.lower().removesuffix(".").strip("[]")
