"""The JSON calls of the fleet: state, history, actions, desired states, services' own APIs.

docs/reference/dash-api.md.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypedDict

import msgspec
from msgspec import Meta, Struct

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.dash.auth.access import VERBS, Caller, Role, allowed
from chapiteau.dash.errors import BadRequestError, NotAllowedError
from chapiteau.dash.fleet.action import ActionView, Target
from chapiteau.dash.fleet.actions import LONGEST_WAIT
from chapiteau.dash.fleet.documents import DocumentView
from chapiteau.dash.fleet.fetch import SAFE_METHODS
from chapiteau.dash.fleet.fleet import NodeEvent
from chapiteau.dash.fleet.history import History, HostCurves, ProcessCurves, ProcessLine
from chapiteau.dash.fleet.node import ServiceRequest, ServiceResponse, read_only_call
from chapiteau.dash.fleet.operations import OperationFigures
from chapiteau.dash.fleet.problem import command_line
from chapiteau.dash.fleet.status import NodeView
from chapiteau.dash.nodes.cluster import ClusterRuntime
from chapiteau.dash.nodes.contract import DesiredServices, parse_desired
from chapiteau.dash.store import AuditEntry
from chapiteau.dash.web.hub import Hub
from chapiteau.dash.web.routes import Query, call
from chapiteau.dash.web.security import authorize
from chapiteau.run.api.commands import COMMANDS, node_commands
from chapiteau.run.logs.messages import Outcome

__all__: list[str] = []  # `routes` has them all

_SPARK: Final = 60  # seconds
_MAX_ROWS: Final = 200  # as many as a high window shows, and some
_MAX_EVENTS: Final = 2_000
_DAY: Final = 86_400  # seconds
_WEEK: Final = 7 * 24 * 60  # minutes

Count = Annotated[int, Meta(ge=0, le=2**53)]


class _OfService(Query, frozen=True):
    node: str = ""
    service: str = ""


class _SessionAnswer(TypedDict):
    name: str
    role: str
    verbs: list[str]
    project: str
    time: float


@call("GET", "/api/session", "see")
async def _session(hub: Hub, caller: Caller) -> _SessionAnswer:
    """Who I am and which verbs I have."""
    return {
        "name": caller.name,
        "role": caller.role.name.lower(),
        "verbs": [verb for verb in VERBS if allowed(caller.role, verb)],
        "project": hub.project,
        "time": hub.clock.wall(),
    }


@call("GET", "/api/fleet", "see")
async def _fleet(hub: Hub, caller: Caller) -> dict[str, list[NodeView]]:
    """The state of every node, as the live topic sends it."""
    return {"nodes": [hub.fleet.view(watch) for watch in hub.fleet.watches()]}


class _Events(_OfService, frozen=True):
    last: Count = 300


@call("GET", "/api/events", "see")
async def _events(hub: Hub, caller: Caller, query: _Events) -> dict[str, list[NodeEvent]]:
    """What the hub still knows, oldest first."""
    wanted = {"service": query.service, "node": query.node}
    given = {key: value for key, value in wanted.items() if value}
    return {"events": hub.fleet.past(max(1, min(query.last, _MAX_EVENTS)), given)}


class _History(_OfService, frozen=True):
    seconds: Count = 300
    host: bool = False


@call("GET", "/api/history", "see")
async def _history(hub: Hub, caller: Caller, query: _History) -> ProcessCurves | HostCurves:
    """CPU and memory per process, columnar; and the service's requests, where it counts them.

    `host`: of the server itself, in percent, up to a day back.
    """
    seconds = max(1, min(query.seconds, _DAY))
    watch = hub.fleet.watch(query.node)
    if query.host:
        return watch.past.read(seconds)
    found = watch.history.read(query.service, seconds)
    if requests := watch.history.requests(query.service, seconds):
        found["requests"] = requests
    return found


class _Sparks(Query, frozen=True):
    rows: str = "[]"


@call("GET", "/api/sparks", "see")
async def _sparks(hub: Hub, caller: Caller, query: _Sparks) -> dict[str, list[ProcessLine]]:
    """The last minute of processes, each row ["NODE", "SERVICE", PROCESS]; 0: of the service."""
    try:
        rows = msgspec.json.decode(query.rows, type=list[tuple[str, str, int]])
    except ValueError:
        raise BadRequestError('rows: [["NODE", "SERVICE", PROCESS], …]') from None
    if len(rows) > _MAX_ROWS:
        raise BadRequestError(f"rows: more than {_MAX_ROWS}")
    known = {watch.node.name: watch.history for watch in hub.fleet.watches()}
    nothing = History(0)
    return {"rows": [known.get(node, nothing).line(name, n, _SPARK) for node, name, n in rows]}


class _Read(Query, frozen=True):
    node: str
    path: str


@call("GET", "/api/nodes/{node}/{path:v1/.+}", "see")
async def _read(hub: Hub, caller: Caller, query: _Read) -> Mapping[str, object]:
    """A read-only call of that node's control API."""
    path = f"/{query.path}"
    if caller.role < Role[read_only_call(path).role.upper()]:
        raise NotAllowedError(f"{caller.name} is {caller.role.name.lower()} and may not read it")
    return await hub.fleet.watch(query.node).node.read(path)


