"""The WebSocket: a page says what it wants, the hub sends that and nothing else.

In: {"op": "sub" | "unsub", "topic": T}, {"op": "log", "id": ID, "nodes": […], "query": {…}},
{"op": "pace", "seconds": S}. Out: arrays of {"topic", "seq", "data"}. docs/reference/dash-api.md.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import WSMsgType, web

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.fleet.bus import Viewer, encode
from chapiteau.dash.fleet.node import follow_output, line_columns
from chapiteau.dash.fleet.watch import NodeWatch
from chapiteau.dash.web.hub import Hub
from chapiteau.dash.web.load_tests import LoadTestWatcher
from chapiteau.dash.web.security import CALLER, HUB, cookie_name, require
from chapiteau.run.logs.messages import LogMessage, PageMessage

__all__ = ["at_node", "live", "log_query", "logs"]


# Kept output as a file.

_KEYS: Final = frozenset("service process stream last grep level since until pages".split())


def log_query(
    given: Mapping[str, Any], before: object, node: str, after: object = None
) -> dict[str, str]:
    """The log query for one node. `before`: by node, where each stream's next page goes on.

    `after`: likewise, up to where each stream is known. Raises BadRequestError.
    """
    query = {key: str(given[key]) for key in _KEYS if given.get(key)}
    places = before.get(node, {}) if isinstance(before, dict) else None
    if not isinstance(places, dict):
        raise BadRequestError('before: {"NODE": {"SERVICE/PROCESS/STREAM": "TURN:OFFSET"}}')
    known = after.get(node, {}) if isinstance(after, dict) else {} if after is None else None
    if not isinstance(known, dict) or not all(type(at) is int for at in known.values()):
        raise BadRequestError('after: {"NODE": {"SERVICE/PROCESS/STREAM": AT}}')
    kept = {"before": places, "after": known}
    return {**query, **{key: json.dumps(value) for key, value in kept.items() if value}}


def at_node(query: dict[str, str], shift: float) -> dict[str, str]:
    """The same times on the clock of a node that is so many seconds ahead."""
    with contextlib.suppress(ValueError):  # what is no number the node itself refuses
        times = [key for key in ("since", "until") if key in query]
        moved: dict[str, str] = {key: str(float(query[key]) + shift) for key in times}
        return {**query, **moved} if shift else query
    return query


@require("see")
async def logs(request: web.Request) -> web.StreamResponse:
    """GET /api/logs?node=N&node=M&service=S…: kept lines, one server after the other.

    As NDJSON, each with its `node`; `form=text` as people read them, with `show=1` to be looked at
    rather than kept. `whole=1`: all that is kept.
    """
    hub = request.app[HUB]
    wanted = [
        (hub.fleet.watch(name).node, _of_node(request, name))
        for name in request.query.getall("node", [""])
    ]
    form = request.query.get("form", "ndjson")
    if form not in _FORMS:
        raise BadRequestError(f"form: {form!r} is none of {', '.join(_FORMS)}")
    kind = _FORMS[form]
    response = web.StreamResponse(headers={"Content-Type": kind})
    service = request.query.get("service") or "output"
    name = re.sub(r"[^\w.-]", "_", service, flags=re.ASCII)
    name += ".log" if form == "text" else ".ndjson"
    # Plain text stays plain text: the page's headers forbid a browser to guess.
    shown = form == "text" and request.query.get("show") == "1"
    place = "inline" if shown else "attachment"
    response.headers["Content-Disposition"] = f'{place}; filename="{name}"'
    for node, query in wanted:
        try:
            async for line in node.logs(query):
                if not response.prepared:
                    await response.prepare(request)
                await response.write(_line_bytes(form, node.name, line))
        except ChapiteauError as exc:
            if len(wanted) == 1 and not response.prepared:
                raise
            if not response.prepared:
                await response.prepare(request)
            # The file says itself what it lacks.
            note: LogMessage = {"time": hub.clock.wall(), "stream": "note", "text": exc.what}
            await response.write(_line_bytes(form, node.name, note))
    if not response.prepared:
        await response.prepare(request)
    await response.write_eof()
    return response


def _of_node(request: web.Request, name: str) -> dict[str, str]:
    try:
        before = json.loads(request.query.get("before", "{}"))
    except ValueError:
        before = None
    query = log_query(request.query, before, name)
    return {**query, "whole": "1"} if request.query.get("whole") == "1" else query


def _line_bytes(form: str, node: str, line: LogMessage | PageMessage) -> bytes:
    if form == "text":
        return b"" if "older" in line else _text(node, line)
    return json.dumps({"node": node, **line}, ensure_ascii=False).encode() + b"\n"


def _text(node: str, line: LogMessage) -> bytes:
    time = line["time"]  # 0: unknown
    when = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds") if time else "-"
    place = f"{line.get('service', '')}/{line.get('process', 0)} {line.get('stream', '')}"
    return f"{when.replace('+00:00', 'Z')} {node} {place} {line['text']}\n".encode()


_FORMS: Final = {"ndjson": "application/x-ndjson", "text": "text/plain; charset=utf-8"}

_TOPICS: Final = frozenset(("fleet", "stats", "events", "actions", "load"))
_MOST_LOGS: Final = 8  # log streams of one page
_LARGEST: Final = 64 << 10  # bytes of one message from a page
_RECHECK: Final = 5.0  # seconds between looks whether the session goes on
_HEARTBEAT: Final = 20.0  # seconds; who does not answer in half of it is gone
_GATHER: Final = 0.08  # seconds in which messages collect into one frame


@require("see")
async def live(request: web.Request) -> web.StreamResponse:
    """GET /api/live, upgraded."""
    # Compression costs the hub more CPU than a loopback or LAN saves.
    socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, max_msg_size=_LARGEST, compress=False)
    await socket.prepare(request)
    page = _Page(request.app[HUB], socket, request[CALLER].name)
    guard = asyncio.create_task(_guard(request, socket))
    try:
        await page.run()
    finally:
        guard.cancel()
        _let_go(request)
    return socket


def _let_go(request: web.Request) -> None:
    """Who has not read what waits by now never will: `close` alone would keep it for ever."""
    transport = request.transport
    if isinstance(transport, asyncio.Transport) and transport.get_write_buffer_size():
        transport.abort()


async def _guard(request: web.Request, socket: web.WebSocketResponse) -> None:
    """A page that stays open must not outlive its session."""
    session_id = request.cookies.get(cookie_name(request), "")
    while True:
        await asyncio.sleep(_RECHECK)
        if not request.app[HUB].sessions.holds(session_id):
            break
    await socket.close(code=1008, message=b"the session has ended")


class _Page:
    """One open page."""

    def __init__(self, hub: Hub, socket: web.WebSocketResponse, name: str) -> None:
        self._hub = hub
        self._socket = socket
        self._viewer = Viewer(name)
        self._pace = _GATHER
        self._streams: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        self._hub.bus.viewers.add(self._viewer)
        writer = asyncio.create_task(self._write())
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT:
                    break
                self._read(message.data)
        except BadRequestError as exc:
            await self._socket.close(code=1008, message=exc.what.encode()[:120])
        finally:
            self._hub.bus.viewers.discard(self._viewer)
            tasks = [writer, *self._streams.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self) -> None:
        viewer = self._viewer
        while not viewer.overflown:
            await viewer.wake.wait()
            await asyncio.sleep(self._pace)
            viewer.wake.clear()
            messages = viewer.take()
            if messages:
                frame = ",".join(_live_text(m.topic, m.seq, m.data) for m in messages)
                try:
                    await self._socket.send_str(f"[{frame}]")
                except ConnectionError:
                    return
        await self._socket.close(code=1013, message=b"too slow: reload the page")

    def _read(self, text: str) -> None:
        try:
            order = json.loads(text)
            self._obey(order["op"], order)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadRequestError("not an order") from None

    def _obey(self, op: str, order: Mapping[str, Any]) -> None:
        if op == "sub":
            self._subscribe(str(order.get("topic")))
        elif op == "unsub":
            self._unsubscribe(str(order.get("topic")))
        elif op == "log":
            self._follow_log(order)
        elif op == "pace":
            self._pace = min(10.0, max(_GATHER, float(order.get("seconds", 0))))
        else:
            raise BadRequestError(f"unknown order {op!r}")

    def _subscribe(self, topic: str) -> None:
        if topic not in _TOPICS:
            raise BadRequestError(f"unknown topic {topic!r}")
        if topic in self._viewer.topics:
            return
        self._viewer.topics.add(topic)
        if topic == "actions":
            for action in self._hub.actions.recent()[:20]:
                self._viewer.latest(topic, str(action.number), encode(action.to_dict()))
        elif topic == "load":
            self._streams[topic] = asyncio.create_task(self._load())
        else:
            self._hub.fleet.greet(self._viewer, topic)

    def _unsubscribe(self, topic: str) -> None:
        self._viewer.topics.discard(topic)
        self._viewer.forget(topic)
        if task := self._streams.pop(topic, None):
            task.cancel()

    async def _load(self) -> None:
        async for data in LoadTestWatcher(self._hub.reports).follow():
            self._viewer.latest("load", "", encode(data))

    def _follow_log(self, order: Mapping[str, Any]) -> None:
        topic = f"log:{str(order.get('id', ''))[:40]}"
        self._unsubscribe(topic)
        if len(self._streams) >= _MOST_LOGS:
            raise BadRequestError(f"more than {_MOST_LOGS} streams")
        given, before = dict(order.get("query") or {}), order.get("before") or {}
        names = [str(name) for name in order.get("nodes") or ()]
        watches = [w for w in self._hub.fleet.watches() if not names or w.node.name in names]
        after = order.get("after")  # a page that comes back: what it has is not sent again
        wanted = [
            (w, at_node(log_query(given, before, w.node.name, after), w.shift)) for w in watches
        ]
        self._streams[topic] = asyncio.create_task(self._stream_logs(topic, wanted))

    async def _stream_logs(
        self, topic: str, wanted: list[tuple[NodeWatch, dict[str, str]]]
    ) -> None:
        async def one(watch: NodeWatch, query: dict[str, str]) -> None:
            node = watch.node

            def deliver(line: LogMessage | PageMessage) -> None:
                if "older" in line:
                    older = {"node": node.name, **line}
                    self._viewer.every(topic, encode({"lines": [], "gap": 0, "older": older}))
                else:
                    self._viewer.lines(topic, [line_columns(node.name, line)])

            try:
                await follow_output(node, query, deliver, self._hub.clock, lambda: watch.shift)
            except ChapiteauError as exc:
                deliver({"time": self._hub.clock.wall(), "stream": "note", "text": exc.what})

        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*(one(watch, query) for watch, query in wanted))


def _live_text(topic: str, seq: int, data: Any) -> str:
    body = data if isinstance(data, str) else encode(data)
    return f'{{"topic":{json.dumps(topic)},"seq":{seq},"data":{body}}}'
