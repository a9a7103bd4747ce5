"""How nodes' services should be: read, and changed against what was read."""

from dataclasses import replace

from aiohttp import web

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.dash.engine.center import Center
from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.logic.nodes.plane import clean_wanted
from chapiteau.dash.web.guard import CALLER, HUB, json_body, need

__all__ = ["change", "read"]


@need("see")
async def read(request: web.Request) -> web.Response:
    """GET /api/wanted?node=N: {"node", "generation", "services", "who"}."""
    center, node = _center(request), request.query.get("node", "")
    request.app[HUB].fleet.watch(node)
    return web.json_response((await center.states.get(node)).to_dict())


@need("want")
async def change(request: web.Request) -> web.Response:
    """POST /api/wanted {"node", "services", "expect"}: 409 when it is another generation by now."""
    center, body = _center(request), await json_body(request)
    hub, caller, node = request.app[HUB], request[CALLER], str(body.get("node", ""))
    hub.fleet.watch(node)
    services, expect = clean_wanted(body.get("services")), body.get("expect")
    if not isinstance(expect, int):
        raise BadRequestError("expect: the generation that you have seen", hint="0 at first")
    if not center.term.leads:
        raise RefusedError(f"this hub can't act now: {center.term.why}")
    before = await center.states.get(node)
    wish = replace(before, services=services, who=caller.name)
    made = await center.states.put(wish, expect=expect)
    hub.store.audit(
        who=caller.name,
        verb="want",
        target=node,
        result=f"generation {made.generation}: {services}"[:2000],
        time=hub.clock.wall(),
    )
    return web.json_response(made.to_dict())


def _center(request: web.Request) -> Center:
    center = request.app[HUB].center
    if center is None:
        raise NotFoundError("this dashboard has no nodes", hint="[hub] enable = true")
    return center
