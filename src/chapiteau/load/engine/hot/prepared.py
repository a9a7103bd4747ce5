"""A request as bytes, with all that is known before it goes out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chapiteau.load.engine.hot.memo import Memo
from chapiteau.load.engine.hot.wire import Starter
from chapiteau.load.logic.tally import Row
from chapiteau.load.logic.urls import Address

if TYPE_CHECKING:
    from chapiteau.load.engine.http.origin import Origin

__all__ = ["Prepared"]


@dataclass(slots=True)
class Prepared:
    """Made once for requests without options, and for each request with some."""

    method: str
    address: Address
    origin: "Origin"
    idle: list[Starter]
    memo: Memo
    row: Row
    head: bytes  # request line and fields, each ended
    body: bytes
    data: bytes  # head, empty line, body
    timeout: float  # seconds
    bare: bool
    twice: bool
    follow: bool
    expect: frozenset[int] | None
