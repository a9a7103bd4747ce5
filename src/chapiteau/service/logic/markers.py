"""Words for a handler's signature: where a parameter comes from, what an answer carries.

def cities(name: Annotated[str, Query("q", description="Part of the name")] = "") -> ...
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

__all__ = ["Body", "Cookie", "Header", "Marker", "Path", "Place", "Query"]

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
