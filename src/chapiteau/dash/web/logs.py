"""Kept output as a file."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.web.security import HUB, require

__all__ = ["log_query", "logs"]

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
    kind, written = _FORMS[form]
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
                if form == "text" and "older" in line:
                    continue
                if not response.prepared:
                    await response.prepare(request)
                await response.write(written(node.name, line))
        except ChapiteauError as exc:
            if len(wanted) == 1 and not response.prepared:
                raise
            if not response.prepared:
                await response.prepare(request)
            # The file says itself what it lacks.
            note = {"time": hub.clock.wall(), "stream": "note", "text": exc.what}
            await response.write(written(node.name, note))
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


def _ndjson(node: str, line: Mapping[str, Any]) -> bytes:
    return json.dumps({"node": node, **line}, ensure_ascii=False).encode() + b"\n"


def _text(node: str, line: Mapping[str, Any]) -> bytes:
    time = line["time"]  # 0: unknown
    when = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds") if time else "-"
    place = f"{line.get('service', '')}/{line.get('process', 0)} {line.get('stream', '')}"
    return f"{when.replace('+00:00', 'Z')} {node} {place} {line['text']}\n".encode()


_FORMS: Final = {
    "ndjson": ("application/x-ndjson", _ndjson),
    "text": ("text/plain; charset=utf-8", _text),
}
