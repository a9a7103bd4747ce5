"""What a handler may return beside a plain value: status, headers, entity tag."""

from collections.abc import Mapping
from datetime import datetime
from typing import Generic, TypeVar

__all__ = ["Answer"]

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
