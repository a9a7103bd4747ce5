"""The services' own APIs: their documents, and trying them out."""

import dataclasses
import json

from aiohttp import web

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.engine.node import Request
from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.web.guard import CALLER, HUB, json_body, need

__all__ = ["document", "try_out"]


@need("see")
async def document(request: web.Request) -> web.Response:
    """GET /api/openapi?node=N&service=S: the service's own OpenAPI document, fetched now."""
    node = request.app[HUB].fleet.watch(request.query.get("node", "")).node
    asked = Request(service=request.query.get("service", ""), path="")
    answer = await node.fetch(asked)
    if answer.status != 200:
        raise ChapiteauError(f"{answer.url} answered {answer.status}")
    try:
        found = json.loads(answer.body)
    except ValueError as exc:
        raise ChapiteauError(f"{answer.url} is not JSON: {exc}") from exc
    return web.json_response({"url": answer.url, "document": found})


@need("try")
async def try_out(request: web.Request) -> web.Response:
    """POST /api/try {"node", "service", "method", "path", "headers", "body"}: sent by the node."""
    body = await json_body(request)
    headers = body.get("headers") or {}
    if not isinstance(headers, dict):
        raise BadRequestError("headers: an object")
    hub = request.app[HUB]
    asked = Request(
        service=str(body.get("service", "")),
        method=str(body.get("method", "GET")),
        path=str(body.get("path", "/")),
        headers={str(k): str(v) for k, v in headers.items()},
        body=str(body.get("body") or ""),
    )
    node = str(body.get("node", ""))
    answer = await hub.fleet.watch(node).node.fetch(asked)
    if asked.method.upper() not in ("GET", "HEAD", "OPTIONS"):
        hub.store.audit(
            who=request[CALLER].name,
            verb="try",
            target=f"{node}/{asked.service} {asked.method} {asked.path}"[:500],
            result=str(answer.status),
            time=hub.clock.wall(),
        )
    return web.json_response(dataclasses.asdict(answer))
