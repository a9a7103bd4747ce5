"""Validators and filters of an operation: what looks at a request before its handler, and at the
answer behind it."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

from chapiteau.service.declare.validation import json_pointer
from chapiteau.service.pipeline.reply import to_response
from chapiteau.service.protocol.problem import (
    ErrorDetail,
    InvalidRequestError,
    ProblemError,
    problem_for,
)

__all__ = ["RequestErrors", "apply_filters", "filter_of_two", "run_validators"]

Filter = Callable[[Any, Any], Any]

# Cornice's words for the places of a request, and ours.
_PLACES: Final = {
    "body": "body", "query": "query", "querystring": "query", "path": "path", "url": "path",
    "header": "header", "cookie": "cookie", "cookies": "cookie", "method": "method", "": "",
}  # fmt: skip


class RequestErrors(list[ErrorDetail]):
    """`request.errors`: what validators have found. Another `status` than 422 may be set."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 422

    def add(
        self, location: str, name: str | int | None = None, description: str = "", *,
        code: str = "value",
    ) -> None:  # fmt: skip
        """Note one problem; `name` is a field, or a JSON pointer that begins with a slash.

        Raises ValueError when there is no such location.
        """
        if location not in _PLACES:
            raise ValueError(
                f"{location!r} is no location: one of {', '.join(filter(None, _PLACES))}"
            )
        text = "" if name is None else str(name)
        where = text if text.startswith("/") or not text else json_pointer((text,))
        found = ErrorDetail(
            place=_PLACES[location], pointer=where, code=code, detail=str(description)
        )
        self.append(found)

    def problem(self) -> ProblemError:
        """All of them as the one answer."""
        if self.status == InvalidRequestError.status:
            return InvalidRequestError(self)
        count = len(self)
        words = f"{count} problem{'' if count == 1 else 's'}, see errors"
        return problem_for(self.status, words, errors=self)


def run_validators(
    validators: Sequence[Callable[[Any], Any]], request: Any, arguments: dict[str, Any]
) -> None:
    """Run validators on a request whose typed values are right; all run, then all is told.

    They find the values in `request.validated`; what they put there instead reaches the handler,
    and what they add is there for it to read. Raises ProblemError.
    """
    errors = request.errors = RequestErrors()
    validated = request.validated = dict(arguments)
    for validator in validators:
        validator(request)
    if errors:
        raise errors.problem()
    for name in arguments:
        if name in validated:
            arguments[name] = validated[name]


def filter_of_two(one: Callable[..., Any]) -> Filter:
    """A filter takes the response, or the response and the request; afterwards it takes both."""
    try:
        parameters = inspect.signature(one).parameters.values()
    except (TypeError, ValueError):  # made in C: it says nothing about itself
        return lambda response, _request: one(response)
    taken = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(taken) > 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return one
    return lambda response, _request: one(response)


def apply_filters(filters: Sequence[Filter], made: Any, request: Any) -> Any:
    """The answer as the filters leave it. Raises TypeError for one that returns nothing."""
    response = to_response(made)
    for one in filters:
        response = one(response, request)
        if response is None:
            raise TypeError("a filter must return the response")
    return response
