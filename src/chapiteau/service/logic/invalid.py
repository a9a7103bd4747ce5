"""What is answered when a request itself is wrong."""

from collections.abc import Iterable

from chapiteau.service.logic.kinds.explain import Complaint
from chapiteau.service.logic.markers import Place
from chapiteau.service.logic.problem import Detail, ProblemError

__all__ = ["InvalidRequestError", "MalformedRequestError", "details_of", "missing"]


class InvalidRequestError(ProblemError):
    """The request can be read, but says something that can't be (422)."""

    status = 422
    code = "invalid-request"
    title = "The request is not valid"

    def __init__(self, found: Iterable[Detail]) -> None:
        errors = tuple(found)
        count = len(errors)
        super().__init__(f"{count} problem{'' if count == 1 else 's'}, see errors", errors=errors)


class MalformedRequestError(ProblemError):
    """The request can't even be read (400)."""

    status = 400
    code = "malformed-request"
    title = "The request can't be read"


def details_of(place: Place, complaints: Iterable[Complaint], prefix: str = "") -> list[Detail]:
    """Complaints about a value as details of a request."""
    return [
        Detail(place=place, pointer=prefix + c.pointer, code=c.code, detail=c.detail)
        for c in complaints
    ]


def missing(place: Place, pointer: str, detail: str = "must be given") -> Detail:
    """Something that must be there and is not."""
    return Detail(place=place, pointer=pointer, code="missing", detail=detail)
