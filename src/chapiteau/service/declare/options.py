"""What a decorator may say about an operation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from chapiteau.service.declare.signature import Callback, Link
from chapiteau.service.protocol.cors import CorsPolicy
from chapiteau.service.protocol.problem import ProblemError
from chapiteau.service.protocol.rate_limit import RateLimit

__all__ = ["JSON_ONLY", "OperationOptions", "listed"]

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
