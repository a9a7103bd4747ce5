"""Errors and failed outcomes as application/problem+json (RFC 9457)."""

import json
from typing import Any, Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.engine.api.request import Answer
from chapiteau.run.logic.messages import Outcome

__all__ = ["failure", "problem", "problem_of"]

# The CLI's exit code → the nearest HTTP status.
_STATUS: Final = {1: 500, 2: 400, 3: 404, 4: 409, 5: 503, 6: 504, 7: 500, 8: 409}
_TITLE: Final = {
    400: "Bad request",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Refused now",
    411: "Length required",
    413: "Too long",
    431: "Too long",
    500: "Failed",
    503: "Unreachable",
    504: "Timed out",
}


def problem(status: int, detail: str, *, hint: str = "", exit_code: int = 1, **more: Any) -> Answer:
    """A problem document with the CLI's exit code."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLE.get(status, "Error"),
        "status": status,
        "detail": detail,
        "exit_code": exit_code,
    }
    if hint:
        body["hint"] = hint
    return Answer(
        status=status,
        body=json.dumps({**body, **more}, ensure_ascii=False).encode("utf-8", "replace"),
        kind="application/problem+json",
    )


def problem_of(error: ChapiteauError) -> Answer:
    """The problem document of one of our own errors."""
    status = _STATUS.get(error.exit_code, 500)
    return problem(status, error.what, hint=error.hint, exit_code=error.exit_code)


def failure(outcome: Outcome) -> Answer:
    """The problem document of a command that failed, with all that it did."""
    code = outcome.exit_code or 1
    return problem(
        _STATUS.get(code, 500),
        outcome.error or outcome.text or "the command failed",
        hint=outcome.hint,
        exit_code=code,
        outcome=outcome.to_dict(),
    )
