"""The services' own APIs: their documents, and trying them out."""

import dataclasses

from aiohttp import web

from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.fleet.node import ServiceRequest
from chapiteau.dash.web.security import CALLER, HUB, json_body, require

__all__ = ["document", "operations", "try_out"]


@require("see")
async def document(request: web.Request) -> web.Response:
    """GET /api/openapi?node=N&service=S: its document, fetched now, and what changed in it."""
    query = request.query
    found = await request.app[HUB].documents.read(query.get("node", ""), query.get("service", ""))
    return web.json_response(found)


@require("see")
async def operations(request: web.Request) -> web.Response:
    """GET /api/operations?node=N&service=S: what each operation answers now."""
    query = request.query
    found = await request.app[HUB].operations.look(query.get("node", ""), query.get("service", ""))
    return web.json_response({"operations": found})


@require("try")
async def try_out(request: web.Request) -> web.Response:
    """POST /api/try {"node", "service", "method", "path", "headers", "body"}: sent by the node."""
    body = await json_body(request)
    headers = body.get("headers") or {}
    if not isinstance(headers, dict):
        raise BadRequestError("headers: an object")
    hub = request.app[HUB]
    asked = ServiceRequest(
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
