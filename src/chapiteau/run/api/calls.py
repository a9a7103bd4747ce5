"""Every call of the control API, once.

The server, the command line, the OpenAPI document, the page's types and what a hub may ask of its
nodes are derived from this table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from chapiteau.core.fields import setting
from chapiteau.run.api.commands import COMMANDS, Command
from chapiteau.run.api.status import (
    Ping,
    ServiceStatus,
    ServiceSummaries,
    SocketHolders,
    StatsMessage,
    SupervisorStatus,
)
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import LogLine, Outcome

if TYPE_CHECKING:
    from chapiteau.run.config.access import Role  # it imports what only the supervisor needs

__all__ = [
    "CALLS",
    "Call",
    "CommandOptions",
    "ConfigureRequest",
    "EventsRequest",
    "InputRequest",
    "LogsRequest",
    "MessageRequest",
    "ScreenRequest",
    "ShutdownRequest",
    "find_call",
]

Kind = Literal["json", "stream", "text", "bytes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """Options of a command; each command uses those that its row names. None: not given."""

    wait: bool | None = setting(None, help="Wait until it is done (default), or return at once.")
    timeout: float | None = setting(
        None,
        help="Maximum time to wait, in seconds, also behind other commands. Default: 600 (signal, "
        "reopen: 60), or what the settings of the service allow its processes, if that is longer.",
        low=0,
    )
    processes: int | None = setting(None, help="How many processes.", low=0)
    by: int | None = setting(None, help="How many processes more; negative for fewer.")
    signal: str | None = setting(None, help="Name of the signal, like HUP.")
    process: int | None = setting(None, help="Only this process.", low=1)
    whole: bool | None = setting(None, help="Send it to the whole process group.")
    force: bool | None = setting(None, help="Without a grace period.")
    resume: bool | None = setting(
        None, help="Asked once before, of a brain that died over it: go on instead of anew."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureRequest:
    """Changes of settings at run time: at least one of these must be given."""

    settings: dict[str, Any] = setting(
        factory=dict, help="Dotted setting → value, as in the configuration file."
    )
    reset: tuple[str, ...] = setting((), help="Settings that follow the file again; * is all.")
    add: bool = setting(False, help="Add a service of this name.")
    remove: bool = setting(False, help="Stop the service and remove it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRequest:
    """Input for a process, or the size of its terminal."""

    text: str = setting("", help="Sent as it is; a line needs its line feed.")
    process: int = setting(1, help="Number of the process.", low=1)
    eof: bool = setting(False, help="Close its standard input afterwards.")
    rows: int | None = setting(None, help="Of the terminal, with columns.", low=1, high=65535)
    columns: int | None = setting(None, help="Of the terminal, with rows.", low=1, high=65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenRequest:
    """Which process's output is streamed."""

    process: int = setting(1, help="Number of the process (default 1).")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownRequest:
    """How everything ends."""

    force: bool = setting(False, help="Without a grace period.")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsRequest:
    """Which events are wanted."""

    after: int = setting(0, help="Only events with a greater number.")
    follow: bool = setting(False, help="1 continues with new events.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRequest:
    """An event of kind plugin.message."""

    text: str = setting(help="One line, up to 2000 characters.")
    service: str = setting("", help="The service it is about, up to 64 characters.")
    plugin: str = setting("", help="The plugin that sends it, up to 64 characters.")
    data: dict[str, Any] = setting(factory=dict, help="Facts for programs, up to 16 KiB of JSON.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsRequest:
    """Which lines of output are wanted."""

    service: tuple[str, ...] = setting((), help="Only this service or glob; repeatable.")
    process: int = setting(0, help="Only this process; 0 is all.")
    stream: Literal["", "stdout", "stderr"] = setting("", help="Only this stream.")
    last: int = setting(100, help="How many old lines to begin with (default 100).")
    follow: bool = setting(False, help="1 continues with new lines.")
    grep: str = setting("", help="Only lines that match this regular expression.")
    level: str = setting("", help="Only lines of this level and above.")
    after: tuple[str, ...] = setting(
        (), help="SERVICE/PROCESS/STREAM:AT of the last line you have; repeatable."
    )
    since: float = setting(0.0, help="Only lines after this time (seconds since 1970).")
    until: float = setting(0.0, help="Only lines before this time; nothing is followed.")
    pages: bool = setting(
        False,
        help="1 searches for two seconds and ends the kept lines with"
        ' {"older": {"SERVICE/PROCESS/STREAM": "TURN:OFFSET"}, "unread": []}.',
    )
    before: tuple[str, ...] = setting(
        (), help="SERVICE/PROCESS/STREAM:TURN:OFFSET of `older`: continue there; repeatable."
    )
    whole: bool = setting(False, help="1: every kept line, oldest first, whatever `last` says.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. `name` is its method of the supervisor, unless `handler` names another."""

    name: str
    method: Literal["GET", "POST"]
    path: str  # {service} and {socket} are handed to the method
    role: "Role"  # the least that may call it
    summary: str
    request: type[Any] | None = None  # of the query of a GET, of the body of a POST
    answer: type[Any] | None = None
    kind: Kind = "json"
    handler: str = ""

    @property
    def is_command(self) -> bool:
        """Whether it does something to services: POST /v1/services/NAME/COMMAND."""
        return self.handler == "command"


def _get(name: str, path: str, summary: str, *, role: "Role" = "viewer", **more: Any) -> Call:
    return Call(name=name, method="GET", path=path, role=role, summary=summary, **more)


def _post(name: str, path: str, summary: str, *, role: "Role" = "admin", **more: Any) -> Call:
    return Call(name=name, method="POST", path=path, role=role, summary=summary, **more)


def _command(command: Command) -> Call:
    return Call(
        name=command.name,
        method="POST",
        path=f"/v1/services/{{service}}/{command.name}",
        role=command.role,
        summary=command.summary,
        request=CommandOptions,
        answer=Outcome,
        handler="command",
    )


CALLS: Final = (
    _get("ping", "/v1/ping", "Check that the supervisor answers.", answer=Ping),
    _get("openapi", "/v1/openapi.json", "This document."),
    _get("status", "/v1/status", "The state of everything.", answer=SupervisorStatus),
    _get(
        "services",
        "/v1/services",
        "The services in short, for frequent polling.",
        answer=ServiceSummaries,
    ),
    _get("service", "/v1/services/{service}", "The state of one service.", answer=ServiceStatus),
    *map(_command, COMMANDS.values()),
    _post(
        "set",
        "/v1/services/{service}/set",
        "Change settings of services until the file is applied again.",
        request=ConfigureRequest,
        answer=Outcome,
        handler="configure",
    ),
    _post(
        "input",
        "/v1/services/{service}/input",
        "Send input to a process.",
        request=InputRequest,
        answer=Outcome,
        handler="enter",
    ),
    _get(
        "screen",
        "/v1/services/{service}/screen",
        "The output of a process from now on, byte by byte, until it ends.",
        kind="bytes",
        request=ScreenRequest,
    ),
    _get(
        "holders",
        "/v1/sockets/{socket}",
        "The processes that have a listening socket open.",
        answer=SocketHolders,
    ),
    _get("config", "/v1/config", "The running configuration; secrets are left out.", role="admin"),
    _post(
        "plan",
        "/v1/config/plan",
        "What applying the file on disk would change.",
        role="viewer",
        answer=Outcome,
    ),
    _post(
        "apply",
        "/v1/config/apply",
        "Apply the file on disk, completely or not at all.",
        answer=Outcome,
    ),
    _post(
        "upgrade",
        "/v1/upgrade",
        "Replace the supervisor by the installed version; services keep running.",
        answer=Outcome,
    ),
    _post(
        "shutdown",
        "/v1/shutdown",
        "Stop everything, then the supervisor.",
        request=ShutdownRequest,
    ),
    _get(
        "events",
        "/v1/events",
        "Events, kept and new.",
        kind="stream",
        request=EventsRequest,
        answer=Event,
    ),
    _post(
        "say",
        "/v1/messages",
        "Record an event of kind plugin.message.",
        request=MessageRequest,
        handler="message",
    ),
    _get(
        "logs",
        "/v1/logs",
        "Output of the services.",
        kind="stream",
        request=LogsRequest,
        answer=LogLine,
    ),
    _get(
        "stats",
        "/v1/stats",
        "Figures of every process, one message a second.",
        kind="stream",
        answer=StatsMessage,
    ),
    _get("metrics", "/metrics", "The state as OpenMetrics text.", kind="text"),
)


def find_call(
    method: str, segments: Sequence[str]
) -> tuple[Call | tuple[str, ...], dict[str, str]]:
    """The call of a path's segments, and what stands for each {name} in it.

    Where there is none: the methods that the path has, empty when there is no such path.
    """
    others: list[str] = []
    for call, pattern in _PATTERNS:
        parts = _parts(pattern, segments)
        if parts is None:
            continue
        if call.method == method:
            return call, parts
        others.append(call.method)
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


_PATTERNS: Final = tuple((call, call.path[1:].split("/")) for call in CALLS)
