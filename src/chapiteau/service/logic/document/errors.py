"""How an application writes its errors: problem documents, or as Cornice does."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from chapiteau.service.logic.document.schemas import REF
from chapiteau.service.logic.problem import (
    MEDIA_TYPE,
    ProblemDocument,
    ProblemError,
    phrase,
    problem_document,
)

__all__ = [
    "CorniceError",
    "CorniceErrors",
    "ErrorFormat",
    "cornice_document",
    "error_content",
    "error_type",
]

ErrorFormat = Literal["problem", "cornice"]

# Our words for the places of a request, and Cornice's.
_PLACES = {
    "body": "body", "query": "querystring", "path": "path", "header": "header",
    "cookie": "cookies",
}  # fmt: skip


class CorniceError(msgspec.Struct, frozen=True):
    """One entry of `errors`."""

    location: str
    name: str
    description: str


class CorniceErrors(msgspec.Struct, frozen=True):
    """An error answer as Cornice writes it."""

    status: Literal["error"]
    errors: list[CorniceError]


def error_type(form: ErrorFormat) -> Any:
    """The type of every error answer."""
    return CorniceErrors if form == "cornice" else ProblemDocument


def error_content(form: ErrorFormat, kinds: Iterable[type[ProblemError]] = ()) -> dict[str, Any]:
    """Media type and schema of an error answer, with an example of each kind by its code."""
    cornice = form == "cornice"
    name = "CorniceErrors" if cornice else "ProblemDocument"
    media: dict[str, Any] = {"schema": {"$ref": REF.format(name=name)}}
    examples = {}
    for kind in kinds:
        one = kind()
        value = msgspec.to_builtins(cornice_document(one)) if cornice else problem_document(one)
        examples[kind.code] = {"summary": kind.title or kind.code, "value": value}
    if examples:
        media["examples"] = examples
    return {"application/json" if cornice else MEDIA_TYPE: media}


def cornice_document(problem: ProblemError) -> CorniceErrors:
    """A problem as Cornice tells it; one without single errors becomes one of its own."""
    errors = [
        CorniceError(
            _PLACES.get(one.place, one.place),
            ".".join(one.pointer.strip("/").split("/")),
            one.detail,
        )
        for one in problem.errors
    ]
    words = problem.detail or problem.title or phrase(problem.status)
    return CorniceErrors("error", errors or [CorniceError("", problem.code, words)])
