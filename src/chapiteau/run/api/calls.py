"""Every call of the control API, once: the application and its OpenAPI document come from this."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from chapiteau.core.log_levels import LEVELS
from chapiteau.run.api.status import (
    ServiceStatus,
    ServiceSummaries,
    SocketHolders,
    SupervisorStatus,
)
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import LogLine, Outcome

__all__ = [
    "CALLS",
    "INPUT_OPTIONS",
    "MESSAGE_OPTIONS",
    "SET_OPTIONS",
    "VERB_OPTIONS",
    "Call",
    "Parameter",
    "find_call",
]

Kind = Literal["json", "stream", "text", "bytes"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter."""

    name: str
    schema: dict[str, Any]
    help: str
    many: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: who may do it is the row of `verb` in run/config/access.py."""

    method: Literal["GET", "POST"]
    path: str
    verb: str  # "" when the path's {verb} says it
    handler: str
    summary: str
    answer: type[Any] | None = None
    kind: Kind = "json"
    query: tuple[Parameter, ...] = ()
    body: tuple[str, ...] = ()  # names of the options that its body may hold


_INT: Final = {"type": "integer", "minimum": 0}
_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "string", "enum": ["0", "1", "false", "true"]}
_LEVEL: Final = {"type": "string", "enum": [*LEVELS]}

# The options of a verb, as JSON Schema; also what the handlers check.
VERB_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "wait": {"type": "boolean", "description": "Answer when it is done (default), or at once."},
    "timeout": {"type": "number", "minimum": 0, "description": "Seconds to wait at most."},
    "processes": {"type": "integer", "minimum": 0, "description": "(scale) How many."},
    "by": {"type": "integer", "description": "(scale) How many more; negative for fewer."},
    "signal": {"type": "string", "description": "(signal) Its name, like HUP."},
    "process": {"type": "integer", "minimum": 1, "description": "Only this process."},
    "whole": {"type": "boolean", "description": "(signal) To the whole process group."},
    "force": {"type": "boolean", "description": "Without grace."},
}

# What a message may hold: POST /v1/messages.
MESSAGE_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "text": {"type": "string", "minLength": 1, "maxLength": 2000, "description": "One line."},
    "service": {"type": "string", "maxLength": 64, "description": "The service it is about."},
    "plugin": {"type": "string", "maxLength": 64, "description": "The plugin that says it."},
    "data": {"type": "object", "description": "Facts for programs; 16 KiB of JSON at most."},
}

# What may be set: POST /v1/services/{name}/set.
SET_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "settings": {"type": "object", "description": "Dotted setting → value, as in the file."},
    "reset": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Settings that follow the file again; * is all.",
    },
    "add": {"type": "boolean", "description": "There is no such service yet: add it."},
    "remove": {"type": "boolean", "description": "Stop the service, and forget it."},
}

_SIZE: Final = {"type": "integer", "minimum": 1, "maximum": 65535}

# What may be entered: POST /v1/services/{name}/input.
INPUT_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "text": {"type": "string", "description": "As it is; a line needs its line feed."},
    "process": {"type": "integer", "minimum": 1, "description": "Which process (default 1)."},
    "eof": {"type": "boolean", "description": "Then the end of its input."},
    "rows": {**_SIZE, "description": "Of the terminal, with columns."},
    "columns": {**_SIZE, "description": "Of the terminal, with rows."},
}

CALLS: Final = (
    Call(method="GET", path="/v1/ping", verb="ping", handler="ping", summary="Is anybody there?"),
    Call(
        method="GET",
        path="/v1/openapi.json",
        verb="openapi",
        handler="openapi",
        summary="This document.",
    ),
    Call(
        method="GET",
        path="/v1/status",
        verb="status",
        handler="status",
        summary="The whole state.",
        answer=SupervisorStatus,
    ),
    Call(
        method="GET",
        path="/v1/services",
        verb="status",
        handler="services",
        summary="The services in few words: for those who ask often.",
        answer=ServiceSummaries,
    ),
    Call(
        method="GET",
        path="/v1/services/{name}",
        verb="status",
        handler="service",
        summary="The state of one service.",
        answer=ServiceStatus,
    ),
    Call(
        method="POST",
        path="/v1/services/{name}/set",
        verb="set",
        handler="configure",
        summary="Change settings of services until the file is followed again.",
        answer=Outcome,
        body=tuple(SET_OPTIONS),
    ),
    Call(
        method="POST",
        path="/v1/services/{name}/input",
        verb="input",
        handler="enter",
        summary="Give a process input.",
        answer=Outcome,
        body=tuple(INPUT_OPTIONS),
    ),
    Call(
        method="GET",
        path="/v1/services/{name}/screen",
        verb="logs",
        handler="screen",
        summary="What a process prints from now on, byte by byte, until it ends.",
        kind="bytes",
        query=(Parameter("process", _INT, "Which process (default 1)."),),
    ),
    Call(
        method="POST",
        path="/v1/services/{name}/{verb}",
        verb="",
        handler="command",
        summary="Start, stop, restart, reload, scale or signal services.",
        answer=Outcome,
        body=tuple(VERB_OPTIONS),
    ),
    Call(
        method="GET",
        path="/v1/sockets/{name}",
        verb="status",
        handler="holders",
        summary="Who has a listening socket open.",
        answer=SocketHolders,
    ),
    Call(
        method="GET",
        path="/v1/config",
        verb="config",
        handler="config",
        summary="The running configuration; secrets are left out.",
    ),
    Call(
        method="POST",
        path="/v1/config/plan",
        verb="plan",
        handler="plan",
        summary="What the file on disk would change.",
        answer=Outcome,
    ),
    Call(
        method="POST",
        path="/v1/config/apply",
        verb="apply",
        handler="apply",
        summary="Follow the file on disk, whole or not at all.",
        answer=Outcome,
    ),
    Call(
        method="POST",
        path="/v1/upgrade",
        verb="upgrade",
        handler="upgrade",
        summary="Become the supervisor that is installed now; services go on.",
        answer=Outcome,
    ),
    Call(
        method="POST",
        path="/v1/shutdown",
        verb="shutdown",
        handler="shutdown",
        summary="Stop everything, then the supervisor.",
        body=("force",),
    ),
    Call(
        method="GET",
        path="/v1/events",
        verb="events",
        handler="events",
        summary="What happened, and what happens.",
        answer=Event,
        kind="stream",
        query=(
            Parameter("after", _INT, "Only events with a greater number."),
            Parameter("follow", _FLAG, "1 goes on with what happens from now on."),
        ),
    ),
    Call(
        method="POST",
        path="/v1/messages",
        verb="say",
        handler="say",
        summary="Record an event of kind plugin.message.",
        body=tuple(MESSAGE_OPTIONS),
    ),
    Call(
        method="GET",
        path="/v1/logs",
        verb="logs",
        handler="logs",
        summary="Output of the services.",
        answer=LogLine,
        kind="stream",
        query=(
            Parameter("service", _TEXT, "Only this service; may be given more than once.", True),
            Parameter("process", _INT, "Only this process; 0 is all."),
            Parameter(
                "stream", {"type": "string", "enum": ["stdout", "stderr"]}, "Only this stream."
            ),
            Parameter("last", _INT, "How many old lines at first (default 100)."),
            Parameter("follow", _FLAG, "1 goes on with new lines."),
            Parameter("grep", _TEXT, "Only lines in which this regular expression is found."),
            Parameter(
                "level",
                {"type": "string", "enum": [*LEVELS]},
                "Only lines of this level and above.",
            ),
            Parameter(
                "after",
                _TEXT,
                "SERVICE/PROCESS/STREAM:AT of the last line you have; may be given more than once.",
                many=True,
            ),
            Parameter("since", {"type": "number"}, "Only lines after this time (1970 seconds)."),
            Parameter("until", {"type": "number"}, "Only lines before it; then none are followed."),
            Parameter(
                "pages",
                _FLAG,
                "1 looks for two seconds and ends the kept lines with"
                ' {"older": {"SERVICE/PROCESS/STREAM": "TURN:OFFSET"}, "unread": []}.',
            ),
            Parameter(
                "before",
                _TEXT,
                "SERVICE/PROCESS/STREAM:TURN:OFFSET of `older`: go on there; more than once.",
                many=True,
            ),
            Parameter("whole", _FLAG, "1: every kept line, oldest first, whatever `last` says."),
        ),
    ),
    Call(
        method="GET",
        path="/v1/stats",
        verb="stats",
        handler="stats",
        summary="Figures of every process, one message a second.",
        kind="stream",
    ),
    Call(
        method="GET",
        path="/metrics",
        verb="metrics",
        handler="metrics",
        summary="The state in OpenMetrics text.",
        kind="text",
    ),
)


def find_call(
    method: str, segments: Sequence[str]
) -> tuple[Call | tuple[str, ...], dict[str, str]]:
    """The route of a path's segments, and what stands for each {name} in it.

    Where there is none: the methods that the path has, empty when there is no such path.
    """
    others: list[str] = []
    for route, pattern in _PATTERNS:
        parts = _parts(pattern, segments)
        if parts is None:
            continue
        if route.method == method:
            return route, parts
        others.append(route.method)
    return tuple(others), {}


def _parts(pattern: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    parts: dict[str, str] = {}
    for wanted, found in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            if not found:
                return None
            parts[wanted[1:-1]] = found
        elif wanted != found:
            return None
    return parts


_PATTERNS: Final = tuple((route, route.path[1:].split("/")) for route in CALLS)
