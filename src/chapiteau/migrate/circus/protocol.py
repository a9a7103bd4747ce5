"""Circus's protocol: requests, answers, options and events, under its own names.

Source: circus 0.19, circus/commands/base.py.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any, Final

import msgspec

from chapiteau.run.config.service_rules import signal_name
from chapiteau.run.events import Event

__all__ = [
    "CircusError",
    "Published",
    "Request",
    "changes_of",
    "circus_state",
    "errno",
    "fail",
    "ok",
    "publications",
    "read_request",
    "resource_name",
    "select_watchers",
    "settings_of",
    "watcher_options",
]

# Circus's option → our setting, for `set`.
_SETTINGS: Final = {
    "cmd": "command",
    "graceful_timeout": "stop_timeout",
    "gid": "group",
    "max_age": "max_age",
    "max_age_variance": "max_age_spread",
    "max_retry": "restart.attempts",
    "numprocesses": "processes",
    "on_demand": "on_demand",
    "shell": "shell",
    "stop_children": "stop_group",
    "stop_signal": "stop_signal",
    "uid": "user",
    "working_dir": "cwd",
}
_FLAGS: Final[dict[str, tuple[str, Any, Any]]] = {  # setting, when true, when false
    "copy_env": ("clean_env", False, True),
    "respawn": ("restart.policy", "always", "never"),
    "send_hup": ("reload_signal", "HUP", ""),
}
_SECONDS: Final = frozenset({"graceful_timeout", "max_age", "max_age_variance"})
_TEXTS: Final = frozenset({"stop_signal", "uid", "gid"})
_TRUE: Final = frozenset({True, "1", "true", "True", "yes", "on"})


def watcher_options(
    service: Mapping[str, Any], *, wanted: int, folder: str, signals: Mapping[str, int]
) -> dict[str, Any]:
    """Every option that `circusctl options` shows; what Circus can't say is left out.

    `service` is its running configuration; variables that are secrets are left out.
    """
    command = service.get("command") or f"chapiteau app {service.get('app', '')}"
    restart = service.get("restart") or {}
    env = {k: v for k, v in (service.get("env") or {}).items() if isinstance(v, str)}
    return {
        "args": "",
        "autostart": service.get("autostart", True),
        "close_child_stderr": False,
        "close_child_stdin": True,
        "close_child_stdout": False,
        "cmd": command if isinstance(command, str) else shlex.join(command),
        "copy_env": not service.get("clean_env", False),
        "env": env,
        "executable": None,
        "gid": service.get("group") or None,
        "graceful_timeout": service.get("stop_timeout", 10.0),
        "max_age": int(service.get("max_age", 0)),
        "max_age_variance": int(service.get("max_age_spread", 0)),
        "max_retry": restart.get("attempts", 10),
        "numprocesses": wanted,
        "on_demand": service.get("on_demand", False),
        "priority": 0,
        "respawn": restart.get("policy", "always") != "never" and not service.get("one_shot"),
        "send_hup": service.get("reload_signal") == "HUP",
        "shell": service.get("shell", False),
        "shell_args": None,
        "singleton": service.get("one_shot", False),
        "stderr_stream_conf": {},
        "stdout_stream_conf": {},
        "stop_children": service.get("stop_group", False),
        "stop_signal": _number(str(service.get("stop_signal") or "TERM"), signals),
        "uid": service.get("user") or None,
        "use_sockets": bool(service.get("sockets")),
        "warmup_delay": 0,
        "working_dir": f"{folder}/{service.get('cwd', '')}".rstrip("/"),
    }


def _number(written: str, signals: Mapping[str, int]) -> int:
    """A signal's number; in the file it may stand as a number, too."""
    name = signal_name(written)
    return int(name) if name.isdigit() else signals.get(f"SIG{name}", 15)


def settings_of(options: Any) -> dict[str, object]:
    """Our settings for what `circusctl set` gives. Raises CircusError where there is none."""
    if not isinstance(options, Mapping):
        raise CircusError("'options' property should be an object")
    made: dict[str, object] = {}
    for key, value in options.items():
        if key == "env" and isinstance(value, Mapping):
            made |= {f"env.{name}": str(text) for name, text in value.items()}
        elif key in _FLAGS:
            setting, yes, no = _FLAGS[key]
            made[setting] = yes if value in _TRUE else no
        elif key in _SETTINGS:
            try:
                made[_SETTINGS[key]] = _value(key, value)
            except (ValueError, TypeError) as exc:
                raise CircusError(str(exc), errno.COMMAND_ERROR) from exc
        else:
            what = f"{key!r} has no counterpart to set at run time"
            raise CircusError(what, errno.COMMAND_ERROR)
    return made


def _value(key: str, value: Any) -> Any:
    if key in _SECONDS:
        return f"{float(value):g}s"
    if key in _TEXTS:
        return str(value)
    if key in ("shell", "on_demand", "stop_children"):
        return value in _TRUE
    return int(value) if key in ("max_retry", "numprocesses") else value


# ── requests and answers ──────────────────────────────────────────────────────────────────────
class errno:  # noqa: N801 — Circus's own name for them
    """Numbers of its errors (circus/commands/errors.py)."""

    NOT_SPECIFIED: Final = 0
    INVALID_JSON: Final = 1
    UNKNOWN_COMMAND: Final = 2
    MESSAGE_ERROR: Final = 3
    OS_ERROR: Final = 4
    COMMAND_ERROR: Final = 5
    BAD_MSG_DATA_ERROR: Final = 6


