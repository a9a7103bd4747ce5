"""Requests and answers of the control API as bytes and values; no I/O, so both clients share it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from chapiteau.core.errors import (
    ChapiteauError,
    NotFoundError,
    PartialError,
    RefusedError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from chapiteau.io.unix_http import format_request
from chapiteau.run.errors import BrainLostError, NotRunningError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from chapiteau.io.unix_http import Response
    from chapiteau.run.events import Event
    from chapiteau.run.logs.messages import Gap, LogLine, LogQuery, Outcome, PreviousPage

__all__ = [
    "BRAIN_RESTART_TIMEOUT",
    "CLIENT_NAME_HEADER",
    "by_another_brain",
    "call_request",
    "configure_body",
    "error_of",
    "event_item",
    "get",
    "json_answer",
    "log_item",
    "logs_target",
    "not_running",
    "outcome",
    "post",
    "verb_target",
]

CLIENT_NAME_HEADER: Final = (
    "Chapiteau-As"  # whose program it is, beside the uid that the kernel tells
)
BRAIN_RESTART_TIMEOUT: Final = (
    10.0  # seconds in which a keeper brings up the next brain, at the worst
)
_BY_CODE: Final[dict[int, type[ChapiteauError]]] = {
    kind.exit_code: kind
    for kind in (UsageError, NotFoundError, RefusedError, UnreachableError, TimedOutError)
} | {PartialError.exit_code: PartialError}


def get(target: str) -> bytes:
    """A GET request as bytes."""
    return format_request("GET", target)


def post(
    target: str, body: Mapping[str, Any] | None = None, headers: dict[str, str] | None = None
) -> bytes:
    """A POST request with a JSON body, as bytes."""
    return format_request("POST", target, json.dumps(dict(body or {})).encode(), headers=headers)


def configure_body(
    settings: Mapping[str, Any], reset: Sequence[str], *, add: bool, remove: bool
) -> dict[str, Any]:
    """The body of the call `set`."""
    body: dict[str, Any] = {"settings": dict(settings), "reset": list(reset)}
    return body | ({"add": True} if add else {}) | ({"remove": True} if remove else {})


def verb_target(verb: str, service: str) -> str:
    """The request target of a verb on a service, its names quoted."""
    from urllib.parse import quote

    return f"/v1/services/{quote(service, safe='*,')}/{quote(verb, safe='')}"


def logs_target(query: LogQuery) -> str:
    """The request target of a log query."""
    from urllib.parse import urlencode

    pairs: list[tuple[str, str]] = [("service", name) for name in query.services]
    plain = {
        "process": query.process or "",
        "stream": query.stream,
        "last": query.last,
        "follow": int(query.follow) or "",
        "grep": query.grep,
        "level": query.level,
        "since": query.since or "",
        "until": query.until or "",
        "pages": int(query.pages) or "",
        "whole": int(query.whole) or "",
    }
    pairs += [("before", f"{key}:{turn}:{at}") for key, (turn, at) in query.before.items()]
    pairs += [("after", f"{source}:{at}") for source, at in query.after.items()]
    pairs += [(key, str(value)) for key, value in plain.items() if value != ""]
    return f"/v1/logs?{urlencode(pairs)}"


def call_request(
    name: str, given: Mapping[str, Any], headers: dict[str, str] | None = None
) -> tuple[bytes, Callable[[Response], Any]]:
    """The request of a call of the table, and what makes a value of its answer.

    `given`: what stands for the {names} of its path, and the fields of its request.
    Raises UsageError.
    """
    from urllib.parse import quote, urlencode

    from chapiteau.core.problems import did_you_mean
    from chapiteau.run.api.calls import CALLS

    call = next((call for call in CALLS if call.name == name and call.kind == "json"), None)
    if call is None:
        raise UsageError(f"no call {name!r}", hint=did_you_mean(name, [c.name for c in CALLS]))
    rest, answer = dict(given), call.answer
    try:
        parts = [
            quote(str(rest.pop(part[1:-1])), safe="*,") if part.startswith("{") else part
            for part in call.path.split("/")
        ]
    except KeyError as exc:
        raise UsageError(f"{name}: {exc.args[0]} must be given") from None
    target = "/".join(parts)

    def read(reply: Response) -> Any:
        if answer is not None and answer.__name__ == "Outcome":
            return outcome(reply)
        raw = json_answer(reply)
        from_dict = getattr(answer, "from_dict", None)
        return from_dict(raw) if from_dict else raw

    if call.method == "POST":
        return post(target, rest, headers), read
    query = f"?{urlencode(rest, doseq=True)}" if rest else ""
    return format_request("GET", target + query, headers=headers), read


def json_answer(reply: Response) -> Any:
    """The JSON of an answer. Raises what a problem+json says."""
    if reply.status >= 400:
        raise error_of(reply)
    try:
        return json.loads(reply.body)
    except ValueError:
        raise ChapiteauError("the supervisor's answer is no JSON") from None


def error_of(reply: Response) -> ChapiteauError:
    """The error that a reply with a status of 400 or more tells."""
    try:
        problem = json.loads(reply.body)
        code, what = int(problem.get("exit_code", 1)), problem.get("detail") or problem["title"]
        hint = str(problem.get("hint", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ChapiteauError(f"the supervisor answered with status {reply.status}")
    return _BY_CODE.get(code, ChapiteauError)(str(what), hint=hint)


def outcome(reply: Response) -> Outcome:
    """What a command did; a failed one is an Outcome too, not an exception."""
    from chapiteau.run.logs.messages import Outcome

    raw = json.loads(reply.body) if reply.body else {}
    if reply.status >= 400 and isinstance(raw, dict) and isinstance(raw.get("outcome"), dict):
        raw = raw["outcome"]
    elif reply.status >= 400:
        raise error_of(reply)
    return Outcome.from_dict(raw)


def event_item(raw: dict[str, Any]) -> Event | Gap:
    """An event or a gap, from its JSON object."""
    from chapiteau.run.events import Event
    from chapiteau.run.logs.messages import Gap

    return Gap(int(raw["lost"])) if "lost" in raw else Event.from_dict(raw)


def log_item(raw: dict[str, Any]) -> LogLine | Gap | PreviousPage:
    """A log line, a gap or the mark of an earlier page, from its JSON object."""
    from chapiteau.run.logs.messages import Gap, LogLine, PreviousPage

    if "lost" in raw:
        return Gap(int(raw["lost"]))
    if "older" in raw:
        return PreviousPage(dict(raw["older"]), tuple(raw.get("unread", ())))
    return LogLine.from_dict(raw)


def not_running(path: Path, exc: OSError) -> ChapiteauError:
    """The error that a person should see when connecting failed."""
    if isinstance(exc, PermissionError):
        return RefusedError(
            f"{path}: this user may not talk to the supervisor",
            hint="be the user that started it, or root; or ask for a role (project.operators)",
        )
    if isinstance(exc, TimeoutError):
        return TimedOutError("the supervisor did not answer in time", hint="try --timeout")
    if isinstance(exc, FileNotFoundError | ConnectionRefusedError | NotADirectoryError):
        return NotRunningError(
            "no supervisor runs for this project", hint="start it with `chapiteau up`"
        )
    if isinstance(exc, ConnectionError):
        return BrainLostError(
            "the supervisor's brain ended before it answered; whether this was done is not known",
            hint="the next brain goes on from there: look with `chapiteau status`",
        )
    return NotRunningError(f"{path}: {exc}", hint="look with `chapiteau status`")


def by_another_brain(made: Outcome) -> Outcome:
    """What came of a command that its first brain died over."""
    from dataclasses import replace

    told = "the brain died over it, and the next one"
    if made.ok:
        return replace(made, text=f"{made.text} ({told} has completed it)")
    return replace(made, error=f"{made.error}\n({told} could not complete it)")
