"""The JSON API: who am I, how is the fleet, do this. docs/reference/dash-api.md."""

import asyncio
import json
from typing import Any, Final

import msgspec
from aiohttp import web

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.dash.auth.access import VERBS, Role, allowed
from chapiteau.dash.errors import BadRequestError, NotAllowedError
from chapiteau.dash.fleet.actions import LONGEST_WAIT, Target
from chapiteau.dash.fleet.history import History
from chapiteau.dash.fleet.node import read_only_call
from chapiteau.dash.fleet.problem import command_line
from chapiteau.dash.nodes.cluster import ClusterRuntime
from chapiteau.dash.nodes.contract import parse_desired
from chapiteau.dash.web.security import CALLER, HUB, cookie_name, json_body, require, set_session
from chapiteau.run.api.calls import node_commands

__all__ = [
    "audit",
    "config",
    "desired",
    "events",
    "fleet",
    "history",
    "login",
    "logout",
    "mute",
    "preview",
    "read",
    "session",
    "set_desired",
    "sparks",
    "start_action",
    "withdraw_action",
]

_SPARK: Final = 60  # seconds
_MOST_ROWS: Final = 200  # as many as a high window shows, and some
_MOST_EVENTS: Final = 2_000
_WEEK: Final = 7 * 24 * 60  # minutes


async def login(request: web.Request) -> web.Response:
    """POST /api/login {"token": …} or {"name": …, "password": …}: sets the session cookie."""
    body = await json_body(request)
    sessions = request.app[HUB].sessions
    if "name" in body:
        session_id = await sessions.use_password(
            str(body["name"]), str(body.get("password", "")), request.remote or ""
        )
    else:
        session_id = sessions.use_token(str(body.get("token", "")), request.remote or "")
    response = web.json_response({"ok": True})
    set_session(request, response, session_id)
    return response


@require("see")
async def logout(request: web.Request) -> web.Response:
    """POST /api/logout."""
    request.app[HUB].sessions.end(request.cookies.get(cookie_name(request), ""))
    response = web.json_response({"ok": True})
    response.del_cookie(cookie_name(request), path="/")
    return response


@require("see")
async def session(request: web.Request) -> web.Response:
    """GET /api/session: who I am and which verbs I have."""
    caller, hub = request[CALLER], request.app[HUB]
    return web.json_response(
        {
            "name": caller.name,
            "role": caller.role.name.lower(),
            "verbs": [verb for verb in VERBS if allowed(caller.role, verb)],
            "project": hub.project,
            "time": hub.clock.wall(),
        }
    )


@require("see")
async def fleet(request: web.Request) -> web.Response:
    """GET /api/fleet: the state of every node, as the live topic sends it."""
    hub = request.app[HUB]
    return web.json_response({"nodes": [hub.fleet.view(w) for w in hub.fleet.watches()]})


@require("see")
async def events(request: web.Request) -> web.Response:
    """GET /api/events?service=S&node=N&last=300: what the hub still knows, oldest first."""
    query = request.query
    wanted = {key: query[key] for key in ("service", "node") if query.get(key)}
    last = _number(query.get("last", "300"), 1, _MOST_EVENTS)
    return web.json_response({"events": request.app[HUB].fleet.past(last, wanted)})


@require("see")
async def history(request: web.Request) -> web.Response:
    """GET /api/history?node=N&service=S&seconds=300: CPU and memory per process, columnar.

    And the service's requests, where it counts them. With `host=1` of the server itself, in
    percent, up to a day back.
    """
    query = request.query
    seconds = _number(query.get("seconds", "300"), 1, 86_400)
    watch = request.app[HUB].fleet.watch(query.get("node", ""))
    if query.get("host") == "1":
        return web.json_response(watch.past.read(seconds))
    service = query.get("service", "")
    found = watch.history.read(service, seconds)
    if requests := watch.history.requests(service, seconds):
        found["requests"] = requests
    return web.json_response(found)