class CircusError(Exception):
    """What is answered instead of a result."""

    def __init__(self, reason: str, number: int = errno.MESSAGE_ERROR) -> None:
        super().__init__(reason)
        self.reason, self.number = reason, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One command."""

    id: Any
    command: str
    cast: bool = False  # nobody waits for an answer
    properties: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The watcher that is meant. Raises CircusError when it must be given and is not."""
        if "name" not in self.properties:
            raise CircusError("message invalid 'name' is missing")
        return str(self.properties["name"])

    def need(self, key: str) -> Any:
        """A property that must be given. Raises CircusError."""
        if key not in self.properties:
            raise CircusError(f"message invalid {key!r} is missing")
        return self.properties[key]

    def number(self, key: str, default: int) -> int:
        """A whole number. Raises CircusError."""
        try:
            return int(self.properties.get(key, default))
        except (TypeError, ValueError):
            raise CircusError(f"{key!r} isn't an integer") from None


def read_request(raw: object) -> Request:
    """What was parsed from JSON, as a request. Raises CircusError."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("properties", {}), Mapping):
        raise CircusError("json invalid", errno.INVALID_JSON)
    return Request(
        id=raw.get("id"),
        command=str(raw.get("command", "")).lower(),
        cast=raw.get("msg_type") == "cast",
        properties=dict(raw.get("properties") or {}),
    )


def ok(id_: object, time: float, **facts: object) -> dict[str, object]:
    """A good answer."""
    return {"status": "ok", "time": time, **facts, "id": id_}


def fail(id_: object, time: float, failure: CircusError) -> dict[str, object]:
    """An error with its number."""
    return {
        "status": "error",
        "reason": failure.reason,
        "tb": None,
        "time": time,
        "errno": failure.number,
        "id": id_,
    }


def select_watchers(request: Request, names: Iterable[str]) -> list[str]:
    """The watchers that start, stop and restart mean; all when none is named. Raises CircusError.

    Names are compared without case, as Circus does.
    """
    known = list(names)
    if "name" not in request.properties:
        return known
    wanted = request.name.lower()
    match request.properties.get("match", "glob"):
        case "simple":
            found = [name for name in known if name.lower() == wanted]
        case "glob":
            found = _matching(translate(wanted), known)
        case "regex":
            found = _matching(wanted, known)
        case other:
            raise CircusError(f"unknown match method {other}")
    if not found:
        raise CircusError(f"program {request.name} not found")
    return found


def _matching(text: str, names: list[str]) -> list[str]:
    try:
        pattern = re.compile(text)
    except re.error as exc:
        raise CircusError(f"{text!r} is not a regular expression: {exc}") from None
    return [name for name in names if pattern.match(name.lower())]


def circus_state(state: str) -> str:
    """Our states as Circus's four."""
    return {
        "stopped": "stopped",
        "failed": "stopped",
        "completed": "stopped",
        "waiting": "starting",
        "starting": "starting",
        "stopping": "stopping",
    }.get(state, "active")


# ── events ────────────────────────────────────────────────────────────────────────────────────
class Published(msgspec.Struct, omit_defaults=True):
    """The body of an event of Circus."""

    time: float
    process_pid: int | None = None
    exit_code: int | None = None
    name: str | None = None
    error: str | None = None


Publication = tuple[str, Published]

_PLAIN: Final = {
    "service.ready": "start",
    "service.recovered": "start",
    "service.completed": "stop",
    "service.failed": "stop",
    "service.stopped": "stop",
    "service.reloaded": "reload",
    "service.scaled": "updated",
    "process.spawned": "spawn",
    "process.stopping": "kill",
    "process.killed": "kill",
    "process.exited": "reap",
    "hook.done": "hook_success",
    "hook.failed": "hook_failure",
}


def resource_name(service: str) -> str:
    """A service's name inside a topic: a dot or a space would make two parts of it."""
    return service.lower().replace(" ", "_").replace(".", "_")


def publications(event: Event) -> Iterator[Publication]:
    """What an event is to Circus; nothing when it has no such event."""
    action = _PLAIN.get(event.kind)
    if action is None or not event.service:
        return
    body = Published(time=event.time)
    if action in ("spawn", "kill", "reap"):
        body.process_pid = event.pid
    if action == "reap":
        signal = event.data.get("signal")
        body.exit_code = -signal if signal is not None else event.data.get("code", 0)
    if action.startswith("hook_"):
        body.name = event.data.get("hook", "")
        if action == "hook_failure":
            body.error = str(event.data.get("why", ""))
    yield f"watcher.{resource_name(event.service)}.{action}", body


def changes_of(before: Iterable[str], after: Iterable[str], time: float) -> Iterator[Publication]:
    """`add` and `remove`, when the configuration has changed."""
    old, new = set(before), set(after)
    for name in sorted(new - old):
        yield f"watcher.{resource_name(name)}.add", Published(time=time)
    for name in sorted(old - new):
        yield f"watcher.{resource_name(name)}.remove", Published(time=time)
