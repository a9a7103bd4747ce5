"""The answers of an operation, good and bad, with their headers."""

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec

from chapiteau.service.declare.operation import Operation
from chapiteau.service.declare.signature import OperationOptions
from chapiteau.service.openapi import Json
from chapiteau.service.openapi.schemas import REF
from chapiteau.service.protocol.problem import (
    MEDIA_TYPE,
    ProblemDocument,
    ProblemError,
    problem_document,
    problem_for,
    reason_phrase,
)

__all__ = [
    "CorniceError",
    "CorniceErrors",
    "ErrorFormat",
    "cornice_document",
    "error_content",
    "error_responses",
    "error_type",
    "extra_responses",
    "implicit_header_parameters",
    "request_header_names",
    "response_headers",
]


# How an application writes its errors: problem documents, or as Cornice does.

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


def error_content(form: ErrorFormat, kinds: Iterable[type[ProblemError]] = ()) -> Json:
    """Media type and schema of an error answer, with an example of each kind by its code."""
    cornice = form == "cornice"
    name = "CorniceErrors" if cornice else "ProblemDocument"
    media: Json = {"schema": {"$ref": REF.format(name=name)}}
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
    words = problem.detail or problem.title or reason_phrase(problem.status)
    return CorniceErrors("error", errors or [CorniceError("", problem.code, words)])


_TEXT: Final = {"type": "string"}


def _header(words: str, **schema: Any) -> Json:
    return {"description": words, "schema": {**_TEXT, **schema}}


def response_headers(op: Operation) -> Json:
    """The headers of a good answer."""
    headers: Json = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
    if op.options.etag is not None or op.ranged:
        headers["ETag"] = _header("Version.")
    if op.options.modified is not None or op.ranged:
        headers["Last-Modified"] = _header("When it was changed last.")
    if op.ranged:
        headers["Accept-Ranges"] = _header("`bytes`: parts of it may be asked for.")
    if op.options.limit is not None:
        headers["RateLimit"] = _header("What is left of the client's budget.")
    if op.status == 201:
        headers["Location"] = _header("Where the new resource is.", format="uri-reference")
    if op.options.minimal:
        headers["Preference-Applied"] = _header("Which preferences were followed.")
    for name, words in op.options.headers.items():
        headers[name] = _header(words)
    return headers


def extra_responses(op: Operation) -> Json:
    """Good answers beside the usual one."""
    made: Json = {}
    if _has_version(op):
        made["304"] = {"description": "Not Modified: the client has this version."}
    if op.ranged:
        made["206"] = {
            "description": "Partial Content: the part that was asked for.",
            "headers": {
                "Content-Range": _header("Which part of how much."),
                "X-Request-ID": {"$ref": "#/components/headers/RequestId"},
            },
            "content": {media: {} for media in op.offers},
        }
    if op.options.minimal and op.status == 200:
        made["204"] = {"description": "No Content: done, and `return=minimal` was preferred."}
    if op.options.later:
        made["202"] = {
            "description": "Accepted: it is being done; Location tells how far it is.",
            "headers": {
                "Location": _header("The job's status.", format="uri-reference"),
                "Preference-Applied": _header("`respond-async`, when that was preferred."),
            },
            "content": {"application/json": {"schema": {"$ref": REF.format(name="Job")}}},
        }
    return made


def _has_version(op: Operation) -> bool:
    """Whether it reads something that has a version: a tag, or a date of change."""
    versioned = op.options.etag is not None or op.options.modified is not None or op.ranged
    return op.method in ("GET", "HEAD") and versioned