@require("see")
async def sparks(request: web.Request) -> web.Response:
    """GET /api/sparks?rows=[["alpha","web",1],…]: the last minute of processes; 0: of the service.

    {"rows": [{"time", "cpu", "rss"}, …]}, as many as were asked for; at most 200.
    """
    try:
        rows = [
            (str(node), str(service), int(process))
            for node, service, process in json.loads(request.query.get("rows", "[]"))
        ]
    except (ValueError, TypeError):
        raise BadRequestError('rows: [["NODE", "SERVICE", PROCESS], …]') from None
    if len(rows) > _MOST_ROWS:
        raise BadRequestError(f"rows: more than {_MOST_ROWS}")
    known = {watch.node.name: watch.history for watch in request.app[HUB].fleet.watches()}
    nothing = History(0)
    found = [known.get(node, nothing).line(service, n, _SPARK) for node, service, n in rows]
    return web.json_response({"rows": found})


@require("see")
async def read(request: web.Request) -> web.Response:
    """GET /api/nodes/NODE/v1/…: a read-only call of that node's control API."""
    caller, path = request[CALLER], "/" + request.match_info["path"]
    call = read_only_call(path)
    if caller.role < Role[call.role.upper()]:
        raise NotAllowedError(f"{caller.name} is {caller.role.name.lower()} and may not read it")
    node = request.app[HUB].fleet.watch(request.match_info["node"]).node
    return web.json_response(await node.read(path))


@require("see")
async def preview(request: web.Request) -> web.Response:
    """POST /api/preview: the command line of an action, before it is done."""
    body = await json_body(request)
    verb, targets, options = _order(body)
    lines = sorted({command_line(verb, t.service, t.given(options)) for t in targets})
    return web.json_response({"lines": lines})


@require("see")
async def start_action(request: web.Request) -> web.Response:
    """POST /api/act {"verb", "targets": [{"node", "service"}], "options"}: begins, answers 202.

    A target may name one "process". With "batch" so many percent of the servers go at a time, and
    the next ones only when all of these are well. A server that is away fails at once; with "wait"
    it is waited for so many seconds.

    Header Idempotency-Key: the same key again does nothing and gives the first action back.
    Progress and results come by the live topic `actions`.
    """
    body = await json_body(request)
    verb, targets, options = _order(body)
    batch = _number(str(body.get("batch", 100)), 1, 100)
    wait = _number(str(body.get("wait", 0)), 0, LONGEST_WAIT)
    caller, actions = request[CALLER], request.app[HUB].actions
    if not allowed(caller.role, verb):
        raise NotAllowedError(f"{caller.name} is {caller.role.name.lower()} and may not {verb}")
    key = request.headers.get("Idempotency-Key", "")
    action = actions.start(caller, verb, targets, options, key, batch=batch, wait=wait)
    return web.json_response(action.to_dict(), status=202)


@require("see")
async def withdraw_action(request: web.Request) -> web.Response:
    """POST /api/act/NUMBER/withdraw: wait no more for servers that are away."""
    caller, actions = request[CALLER], request.app[HUB].actions
    number = _number(request.match_info["number"], 0, 1 << 60)
    verb = actions.verb_of(number)
    if verb and not allowed(caller.role, verb):
        raise NotAllowedError(f"{caller.name} is {caller.role.name.lower()} and may not {verb}")
    return web.json_response(actions.withdraw(caller, number).to_dict())


@require("mute")
async def mute(request: web.Request) -> web.Response:
    """POST /api/mute {"key", "minutes"}: a problem of the fleet that nobody shall be told of.

    It stays in sight, alerts keep quiet; 0 minutes undo it. At most a week.
    """
    body = await json_body(request)
    hub, caller = request.app[HUB], request[CALLER]
    key, minutes = str(body.get("key", "")), _number(str(body.get("minutes", "")), 0, _WEEK)
    watch = next(
        (w for w in hub.fleet.watches() if any(t.key == key for t in hub.fleet.troubles(w))), None
    )
    if watch is None:
        raise NotFoundError(f"no problem {key[:100]!r}", hint="it may be over")
    now = hub.clock.wall()
    hub.store.mute(key, now + 60 * minutes, caller.name, now)
    hub.fleet.mutes = hub.store.mutes()
    said = f"for {minutes} minutes" if minutes else "heard again"
    hub.store.audit(who=caller.name, verb="mute", target=key, result=said, time=now)
    hub.fleet.state_changed(watch)
    return web.json_response({"ok": True})


