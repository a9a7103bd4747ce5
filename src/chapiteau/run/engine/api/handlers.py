"""What answers each call: reads the request, asks the Port, shapes the answer."""

import asyncio
import json
import re
from collections.abc import Container, Mapping
from importlib.metadata import version
from typing import Any, Final

import msgspec
from aiohttp import web

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.core.problems import did_you_mean
from chapiteau.run.engine.api.faults import failure
from chapiteau.run.engine.api.openapi import document
from chapiteau.run.engine.api.openmetrics import CONTENT_TYPE, openmetrics
from chapiteau.run.engine.api.routes import MESSAGE_OPTIONS, VERB_OPTIONS
from chapiteau.run.engine.api.streams import stream
from chapiteau.run.engine.port import Port
from chapiteau.run.logic.access import VERBS
from chapiteau.run.logic.events import Happening
from chapiteau.run.logic.messages import LogLine, LogQuery, Outcome

__all__ = ["CALLER", "Handlers"]

CALLER: Final = web.RequestKey("caller", str)  # whose command it is, as events show it

_JSON_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "string": str,
    "object": dict,
}
_MOST_DATA: Final = 16 << 10  # bytes of JSON that one message may carry


class Handlers:
    """One method per row of the table of routes."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._version = version("chapiteau")
        self._running: set[asyncio.Task[Outcome]] = set()

    async def ping(self, request: web.Request) -> web.StreamResponse:
        """Is anybody there?"""
        return _json({"ok": True, "version": self._version})

    async def openapi(self, request: web.Request) -> web.StreamResponse:
        """The description of all this."""
        return _json(document(self._version))

    async def status(self, request: web.Request) -> web.StreamResponse:
        """The whole state."""
        return _json(self._port.status())

    async def service(self, request: web.Request) -> web.StreamResponse:
        """One service."""
        services = self._port.status().services
        name = request.match_info["name"]
        for service in services:
            if service.name == name:
                return _json(service)
        hint = did_you_mean(name, [s.name for s in services])
        raise NotFoundError(f"no service {name!r}", hint=hint)

    async def command(self, request: web.Request) -> web.StreamResponse:
        """A deed on services. It goes on when the caller hangs up: half a reload helps nobody."""
        options = await _options(request)
        verb, name = request.match_info["verb"], request.match_info["name"]
        work = self._port.command(verb, name, options, request[CALLER])
        task: asyncio.Task[Outcome] = asyncio.ensure_future(work)
        return await self._outcome(task)

    async def config(self, request: web.Request) -> web.StreamResponse:
        """The running configuration."""
        return _json(self._port.config())

    async def plan(self, request: web.Request) -> web.StreamResponse:
        """What the file would change."""
        return await self._apply(request, dry_run=True)

    async def apply(self, request: web.Request) -> web.StreamResponse:
        """Follow the file."""
        return await self._apply(request, dry_run=False)

    async def upgrade(self, request: web.Request) -> web.StreamResponse:
        """A new supervisor around the same services."""
        task: asyncio.Task[Outcome] = asyncio.ensure_future(self._port.upgrade(request[CALLER]))
        return await self._outcome(task)

    async def shutdown(self, request: web.Request) -> web.StreamResponse:
        """The end of it all."""
        options = await _body(request)
        _check_options(options, {"force"})
        await self._port.shutdown(request[CALLER], force=bool(options.get("force")))
        return _json({"ok": True})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """What happens; `Last-Event-ID` (a browser that comes back) wins over `after`."""
        last = request.headers.get("Last-Event-ID", "")
        after = int(last) if last.isdigit() else _number(request, "after")
        items = self._port.events(after, follow=_flag(request, "follow"))
        return await stream(request, items, Happening.to_dict, numbered=True)

    async def say(self, request: web.Request) -> web.StreamResponse:
        """A program's message."""
        body = await _body(request)
        _check_options(body, MESSAGE_OPTIONS, MESSAGE_OPTIONS)
        text, data = body.get("text", ""), dict(body.get("data", {}))
        if not text.strip() or len(text) > MESSAGE_OPTIONS["text"]["maxLength"]:
            raise UsageError("text: must be given, in 2000 characters at most")
        if len(json.dumps(data)) > _MOST_DATA:
            raise UsageError("data: is more than 16 KiB")
        for key in ("service", "plugin"):
            if len(body.get(key, "")) > MESSAGE_OPTIONS[key]["maxLength"]:
                raise UsageError(f"{key}: is no name")
        if plugin := body.get("plugin"):
            data["plugin"] = plugin
        self._port.message(text, str(body.get("service", "")), data, request[CALLER])
        return _json({"ok": True})

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """Output."""
        return await stream(request, self._port.logs(_log_query(request)), LogLine.to_dict)

    async def stats(self, request: web.Request) -> web.StreamResponse:
        """Figures."""
        return await stream(request, self._port.stats(), dict)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """The state for Prometheus."""
        text = openmetrics(self._port.status())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _apply(self, request: web.Request, *, dry_run: bool) -> web.StreamResponse:
        work = self._port.apply_config(dry_run=dry_run, who=request[CALLER])
        task: asyncio.Task[Outcome] = asyncio.ensure_future(work)
        return await self._outcome(task)

    async def _outcome(self, task: "asyncio.Task[Outcome]") -> web.StreamResponse:
        self._running.add(task)  # or the loop may forget it (asyncio keeps weak references)
        task.add_done_callback(self._running.discard)
        outcome = await asyncio.shield(task)
        return _json(outcome.to_dict()) if outcome.ok else failure(outcome)


