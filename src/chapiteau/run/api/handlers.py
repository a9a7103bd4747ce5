"""What answers each call: reads the request, asks the Port, shapes the answer."""

import asyncio
import json
import math
import os
from collections.abc import Container, Mapping
from typing import Any, Final

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.core.log_levels import LEVELS, is_level
from chapiteau.core.problems import did_you_mean
from chapiteau.io.version import own_version
from chapiteau.run.api.calls import INPUT_OPTIONS, MESSAGE_OPTIONS, SET_OPTIONS, VERB_OPTIONS
from chapiteau.run.api.connection import stream_response
from chapiteau.run.api.request import Request, Response, StreamedResponse, failed_outcome
from chapiteau.run.api.supervisor_api import SupervisorApi
from chapiteau.run.config.access import VERBS
from chapiteau.run.config.selection import select
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import LogLine, LogQuery, Outcome, PreviousPage, parse_position

__all__ = ["CallHandlers"]

_JSON_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "string": str,
    "object": dict,
    "array": list,
}
_MOST_DATA: Final = 16 << 10  # bytes of JSON that one message may carry


class CallHandlers:
    """One method per row of the table of routes."""

    def __init__(self, port: SupervisorApi, closing: asyncio.Event) -> None:
        self._port, self._closing = port, closing
        self._running: set[asyncio.Task[Outcome]] = set()

    async def ping(self, request: Request) -> Response:
        """Is anybody there?"""
        return _plain({"ok": True, "version": own_version(), "pid": os.getpid()})

    async def openapi(self, request: Request) -> Response:
        """The description of all this."""
        from chapiteau.run.api.openapi import openapi_document

        return _json(openapi_document(own_version()))

    async def status(self, request: Request) -> Response:
        """The whole state."""
        return _json(self._port.status())

    async def services(self, request: Request) -> Response:
        """The services in few words."""
        return _plain(self._port.services())

    async def service(self, request: Request) -> Response:
        """One service."""
        services = self._port.status().services
        name = request.parts["name"]
        for service in services:
            if service.name == name:
                return _json(service)
        hint = did_you_mean(name, [s.name for s in services])
        raise NotFoundError(f"no service {name!r}", hint=hint)

    async def command(self, request: Request) -> Response:
        """A deed on services. It goes on when the caller hangs up: half a reload helps nobody."""
        options = _options(request)
        verb, name = request.parts["verb"], request.parts["name"]
        work = self._port.command(verb, name, options, request.caller)
        task: asyncio.Task[Outcome] = asyncio.ensure_future(work)
        return await self._outcome(task)

    async def configure(self, request: Request) -> Response:
        """Settings at run time."""
        body = _body(request)
        _check_options(body, SET_OPTIONS, SET_OPTIONS)
        reset = body.get("reset", [])
        if not all(isinstance(one, str) for one in reset):
            raise UsageError("reset: must be a list of names of settings")
        settings = {k: v for k, v in body.get("settings", {}).items() if k not in ("+", "-")}
        settings |= {"+": True} if body.get("add") else {}
        settings |= {"-": True} if body.get("remove") else {}
        if not settings and not reset:
            raise UsageError("settings: say what to set, or what to reset")
        work = self._port.configure(request.parts["name"], settings, reset, request.caller)
        return await self._outcome(asyncio.ensure_future(work))

    async def holders(self, request: Request) -> Response:
        """Who has a listening socket open."""
        return _json(await self._port.holders(request.parts["name"]))

    async def config(self, request: Request) -> Response:
        """The running configuration."""
        return _json(self._port.config())

    async def plan(self, request: Request) -> Response:
        """What the file would change."""
        return await self._apply(request, dry_run=True)

    async def apply(self, request: Request) -> Response:
        """Follow the file."""
        return await self._apply(request, dry_run=False)

    async def upgrade(self, request: Request) -> Response:
        """A new supervisor around the same services."""
        task: asyncio.Task[Outcome] = asyncio.ensure_future(self._port.upgrade(request.caller))
        return await self._outcome(task)

    async def shutdown(self, request: Request) -> Response:
        """The end of it all."""
        options = _body(request)
        _check_options(options, {"force"})
        await self._port.shutdown(request.caller, force=bool(options.get("force")))
        return _plain({"ok": True})

    async def events(self, request: Request) -> StreamedResponse:
        """What happens; `Last-Event-ID` (a browser that comes back) wins over `after`."""
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isdigit() else _number(request, "after")
        items = self._port.events(after, follow=_flag(request, "follow"))
        return stream_response(request, items, Event.to_dict, self._closing, numbered=True)

    async def say(self, request: Request) -> Response:
        """A program's message."""
        body = _body(request)
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
        self._port.message(text, str(body.get("service", "")), data, request.caller)
        return _plain({"ok": True})

    async def enter(self, request: Request) -> Response:
        """Input for a process."""
        body = dict(_body(request))
        _check_options(body, INPUT_OPTIONS, INPUT_OPTIONS)
        text = body.pop("text", "")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError("text: half a character (a lone surrogate) can't be entered") from None
        outcome = await self._port.enter(request.parts["name"], text, body, request.caller)
        return _json(outcome.to_dict()) if outcome.ok else failed_outcome(outcome)

    async def screen(self, request: Request) -> StreamedResponse:
        """What a process prints."""
        process = _number(request, "process") or 1
        pieces = self._port.screen(request.parts["name"], process)
        return StreamedResponse(kind="application/octet-stream", pieces=pieces)

    async def logs(self, request: Request) -> StreamedResponse:
        """Output."""
        lines = self._port.logs(_log_query(request, self._named(request)))
        return stream_response(request, lines, _log_item, self._closing)

    def _named(self, request: Request) -> tuple[str, ...]:
        """The services that names and globs mean; none means all. Raises NotFoundError."""
        wanted = request.query.get("service", [])
        if not wanted:
            return ()
        status = self._port.status().services
        own = {service.name for service in status if "plugin" in service.labels}
        names = select(",".join(wanted), [service.name for service in status], own)
        return tuple(names)

    async def stats(self, request: Request) -> StreamedResponse:
        """Figures."""
        return stream_response(request, self._port.stats(), dict, self._closing)

    async def metrics(self, request: Request) -> Response:
        """The state for Prometheus."""
        from chapiteau.run.api.openmetrics import CONTENT_TYPE, metrics_text

        return Response(body=metrics_text(self._port.status()).encode(), kind=CONTENT_TYPE)

    async def _apply(self, request: Request, *, dry_run: bool) -> Response:
        work = self._port.apply_config(dry_run=dry_run, who=request.caller)
        task: asyncio.Task[Outcome] = asyncio.ensure_future(work)
        return await self._outcome(task)

    async def _outcome(self, task: "asyncio.Task[Outcome]") -> Response:
        self._running.add(task)  # or the loop may forget it (asyncio keeps weak references)
        task.add_done_callback(self._running.discard)
        outcome = await asyncio.shield(task)
        return _plain(outcome.to_dict()) if outcome.ok else failed_outcome(outcome)


