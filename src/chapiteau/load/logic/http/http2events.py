"""What comes of an HTTP/2 connection's frames: answers, streams that end, connections that do."""

from dataclasses import dataclass
from typing import Final

from chapiteau.load.errors import BadAnswerError, ExchangeError

__all__ = ["Answered", "Ended", "Event", "Gone", "Http2Error"]

_CODES: Final = (
    "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED "
    "FRAME_SIZE_ERROR REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM "
    "INADEQUATE_SECURITY HTTP_1_1_REQUIRED"
).split()


class Http2Error(ExchangeError):
    """The peer breaks the protocol: the whole connection ends."""

    def __init__(self, code: int, what: str, kind: str = "") -> None:
        super().__init__(kind or f"http2 {_name(code)}", what)
        self.code = code


def _name(code: int) -> str:
    return _CODES[code] if code < len(_CODES) else str(code)


@dataclass(frozen=True, slots=True)
class Answered:
    """A stream has its whole answer; `head` looks as HTTP/1.1 would have it."""

    stream: int
    status: int
    head: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream has ended without an answer, or with one that is `malformed` in this way."""

    stream: int
    code: int
    malformed: str = ""

    @property
    def error(self) -> ExchangeError:
        """In the words of the report."""
        if self.malformed:
            return BadAnswerError(self.malformed)
        return ExchangeError(
            f"http2 {_name(self.code)}", f"the service ended the stream: {self.code}"
        )


@dataclass(frozen=True, slots=True)
class Gone:
    """The peer takes no new streams; those above `last` were not looked at."""

    last: int
    code: int
    words: str = ""  # the peer's own

    @property
    def error(self) -> ExchangeError | None:
        """Why it takes none, in the words of the report; None when it just wants to end."""
        if not self.code:
            return None
        return ExchangeError(
            f"http2 {_name(self.code)}",
            f"the service ended the connection: {self.words or self.code}",
        )


Event = Answered | Ended | Gone