# ── actions ──


class _Target(Struct, frozen=True, forbid_unknown_fields=True):
    node: str = ""
    service: str = ""
    process: Count | None = 0


class _Command(Query, frozen=True, forbid_unknown_fields=True):
    verb: str
    targets: list[_Target]
    options: dict[str, Any] | None = None

    def where(self) -> list[Target]:
        """The targets. Raises BadRequestError for a verb or an option that is none."""
        known = node_commands()
        if self.verb not in known:
            raise BadRequestError(
                f"unknown action {self.verb!r}", hint=f"known: {', '.join(known)}"
            )
        takes = COMMANDS[self.verb].options.split()
        for key in self.options or ():
            if key not in takes:
                raise BadRequestError(
                    f"{self.verb} has no option {key[:100]!r}", hint=f"it has: {', '.join(takes)}"
                )
        return [Target(t.node, t.service, t.process or 0) for t in self.targets]


@call("POST", "/api/preview", "see")
async def _preview(hub: Hub, caller: Caller, query: _Command) -> dict[str, list[str]]:
    """The command lines of an action, before it is done."""
    options = query.options or {}
    lines = {command_line(query.verb, t.service, t.given(options)) for t in query.where()}
    return {"lines": sorted(lines)}


class _Action(_Command, frozen=True, forbid_unknown_fields=True):
    batch: Count = 100
    wait: Count = 0


@call("POST", "/api/act", "see", status=202)
async def _start_action(hub: Hub, caller: Caller, query: _Action) -> ActionView:
    """Begin an action; progress and results come by the live topic `actions`.

    With "batch" so many percent of the servers go at a time, and the next ones only when all of
    these are well. A server that is away fails at once; with "wait" it is waited for so many
    seconds. The same Idempotency-Key again does nothing and gives the first action back.
    """
    targets = query.where()
    authorize(caller, query.verb)
    action = hub.actions.start(
        caller,
        query.verb,
        targets,
        query.options or {},
        query.idempotency_key,
        batch=max(1, min(query.batch, 100)),
        wait=min(query.wait, LONGEST_WAIT),
    )
    return action.to_dict()


class _Withdraw(Query, frozen=True):
    number: int


@call("POST", r"/api/act/{number:\d{1,18}}/withdraw", "see")
async def _withdraw_action(hub: Hub, caller: Caller, query: _Withdraw) -> ActionView:
    """Wait no more for servers that are away."""
    if verb := hub.actions.verb_of(query.number):
        authorize(caller, verb)
    return hub.actions.withdraw(caller, query.number).to_dict()


class _Mute(Query, frozen=True):
    key: str
    minutes: Count


@call("POST", "/api/mute", "mute")
async def _mute(hub: Hub, caller: Caller, query: _Mute) -> None:
    """Send no alerts of a known problem; it stays in sight. 0 minutes undo it; at most a week."""
    key, minutes = query.key, min(query.minutes, _WEEK)
    watch = next(
        (w for w in hub.fleet.watches() if any(t.key == key for t in hub.fleet.problems(w))), None
    )
    if watch is None:
        raise NotFoundError(f"no problem {key[:100]!r}", hint="it may be over")
    now = hub.clock.wall()
    with hub.audited(caller, "mute", key) as result:
        hub.store.mute(key, now + 60 * minutes, caller.name, now)
        result(f"for {minutes} minutes" if minutes else "unmuted")
    hub.fleet.set_mutes(hub.store.mutes())
    hub.fleet.state_changed(watch)