def _json(value: Any) -> web.Response:
    # Dataclasses go straight to bytes: 500 processes in 0.3 ms, where asdict and json take 9.
    body = msgspec.json.encode(value)
    return web.Response(body=body, content_type="application/json", charset="utf-8")


async def _options(request: web.Request) -> Mapping[str, Any]:
    verb = request.match_info["verb"]
    verbs = [name for name, role in VERBS.items() if role == "operator"]
    if verb not in verbs:
        raise NotFoundError(f"no command {verb!r}", hint=did_you_mean(verb, verbs))
    options = await _body(request)
    _check_options(options, VERB_OPTIONS)
    return options


async def _body(request: web.Request) -> Mapping[str, Any]:
    """The JSON object of a request; an empty body is an empty one."""
    raw = await request.read()
    try:
        options = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"the body is not JSON: {exc}") from None
    if not isinstance(options, dict):
        raise UsageError("the body must be a JSON object")
    return options


def _check_options(
    options: Mapping[str, Any],
    known: Container[str],
    schemas: Mapping[str, dict[str, Any]] = VERB_OPTIONS,
) -> None:
    for name, value in options.items():
        schema = schemas.get(name)
        if schema is None or name not in known:
            raise UsageError(f"no option {name!r}", hint=did_you_mean(name, schemas))
        kind = _JSON_TYPES[schema["type"]]
        wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        if wrong or ("minimum" in schema and value < schema["minimum"]):
            raise UsageError(f"{name}: {value!r} is not a usable {schema['type']}")


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "0") not in {"", "0", "false"}


def _number(request: web.Request, name: str, default: int = 0) -> int:
    text = request.query.get(name, "")
    if text and not text.isdigit():
        raise UsageError(f"{name}: {text!r} is not a whole number")
    return int(text) if text else default


def _log_query(request: web.Request) -> LogQuery:
    grep = request.query.get("grep", "")
    try:
        re.compile(grep)
    except re.error as exc:
        raise UsageError(f"grep: {grep!r} is not a regular expression: {exc}") from None
    which = request.query.get("stream", "")
    if which not in {"", "stdout", "stderr"}:
        raise UsageError(f"stream: {which!r} is neither stdout nor stderr")
    return LogQuery(
        services=tuple(request.query.getall("service", [])),
        process=_number(request, "process"),
        stream=which,
        last=_number(request, "last", 100),
        follow=_flag(request, "follow"),
        grep=grep,
        level=request.query.get("level", ""),
        since=_seconds(request.query.get("since", "0")),
        after=dict(map(_place, request.query.getall("after", []))),
    )


def _place(text: str) -> tuple[str, int]:
    source, _, at = text.rpartition(":")
    if source.count("/") != 2 or not at.isdigit():
        raise UsageError(f"after: {text!r} is not SERVICE/PROCESS/STREAM:AT")
    return source, int(at)


def _seconds(text: str) -> float:
    try:
        return float(text or 0)
    except ValueError:
        raise UsageError(f"since: {text!r} is not a number of seconds") from None
