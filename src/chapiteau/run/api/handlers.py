"""Answers each call of the table: reads its request, asks the supervisor, writes the answer."""

import asyncio
import json
import os
import typing
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.core.fields import read
from chapiteau.core.problems import did_you_mean
from chapiteau.core.text import LEVELS, is_level
from chapiteau.io.version import own_version
from chapiteau.run.api.calls import (
    Call,
    CommandOptions,
    ConfigureRequest,
    EventsRequest,
    InputRequest,
    LogsRequest,
    MessageRequest,
    ScreenRequest,
    ShutdownRequest,
)
from chapiteau.run.api.connection import stream_response
from chapiteau.run.api.request import Request, Response, StreamedResponse, outcome_response
from chapiteau.run.api.status import Ping, ServiceStatus
from chapiteau.run.config.selection import select
from chapiteau.run.logs.messages import LogQuery, Outcome, parse_position

__all__ = ["CallHandlers"]

_MAX_TEXT: Final = 2000  # characters of a message
_MAX_NAME: Final = 64  # characters
_MAX_DATA: Final = 16 << 10  # bytes of JSON that one message may carry


class CallHandlers:
    """Calls the methods of `supervisor`: any object that has those of tests/run/api/test_calls.py.

    A call whose request is not handed on as it is has a method of its name here.
    """

    def __init__(self, supervisor: Any, closing: asyncio.Event) -> None:
        self._supervisor, self._closing = supervisor, closing
        self._running: set[asyncio.Task[Outcome]] = set()

    async def answer(
        self, call: Call, request: Request, parts: Mapping[str, str], caller: str
    ) -> Response | StreamedResponse:
        """`parts`: what stands for the {names} of the path. Raises ChapiteauError."""
        given: list[Any] = [*parts.values()]
        if call.request is not None:
            given.append(_decode(call, request))
        if call.method == "POST":
            given.append(caller)
        name = call.handler or call.name
        if call.is_command:
            given.insert(0, call.name)
        method = getattr(self, f"_{name}", None) or getattr(self._supervisor, name)
        made = method(*given)
        if call.kind == "stream":
            return stream_response(request, made, self._closing)
        if call.kind == "bytes":
            return StreamedResponse(kind="application/octet-stream", pieces=made)
        if call.kind == "text":
            kind, text = made
            return Response(body=text.encode(), kind=kind)
        if call.answer is Outcome:
            return await self._outcome(asyncio.ensure_future(made))
        return _json(await made if asyncio.iscoroutine(made) else made)

    async def _outcome(self, task: "asyncio.Task[Outcome]") -> Response:
        """It continues when the caller hangs up: half a reload helps nobody."""
        self._running.add(task)  # or the loop may forget it (asyncio keeps weak references)
        task.add_done_callback(self._running.discard)
        outcome = await asyncio.shield(task)
        return _json(outcome.to_dict()) if outcome.ok else outcome_response(outcome)

    # ── calls that are answered here, or whose request is put into other words ──────────────
    def _ping(self) -> Ping:
        return {"ok": True, "version": own_version(), "pid": os.getpid()}

    def _openapi(self) -> dict[str, Any]:
        from chapiteau.run.api.openapi import openapi_document

        return openapi_document(own_version())

    def _service(self, name: str) -> ServiceStatus:
        services: tuple[ServiceStatus, ...] = self._supervisor.status().services
        for service in services:
            if service.name == name:
                return service
        raise NotFoundError(
            f"no service {name!r}", hint=did_you_mean(name, [s.name for s in services])
        )

    def _metrics(self) -> tuple[str, str]:
        from chapiteau.run.api.openmetrics import CONTENT_TYPE, metrics_text

        return CONTENT_TYPE, metrics_text(self._supervisor.status())

    def _command(self, verb: str, service: str, options: CommandOptions, who: str) -> Any:
        given = {key: value for key, value in asdict(options).items() if value is not None}
        return self._supervisor.command(verb, service, given, who)

    def _configure(self, service: str, change: ConfigureRequest, who: str) -> Any:
        settings = {k: v for k, v in change.settings.items() if k not in ("+", "-")}
        settings |= ({"+": True} if change.add else {}) | ({"-": True} if change.remove else {})
        if not settings and not change.reset:
            raise UsageError("settings: give settings to change or to reset")
        return self._supervisor.configure(service, settings, list(change.reset), who)

    def _enter(self, service: str, given: InputRequest, who: str) -> Any:
        try:
            given.text.encode()
        except UnicodeEncodeError:
            raise UsageError("text contains a lone surrogate") from None
        options = {k: v for k, v in asdict(given).items() if k != "text" and v is not None}
        return self._supervisor.enter(service, given.text, options, who)

    def _screen(self, service: str, wanted: ScreenRequest) -> Any:
        return self._supervisor.screen(service, wanted.process or 1)

    def _plan(self, who: str) -> Any:
        return self._supervisor.apply_config(dry_run=True, who=who)

    def _apply(self, who: str) -> Any:
        return self._supervisor.apply_config(dry_run=False, who=who)

    async def _shutdown(self, wanted: ShutdownRequest, who: str) -> dict[str, Any]:
        await self._supervisor.shutdown(who, force=wanted.force)
        return {"ok": True}

    def _message(self, message: MessageRequest, who: str) -> dict[str, Any]:
        if not message.text.strip() or len(message.text) > _MAX_TEXT:
            raise UsageError(f"text: must be given, in {_MAX_TEXT} characters at most")
        for key, name in (("service", message.service), ("plugin", message.plugin)):
            if len(name) > _MAX_NAME:
                raise UsageError(f"{key}: is longer than {_MAX_NAME} characters")
        if len(json.dumps(message.data)) > _MAX_DATA:
            raise UsageError("data: is more than 16 KiB")
        data = {**message.data, **({"plugin": message.plugin} if message.plugin else {})}
        self._supervisor.message(message.text, message.service, data, who)
        return {"ok": True}

    def _events(self, wanted: EventsRequest) -> AsyncIterator[Any]:
        found: AsyncIterator[Any] = self._supervisor.events(wanted.after, follow=wanted.follow)
        return found

    def _logs(self, wanted: LogsRequest) -> AsyncIterator[Any]:
        if wanted.grep:
            from chapiteau.run.logs.grep import compile_grep  # who reads no logs needs none

            compile_grep(wanted.grep)
        if wanted.level and not is_level(wanted.level):
            raise UsageError(f"level: {wanted.level!r} is none of {', '.join(LEVELS)}")
        plain = {f.name: getattr(wanted, f.name) for f in fields(wanted) if f.name != "service"}
        query = LogQuery(**plain | {
            "services": self._selected(wanted.service),
            "after": dict(_source_offset(text) for text in wanted.after if text),
            "before": dict(_source_position(text) for text in wanted.before if text),
        })  # fmt: skip
        found: AsyncIterator[Any] = self._supervisor.logs(query)
        return found

    def _selected(self, patterns: tuple[str, ...]) -> tuple[str, ...]:
        """The services matching names and globs; all when there are none. Raises NotFoundError."""
        if not patterns:
            return ()
        status = self._supervisor.status().services
        own = {service.name for service in status if "plugin" in service.labels}
        return tuple(select(",".join(patterns), [service.name for service in status], own))


