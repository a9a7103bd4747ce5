"""Where a request to a service may go: to its own address, and nowhere else."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from chapiteau.dash.errors import BadRequestError, NodeAwayError
from chapiteau.dash.fleet.node import ServiceRequest, ServiceResponse
from chapiteau.dash.fleet.status import NodeStatus

__all__ = [
    "SAFE_METHODS",
    "Target",
    "clean_headers",
    "clean_method",
    "clean_path",
    "fetch",
    "target",
]

_ORIGIN: Final = re.compile(r"(https?)://(\[[0-9a-fA-F:]+\]|[^/:\[\]]+)(?::(\d+))?(/.*)?")
SAFE_METHODS: Final = frozenset(("GET", "HEAD", "OPTIONS"))
_METHODS: Final = SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}
_BAD_PATH: Final = re.compile(r"[\x00-\x20\x7f\\]")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS: Final = frozenset(
    ("host", "cookie", "connection", "content-length", "transfer-encoding", "upgrade", "te")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A service's own address."""

    origin: str  # "http://127.0.0.1:8000"
    document: str  # path of its OpenAPI document


def target(status: NodeStatus, service: str) -> Target:
    """The address from the service's `openapi` URL. Raises BadRequestError when it has none."""
    for entry in status.get("services", ()):
        if entry["name"] == service:
            match = _ORIGIN.fullmatch(entry.get("openapi") or "")
            if match is None:
                raise BadRequestError(
                    f"{service} publishes no OpenAPI document",
                    hint="set labels.openapi, or serve it with `app = …`",
                )
            scheme, host, port, path = match.groups()
            origin = f"{scheme}://{host}" + (f":{port}" if port else "")
            return Target(origin=origin, document=path or "/openapi.json")
    raise BadRequestError(f"there is no service {service!r}")


def clean_path(path: str) -> str:
    """The path, when it can only mean a path. Raises BadRequestError otherwise."""
    if not path.startswith("/") or path.startswith("//") or _BAD_PATH.search(path):
        raise BadRequestError(f"not a path: {path!r}", hint='it starts with one "/"')
    return path


def clean_method(method: str) -> str:
    """A method in capitals. Raises BadRequestError for one we don't send."""
    if method.upper() not in _METHODS:
        raise BadRequestError(f"not a method: {method!r}")
    return method.upper()


def clean_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without those that are the connection's own. Raises BadRequestError."""
    kept = {}
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or re.search(r"[\r\n\x00]", value):
            raise BadRequestError(f"not a header: {name!r}")
        if name.lower() not in _OURS:
            kept[name] = value
    return kept


# Requests to services of this machine, for the APIs page.

_MOST: Final = 1 << 20
_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, connect=3)


async def fetch(status: NodeStatus, request: ServiceRequest) -> ServiceResponse:
    """Send `request` to the service's own address; redirects are shown, never followed.

    The path "" means its OpenAPI document. Raises BadRequestError or NodeAwayError.
    """
    place = target(status, request.service)
    path = clean_path(request.path or place.document)
    url = URL(place.origin + path, encoded=True)
    if url.host is None:
        raise BadRequestError(f"not an address: {place.origin}")
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=True) as session,
            session.request(
                clean_method(request.method),
                url,
                headers=clean_headers(request.headers),
                data=request.body.encode() or None,
                allow_redirects=False,
            ) as answer,
        ):
            body = await answer.content.read(_MOST + 1)
            while len(body) <= _MOST and (more := await answer.content.read(_MOST)):
                body += more
            return ServiceResponse(
                status=answer.status,
                # Names are of a class of their own, which no message to a hub can carry.
                headers=tuple((str(name), value) for name, value in answer.headers.items()),
                body=body[:_MOST].decode("utf-8", "replace"),
                cut=len(body) > _MOST,
                milliseconds=round((loop.time() - began) * 1000, 1),
                url=str(url),
            )
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        why = str(exc) or type(exc).__name__
        raise NodeAwayError(f"{request.service} at {place.origin} does not answer ({why})") from exc