class _Config(Query, frozen=True):
    node: str = ""
    apply: bool = False


@call("POST", "/api/config", "plan")
async def _config(hub: Hub, caller: Caller, query: _Config) -> Outcome:
    """What the node's changed file would change; an admin may apply it.

    Applying goes on when the page is closed meanwhile.
    """
    if query.apply:
        authorize(caller, "apply")
    node, who = hub.fleet.watch(query.node).node, f"dash:{caller.name}"

    async def apply() -> Outcome:
        with hub.audited(caller, "apply", query.node) as result:
            outcome = await node.config(dry_run=False, who=who)
            result("ok" if outcome.ok else outcome.error)
        return outcome

    if not query.apply:
        return await node.config(dry_run=True, who=who)
    return await asyncio.shield(asyncio.ensure_future(apply()))


class _Audit(Query, frozen=True):
    before: Count = 0


@call("GET", "/api/audit", "audit")
async def _audit(hub: Hub, caller: Caller, query: _Audit) -> dict[str, list[AuditEntry]]:
    """Who did what, newest first."""
    return {"entries": list(hub.store.audit_trail(query.before))}


# ── desired states ──


@call("GET", "/api/wanted", "see")
async def _desired(hub: Hub, caller: Caller, query: _OfService) -> DesiredServices:
    """The desired state of a node."""
    cluster = _cluster(hub)
    hub.fleet.watch(query.node)
    return await cluster.states.get(query.node)


class _SetDesired(Query, frozen=True):
    node: str
    services: Any = None
    expect: int | None = None


@call("POST", "/api/wanted", "want")
async def _set_desired(hub: Hub, caller: Caller, query: _SetDesired) -> DesiredServices:
    """Replace the desired state of a node; 409 when it is another generation by now."""
    cluster = _cluster(hub)
    watch = hub.fleet.watch(query.node)
    services = parse_desired(query.services)
    if query.expect is None:
        raise BadRequestError("expect: the generation that you have seen", hint="0 at first")
    if not cluster.leadership.leads:
        raise RefusedError(f"this hub is not the leader: {cluster.leadership.why}")
    if watch.overruled:
        raise RefusedError(f"{query.node} does not follow this hub: {watch.overruled}")
    before = await cluster.states.get(query.node)
    desired = msgspec.structs.replace(before, services=services, who=caller.name)
    with hub.audited(caller, "want", query.node) as result:
        made = await cluster.states.put(desired, expect=query.expect)
        result(f"generation {made.generation}: {services}")
    return made


def _cluster(hub: Hub) -> ClusterRuntime:
    if hub.cluster is None:
        raise NotFoundError("this dashboard has no nodes", hint="[hub] enable = true")
    return hub.cluster


# ── services' own APIs ──


@call("GET", "/api/openapi", "see")
async def _document(hub: Hub, caller: Caller, query: _OfService) -> DocumentView:
    """A service's OpenAPI document, fetched now, and what changed in it."""
    return await hub.documents.read(query.node, query.service)


@call("GET", "/api/operations", "see")
async def _operations(
    hub: Hub, caller: Caller, query: _OfService
) -> dict[str, list[OperationFigures]]:
    """What each operation of a service answers now."""
    return {"operations": await hub.operations.look(query.node, query.service)}


class _Try(_OfService, frozen=True):
    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] | None = None
    body: str | None = None


@call("POST", "/api/try", "try")
async def _try(hub: Hub, caller: Caller, query: _Try) -> ServiceResponse:
    """Send a request to a service; its node does it."""
    request = ServiceRequest(
        service=query.service,
        method=query.method,
        path=query.path,
        headers=query.headers or {},
        body=query.body or "",
    )
    node = hub.fleet.watch(query.node).node
    if request.method.upper() in SAFE_METHODS:
        return await node.fetch(request)
    target = f"{query.node}/{request.service} {request.method} {request.path}"
    with hub.audited(caller, "try", target[:500]) as result:
        answer = await node.fetch(request)
        result(str(answer.status))
    return answer
