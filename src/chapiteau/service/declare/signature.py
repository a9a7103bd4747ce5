"""Words for a handler's signature: where a parameter comes from, what an answer carries.

def cities(name: Annotated[str, Query("q", description="Part of the name")] = "") -> ...
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, ClassVar, Final, Generic, Literal, TypeVar

import msgspec

from chapiteau.service.protocol.cors import CorsPolicy
from chapiteau.service.protocol.problem import ProblemError
from chapiteau.service.protocol.rate_limit import RateLimit

__all__ = [
    "JSON_ONLY",
    "Answer",
    "Body",
    "Callback",
    "Cookie",
    "Header",
    "Job",
    "JobState",
    "Link",
    "Marker",
    "OperationOptions",
    "Path",
    "Place",
    "Query",
    "Upload",
    "listed",
]

Place = Literal["path", "query", "header", "cookie", "body"]


@dataclass(frozen=True, slots=True)
class Marker:
    """Says where a parameter comes from; `name` is its name on the wire."""

    place: ClassVar[Place]
    name: str = ""
    description: str = ""
    example: Any = None
    deprecated: bool = False


class Path(Marker):
    """From the path: `/cities/{id}`."""

    __slots__ = ()
    place = "path"


class Query(Marker):
    """From the query string; a Struct or dataclass spreads over one parameter per field."""

    __slots__ = ()
    place = "query"


class Header(Marker):
    """From a header. Without a name, underscores become hyphens: `if_match` is `If-Match`."""

    __slots__ = ()
    place = "header"


class Cookie(Marker):
    """From a cookie."""

    __slots__ = ()
    place = "cookie"


class Body(Marker):
    """The request's body."""

    __slots__ = ()
    place = "body"


# What a handler may return beside a plain value: status, headers, entity tag.

T = TypeVar("T")


class Answer(Generic[T]):
    """A value with more to say about it than the declaration does.

        return Answer(note, status=201, headers={"Location": f"/notes/{note.id}"}, etag="3")

    `etag` is written without quotes; `modified` (Last-Modified) is UTC when it has no time zone.
    """

    __slots__ = ("etag", "headers", "modified", "status", "value")

    def __init__(
        self,
        value: T,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        etag: str | None = None,
        modified: datetime | None = None,
    ) -> None:
        self.value = value
        self.status = status
        self.headers = headers
        self.etag = etag
        self.modified = modified

    def __repr__(self) -> str:
        return f"<Answer {self.status or 'declared'} {self.value!r}>"


# A file that a client has sent in a form.


class Upload:
    """One file of a `multipart/form-data` body.

        class Photo(msgspec.Struct):
            title: str
            picture: Upload

        @photos.post(consumes=["multipart/form-data"], max_body=20 << 20)
        def add(photo: Photo) -> int:
            return photo.picture.size

    `file` is open for reading at its beginning, in memory when small, else in a temporary
    file without a name; it is closed when nobody holds the Upload any more.
    `filename` and `content_type` are what the client says: the name has no folders in it, but
    nothing else has been checked.
    """

    __slots__ = ("content_type", "file", "filename", "size")

    def __init__(self, file: IO[bytes], *, filename: str, content_type: str, size: int) -> None:
        self.file = file
        self.filename = filename.replace("\\", "/").rpartition("/")[2]
        self.content_type = content_type
        self.size = size

    def __del__(self) -> None:
        self.file.close()

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} {self.size} bytes>"


# What an operation has to do with others: links from its answer, requests it will send.


class Link:
    """From an answer to an operation that it leads to (OpenAPI: link object).

        @notes.post(status=201, links={"note": Link("get_note", note_id="$response.body#/id")})

    `operation` is a handler or its operation id; the rest says where its parameters come from, as
    runtime expressions of OpenAPI (`$response.body#/id`, `$response.header.Location`,
    `$request.path.id`) or as constants. The document can't be made when there is no such operation
    or parameter. Tools follow links to try one operation with what another has answered.
    """

    __slots__ = ("description", "operation", "parameters")

    def __init__(
        self, operation: str | Callable[..., Any], description: str = "", **parameters: Any
    ) -> None:
        self.operation = operation
        self.description = description
        self.parameters: Mapping[str, Any] = parameters

    def __repr__(self) -> str:
        return f"<Link to {self.operation}>"


class Callback:
    """A request that the service sends because of an operation (OpenAPI: callback object).

        def done(report: Report) -> None:
            "The report is ready."

        @reports.post(callbacks={"done": Callback("{$request.body#/notify}", done)})

    `url` is a runtime expression; the function's signature and docstring describe the request,
    and it is never called.
    """

    __slots__ = ("method", "request", "url")

    def __init__(self, url: str, request: Callable[..., Any], *, method: str = "POST") -> None:
        self.url = url
        self.request = request
        self.method = method

    def __repr__(self) -> str:
        return f"<Callback {self.method} {self.url}>"


# Long work: what its status resource tells.

JobState = Literal["running", "done", "failed"]


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that was accepted (202) and is being done, or has been."""

    id: str
    state: JobState
    since: float
    """When it was accepted, in seconds since 1970."""
    until: float | None = None
    """When it ended."""
    answer: str = ""
    """Where its answer is, once it is done."""


# What a decorator may say about an operation.

JSON_ONLY: Final = ("application/json",)


def listed(value: Any) -> tuple[Any, ...]:
    """One text or callable, several of them, or None, as a tuple."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) or callable(value) else tuple(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationOptions:
    """What a decorator says about an operation besides its signature."""

    status: int | None = None
    summary: str = ""
    description: str = ""
    operation_id: str = ""
    tags: tuple[str, ...] = ()
    raises: tuple[type[ProblemError], ...] = ()
    etag: Callable[[Any], str | int | None] | Literal["content"] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    if_match: Literal["required", "optional"] = "required"
    produces: tuple[str, ...] = JSON_ONLY
    consumes: tuple[str, ...] = JSON_ONLY
    accept: tuple[Any, ...] = ()  # media types, and callables that give some for a request
    content_type: tuple[Any, ...] = ()  # the same; said, it holds where no body is read, too
    deprecated: datetime | bool = False
    sunset: datetime | None = None
    cors: CorsPolicy | None = None
    auth: Any = None
    scopes: tuple[str, ...] = ()
    idempotent: bool = False
    successor: str = ""
    unknown_query: str = "refuse"
    hidden: bool = False
    validators: tuple[Callable[[Any], Any], ...] = ()
    max_body: int | None = None
    limit: RateLimit | None = None
    filters: tuple[Callable[..., Any], ...] = ()
    versions: tuple[str, ...] = ()
    example: Any = None
    links: Mapping[str, Link] = field(default_factory=dict)
    callbacks: Mapping[str, Callback] = field(default_factory=dict)
    modified: Callable[[Any], datetime | None] | None = None
    minimal: bool = False
    later: bool | Literal["always"] = False
    view: dict[str, Any] = field(default_factory=dict)