def _plain(value: dict[str, Any]) -> Response:
    return Response(body=json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _json(value: Any) -> Response:
    # Dataclasses go straight to bytes: 500 processes in 0.3 ms, where asdict and json take 9.
    # Imported here, since a supervisor that is only asked for a word needs none of it.
    import msgspec

    return Response(body=msgspec.json.encode(value))


def _options(request: Request) -> Mapping[str, Any]:
    verb = request.parts["verb"]
    verbs = [name for name, role in VERBS.items() if role == "operator"]
    if verb not in verbs:
        raise NotFoundError(f"no command {verb!r}", hint=did_you_mean(verb, verbs))
    options = _body(request)
    _check_options(options, VERB_OPTIONS)
    return options


def _body(request: Request) -> Mapping[str, Any]:
    """The JSON object of a request; an empty body is an empty one."""
    raw = request.body
    try:
        options = json.loads(raw, parse_constant=_no_number) if raw.strip() else {}
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"the body is not JSON: {exc}") from None
    if not isinstance(options, dict):
        raise UsageError("the body must be a JSON object")
    return options


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


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
        if kind is int and isinstance(value, float) and value.is_integer():
            value = int(value)  # noqa: PLW2901 — 3.0 is an integer of JSON, too
        wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        too_small = not wrong and "minimum" in schema and value < schema["minimum"]
        too_big = not wrong and "maximum" in schema and value > schema["maximum"]
        if wrong or too_small or too_big:
            raise UsageError(f"{name}: {value!r} is not a usable {schema['type']}")


def _flag(request: Request, name: str) -> bool:
    text = request.first(name, "0")
    if text not in {"", "0", "1", "false", "true"}:
        raise UsageError(f"{name}: {text!r} is neither 1 nor 0")
    return text in {"1", "true"}


def _number(request: Request, name: str, default: int = 0) -> int:
    text = request.first(name, "")
    if text and not text.isdigit():
        raise UsageError(f"{name}: {text!r} is not a whole number")
    return int(text) if text else default


def _log_query(request: Request, services: tuple[str, ...]) -> LogQuery:
    grep = request.first("grep", "")
    if grep:
        from chapiteau.run.logs.grep import compile_grep  # who reads no logs needs none

        compile_grep(grep)
    level = request.first("level", "")
    if level and not is_level(level):
        raise UsageError(f"level: {level!r} is none of {', '.join(LEVELS)}")
    which = request.first("stream", "")
    if which not in {"", "stdout", "stderr"}:
        raise UsageError(f"stream: {which!r} is neither stdout nor stderr")
    return LogQuery(
        services=services,
        process=_number(request, "process"),
        stream=which,
        last=_number(request, "last", 100),
        follow=_flag(request, "follow"),
        grep=grep,
        level=level,
        since=_seconds(request, "since"),
        until=_seconds(request, "until"),
        after=dict(map(_place, filter(None, request.query.get("after", [])))),
        pages=_flag(request, "pages"),
        before=dict(map(_turned_place, filter(None, request.query.get("before", [])))),
        whole=_flag(request, "whole"),
    )


def _log_item(item: LogLine | PreviousPage) -> dict[str, Any]:
    return item.to_dict()  # `Lost` is the stream's own


def _turned_place(text: str) -> tuple[str, tuple[int, int]]:
    source, _, place = text.partition(":")
    try:
        if source.count("/") == 2:
            return source, parse_position(place)
    except ValueError:
        pass
    raise UsageError(f"before: {text!r} is not SERVICE/PROCESS/STREAM:TURN:OFFSET")


def _place(text: str) -> tuple[str, int]:
    source, _, at = text.rpartition(":")
    if source.count("/") != 2 or not at.isdigit():
        raise UsageError(f"after: {text!r} is not SERVICE/PROCESS/STREAM:AT")
    return source, int(at)


def _seconds(request: Request, key: str) -> float:
    text = request.first(key, "0")
    try:
        found = float(text or 0)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise UsageError(f"{key}: {text!r} is not a number of seconds")
    return found