@require("plan")
async def config(request: web.Request) -> web.Response:
    """POST /api/config {"node", "apply"}: what the node's changed file would change, or do it.

    Applying is an admin's; it goes on when the page is closed meanwhile.
    """
    body = await json_body(request)
    hub, caller = request.app[HUB], request[CALLER]
    name, apply = str(body.get("node", "")), body.get("apply") is True
    if apply and not allowed(caller.role, "apply"):
        raise NotAllowedError(f"{caller.name} is {caller.role.name.lower()} and may not apply")
    node = hub.fleet.watch(name).node
    who = f"dash:{caller.name}"
    outcome = await asyncio.shield(asyncio.ensure_future(node.config(dry_run=not apply, who=who)))
    if apply:
        result = "ok" if outcome["ok"] else str(outcome["error"])
        hub.store.audit(
            who=caller.name, verb="apply", target=name, result=result, time=hub.clock.wall()
        )
    return web.json_response(outcome)


@require("audit")
async def audit(request: web.Request) -> web.Response:
    """GET /api/audit?before=N: who did what, newest first."""
    before = _number(request.query.get("before", "0"), 0, 1 << 60)
    return web.json_response({"entries": list(request.app[HUB].store.audit_trail(before))})


def _order(body: dict[str, Any]) -> tuple[str, list[Target], dict[str, Any]]:
    verb, raw, options = body.get("verb"), body.get("targets"), body.get("options") or {}
    if verb not in node_commands():
        known = ", ".join(node_commands())
        raise BadRequestError(f"unknown action {verb!r}", hint=f"known: {known}")
    if not isinstance(raw, list) or not all(isinstance(t, dict) for t in raw):
        raise BadRequestError('targets: a list of {"node", "service"}')
    if not isinstance(options, dict):
        raise BadRequestError("options: an object")
    targets = [
        Target(str(t.get("node", "")), str(t.get("service", "")), _process(t.get("process") or 0))
        for t in raw
    ]
    return str(verb), targets, options


def _process(given: object) -> int:
    return _number(str(given), 0, 1_000_000)


def _number(text: str, low: int, high: int) -> int:
    if not text.isascii() or not text.isdigit():
        raise BadRequestError(f"not a number: {text!r}")
    return max(low, min(high, int(text)))


# How nodes' services should be: read, and changed against what was read.


@require("see")
async def desired(request: web.Request) -> web.Response:
    """GET /api/wanted?node=N: {"node", "generation", "services", "who"}."""
    center, node = _center(request), request.query.get("node", "")
    request.app[HUB].fleet.watch(node)
    return web.json_response(msgspec.to_builtins(await center.states.get(node)))


@require("want")
async def set_desired(request: web.Request) -> web.Response:
    """POST /api/wanted {"node", "services", "expect"}: 409 when it is another generation by now."""
    center, body = _center(request), await json_body(request)
    hub, caller, node = request.app[HUB], request[CALLER], str(body.get("node", ""))
    hub.fleet.watch(node)
    services, expect = parse_desired(body.get("services")), body.get("expect")
    if not isinstance(expect, int):
        raise BadRequestError("expect: the generation that you have seen", hint="0 at first")
    if not center.term.leads:
        raise RefusedError(f"this hub can't act now: {center.term.why}")
    before = await center.states.get(node)
    wish = msgspec.structs.replace(before, services=services, who=caller.name)
    made = await center.states.put(wish, expect=expect)
    hub.store.audit(
        who=caller.name,
        verb="want",
        target=node,
        result=f"generation {made.generation}: {services}"[:2000],
        time=hub.clock.wall(),
    )
    return web.json_response(msgspec.to_builtins(made))


def _center(request: web.Request) -> ClusterRuntime:
    center = request.app[HUB].center
    if center is None:
        raise NotFoundError("this dashboard has no nodes", hint="[hub] enable = true")
    return center