def implicit_header_parameters(op: Operation) -> list[Json]:
    """Headers that an operation understands without its handler's doing."""
    found: list[Json] = []
    said = {p.wire.lower() for p in op.parameters if p.marker.place == "header"}

    def add(name: str, words: str, *, required: bool = False, **schema: Any) -> None:
        if name.lower() in said:
            return
        made: Json = {"name": name, "in": "header", "description": words}
        if required:
            made["required"] = True
        found.append({**made, "schema": {**_TEXT, **schema}})

    if op.options.idempotent:
        words = "Sent again with the same key, the request is not done again."
        add("Idempotency-Key", words, minLength=1, maxLength=255)
    if op.precondition_argument is not None:
        words = "ETag of the version that is meant to change, or *."
        add("If-Match", words, required=op.options.if_match == "required")
    if op.options.minimal or op.options.later:
        wishes = ["`return=minimal`: no body in the answer."] * op.options.minimal
        if op.options.later is True:
            wishes.append("`respond-async`: answer at once, do it later.")
        if wishes:
            add("Prefer", " ".join(wishes))
    if op.ranged:
        add("Range", "Which bytes, as in `bytes=0-999`.")
    return found


def request_header_names(operations: Iterable[Operation]) -> set[str]:
    """The names of the headers by which operations of one method read a request."""
    found: set[str] = set()
    for op in operations:
        found |= {p.wire for p in op.parameters if p.marker.place == "header"}
        found |= {one["name"] for one in implicit_header_parameters(op)}
        if op.body is not None or op.options.content_type:
            found.add("Content-Type")
        if op.options.auth is not None:
            scheme = op.options.auth.document()
            if scheme["type"] != "apiKey":
                found.add("Authorization")
            elif scheme["in"] == "header":
                found.add(scheme["name"])
    return found


def error_responses(op: Operation, form: ErrorFormat) -> Json:
    """Status → answer of everything that can go wrong, with an example of each named problem."""
    made: Json = {}
    for status, kinds in sorted(_failures(op).items()):
        titles = dict.fromkeys(kind.title for kind in kinds if kind.title)
        headers = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
        headers |= {name: _header(words) for name, words in _TOLD.get(status, ())}
        made[str(status)] = {
            "description": "; ".join(titles) or reason_phrase(status),
            "headers": headers,
            "content": error_content(form, [kind for kind in kinds if kind.code]),
        }
    return made


# What an error answer of a status says in its headers.
_TOLD: Final = {
    401: (("WWW-Authenticate", "Which credentials are wanted."),),
    412: (("ETag", "The version that is there now."),),
    415: (("Accept", "What could be read."),),
    416: (("Content-Range", "How much there is."),),
    429: (("Retry-After", "After so many seconds, ask again."),),
}


def _statuses(op: Operation) -> list[int]:
    options = op.options
    reads = bool(op.parameters) or op.body is not None or options.unknown_query == "refuse"
    required = op.precondition_argument is not None and options.if_match == "required"
    said = (
        (reads, (400, 422)),
        ("{" in op.path or "*" in op.path, (400,)),
        (bool(options.validators), (422,)),
        (op.body is not None or bool(options.content_type), (413, 415)),
        (op.precondition_argument is not None or _has_version(op), (412,)),
        (required, (428,)),
        (options.auth is not None, (401, 403) if _narrow(options) else (401,)),
        (options.idempotent, (409, 422)),
        (op.ranged, (404, 416)),
        (op.raw_media == "text/event-stream", (503,)),
        (options.limit is not None, (429,)),
        (op.offers != ("*/*",), (406,)),
        (True, (500,)),
    )
    return [status for holds, statuses in said if holds for status in statuses]


def _failures(op: Operation) -> dict[int, list[type[ProblemError]]]:
    """Status → the problems that an operation can answer with, its own first."""
    found: dict[int, list[type[ProblemError]]] = {}
    kinds: list[type[ProblemError]] = list(op.options.raises)
    for kind in [*kinds, *(type(problem_for(status)) for status in _statuses(op))]:
        known = found.setdefault(kind.status, [])
        if kind not in known:
            known.append(kind)
    return found


def _narrow(options: OperationOptions) -> bool:
    """Whether also somebody who is known may be refused."""
    return bool(options.scopes or "permission" in options.view)
