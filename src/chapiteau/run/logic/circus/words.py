"""Requests and answers of Circus's protocol. Source: circus 0.19, circus/commands/base.py."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from re import Pattern, compile, error  # noqa: A004 — Circus matches with re
from typing import Any, Final

__all__ = ["CircusError", "Request", "chosen", "errno", "fail", "ok", "read_request", "state_word"]


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


def ok(id_: Any, time: float, **facts: Any) -> dict[str, Any]:
    """A good answer."""
    return {"status": "ok", "time": time, **facts, "id": id_}


def fail(id_: Any, time: float, failure: CircusError) -> dict[str, Any]:
    """An error with its number."""
    return {
        "status": "error",
        "reason": failure.reason,
        "tb": None,
        "time": time,
        "errno": failure.number,
        "id": id_,
    }


def chosen(request: Request, names: Iterable[str]) -> list[str]:
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
        pattern: Pattern[str] = compile(text)
    except error as exc:
        raise CircusError(f"{text!r} is no regular expression: {exc}") from None
    return [name for name in names if pattern.match(name.lower())]


def state_word(state: str) -> str:
    """Our states in Circus's four words."""
    return {
        "stopped": "stopped",
        "failed": "stopped",
        "completed": "stopped",
        "waiting": "starting",
        "starting": "starting",
        "stopping": "stopping",
    }.get(state, "active")
