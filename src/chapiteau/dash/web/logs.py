"""Kept output as a file."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.web.guard import HUB, need

__all__ = ["LOG_KEYS", "logs"]

LOG_KEYS: Final = ("service", "process", "stream", "last", "grep", "level", "since", "until")


@need("see")
async def logs(request: web.Request) -> web.StreamResponse:
    """GET /api/logs?node=N&node=M&service=S…: kept lines, one server after the other.

    As NDJSON, each with its `node`; `form=text` as people read them.
    """
    hub = request.app[HUB]
    nodes = [hub.fleet.watch(name).node for name in request.query.getall("node", [""])]
    query = {key: request.query[key] for key in LOG_KEYS if request.query.get(key)}
    form = request.query.get("form", "ndjson")
    if form not in _FORMS:
        raise BadRequestError(f"form: {form!r} is none of {', '.join(_FORMS)}")
    kind, written = _FORMS[form]
    response = web.StreamResponse(headers={"Content-Type": kind})
    name = re.sub(r"[^\w.-]", "_", query.get("service", "output"), flags=re.ASCII)
    name += ".log" if form == "text" else ".ndjson"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    for node in nodes:
        try:
            async for line in node.logs(query):
                if not response.prepared:
                    await response.prepare(request)
                await response.write(written(node.name, line))
        except ChapiteauError as exc:
            if len(nodes) == 1 and not response.prepared:
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


def _ndjson(node: str, line: Mapping[str, Any]) -> bytes:
    return json.dumps({"node": node, **line}, ensure_ascii=False).encode() + b"\n"


def _text(node: str, line: Mapping[str, Any]) -> bytes:
    when = datetime.fromtimestamp(line["time"], UTC).isoformat(timespec="milliseconds")
    place = f"{line.get('service', '')}/{line.get('process', 0)} {line.get('stream', '')}"
    return f"{when.replace('+00:00', 'Z')} {node} {place} {line['text']}\n".encode()


_FORMS: Final = {
    "ndjson": ("application/x-ndjson", _ndjson),
    "text": ("text/plain; charset=utf-8", _text),
}
