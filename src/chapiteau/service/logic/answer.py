"""What a handler may return beside a plain value: status, headers, entity tag."""

from collections.abc import Mapping
from typing import Generic, TypeVar

__all__ = ["Answer"]

T = TypeVar("T")


class Answer(Generic[T]):
    """A value with more to say about it than the declaration does.

        return Answer(note, status=201, headers={"Location": f"/notes/{note.id}"}, etag="3")

    `etag` is written without quotes.
    """

    __slots__ = ("etag", "headers", "status", "value")

    def __init__(
        self,
        value: T,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        etag: str | None = None,
    ) -> None:
        self.value = value
        self.status = status
        self.headers = headers
        self.etag = etag

    def __repr__(self) -> str:
        return f"<Answer {self.status or 'declared'} {self.value!r}>"