def _json(value: Any) -> Response:
    if isinstance(value, dict):
        return Response(body=json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    # Dataclasses go straight to bytes: 500 processes in 0.3 ms, where asdict and json take 9.
    # Imported here, since a supervisor that is only asked for a word needs none of it.
    import msgspec

    return Response(body=msgspec.json.encode(value))


# ── requests ────────────────────────────────────────────────────────────────────────────────
def _decode(call: Call, request: Request) -> Any:
    kind: Any = call.request
    if call.method == "GET":
        raw = _query_values(kind, request)
        last = request.headers.get("last-event-id", "")  # of a browser that comes back
        if kind is EventsRequest and last.isdigit():
            raw["after"] = int(last)
    else:
        raw = _body(request)
        known = [field.name for field in fields(kind)]
        for name in raw:
            if name not in known:
                raise UsageError(f"no option {name!r}", hint=did_you_mean(name, known))
    made, problems = read(kind, raw)
    if problems:
        raise UsageError("\n".join(f"{p.where}: {p.what}" for _, p in problems))
    return made


def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request; an empty body is an empty one."""
    raw = request.body
    try:
        options = (
            json.loads(raw, parse_constant=_no_number, parse_float=_number) if raw.strip() else {}
        )
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"the body is not JSON: {exc}") from None
    if not isinstance(options, dict):
        raise UsageError("the body must be a JSON object")
    return options


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _number(text: str) -> float:
    """3.0 is an integer of JSON, too."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 1 << 53 else value


def _query_values(kind: Any, request: Request) -> dict[str, Any]:
    """The parameters of the query by their types; a parameter that is not known is left out."""
    hints = typing.get_type_hints(kind)
    return {
        name: _query_value(name, hints[name], given)
        for name, given in request.query.items()
        if name in hints and any(given)
    }


def _query_value(name: str, kind: Any, given: list[str]) -> Any:
    text = given[0]
    if typing.get_origin(kind) is tuple:
        return given
    if kind is bool:
        if text not in {"0", "1", "false", "true"}:
            raise UsageError(f"{name}: {text!r} is neither 1 nor 0")
        return text in {"1", "true"}
    if kind is int:
        if not text.isdigit():
            raise UsageError(f"{name}: {text!r} is not a whole number")
        return int(text)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            raise UsageError(f"{name}: {text!r} is not a number of seconds") from None
    return text


def _source_position(text: str) -> tuple[str, tuple[int, int]]:
    source, _, place = text.partition(":")
    try:
        if source.count("/") == 2:
            return source, parse_position(place)
    except ValueError:
        pass
    raise UsageError(f"before: {text!r} is not SERVICE/PROCESS/STREAM:TURN:OFFSET")


def _source_offset(text: str) -> tuple[str, int]:
    source, _, at = text.rpartition(":")
    if source.count("/") != 2 or not at.isdigit():
        raise UsageError(f"after: {text!r} is not SERVICE/PROCESS/STREAM:AT")
    return source, int(at)
