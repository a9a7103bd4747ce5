"""What is answered when a request itself is wrong."""

from collections.abc import Iterable

from chapiteau.service.declare.signature import Place
from chapiteau.service.declare.validation import ValidationIssue
from chapiteau.service.protocol.problem import ErrorDetail, ProblemError

__all__ = ["InvalidRequestError", "MalformedRequestError", "missing_detail", "to_details"]


class InvalidRequestError(ProblemError):
    """The request can be read, but says something that can't be (422)."""

    status = 422
    code = "invalid-request"
    title = "The request is not valid"

    def __init__(self, found: Iterable[ErrorDetail]) -> None:
        errors = tuple(found)
        count = len(errors)
        super().__init__(f"{count} problem{'' if count == 1 else 's'}, see errors", errors=errors)


class MalformedRequestError(ProblemError):
    """The request can't even be read (400)."""

    status = 400
    code = "malformed-request"
    title = "The request can't be read"


def to_details(
    place: Place, complaints: Iterable[ValidationIssue], prefix: str = ""
) -> list[ErrorDetail]:
    """Complaints about a value as details of a request."""
    return [
        ErrorDetail(place=place, pointer=prefix + c.pointer, code=c.code, detail=c.detail)
        for c in complaints
    ]


def missing_detail(place: Place, pointer: str, detail: str = "must be given") -> ErrorDetail:
    """Something that must be there and is not."""
    return ErrorDetail(place=place, pointer=pointer, code="missing", detail=detail)
