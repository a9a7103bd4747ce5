"""Load tests from nodes that lend themselves: orders in, reports out. Admins only."""

import json
import re
from typing import Final

from aiohttp import web

from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.web.security import CALLER, HUB, json_body, require

__all__ = ["hosts", "push", "reports"]

_TEST: Final = re.compile(r"[0-9a-f]{16,64}")


@require("lend")
async def hosts(request: web.Request) -> web.Response:
    """GET /api/relays: which nodes lend themselves now."""
    return web.json_response({"hosts": request.app[HUB].desk.hosts()})


@require("lend")
async def reports(request: web.Request) -> web.StreamResponse:
    """GET /api/relays/TEST: every relay's reports as NDJSON; hanging up ends them all."""
    hub, test = request.app[HUB], _test(request)
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    hub.store.audit(
        who=request[CALLER].name,
        verb="lend",
        target=", ".join(hub.desk.hosts())[:2000],
        result=f"load test {test}",
        time=hub.clock.wall(),
    )
    await response.write(b'{"open": true}\n')
    async for report in hub.desk.reports(test):
        await response.write(json.dumps(report).encode() + b"\n")
    return response


@require("lend")
async def push(request: web.Request) -> web.Response:
    """POST /api/relays/TEST {"host", "part"}: text for that host's relay, in order."""
    body = await json_body(request)
    await request.app[HUB].desk.push(
        _test(request), str(body.get("host", "")), str(body.get("part", ""))
    )
    return web.json_response({"ok": True})


def _test(request: web.Request) -> str:
    test = request.match_info["test"]
    if not _TEST.fullmatch(test):
        raise BadRequestError("a load test is named by 16 to 64 hexadecimal digits")
    return test
