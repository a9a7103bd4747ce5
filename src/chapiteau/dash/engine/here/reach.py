"""Requests to services of this machine, for the APIs page."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from yarl import URL

from chapiteau.dash.engine.node import Fetched, Request
from chapiteau.dash.errors import BadRequestError, NodeAwayError
from chapiteau.dash.logic.target import clean_headers, clean_method, clean_path, target

__all__ = ["fetch"]

_MOST: Final = 1 << 20
_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, connect=3)


async def fetch(status: Mapping[str, Any], request: Request) -> Fetched:
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
            return Fetched(
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
