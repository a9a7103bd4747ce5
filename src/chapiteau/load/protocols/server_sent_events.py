"""Server-sent events from bytes (WHATWG HTML, section 9.2.6)."""

from dataclasses import dataclass
from typing import Final

from chapiteau.load.errors import BadResponseError

__all__ = ["Event", "Events"]

_MOST: Final = 16 << 20  # bytes of one event
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type ("message" when it has none), its data, and the last id there was."""

    type: str
    data: str
    id: str = ""


class Events:
    """Whole events from bytes as they come. `retry` is what the server asked for, in ms."""

    __slots__ = ("_begun", "_data", "_id", "_rest", "_size", "_type", "retry")

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False
        self._data: list[str] = []
        self._size = 0
        self._type = ""
        self._id = ""
        self.retry: int | None = None

    def feed(self, data: bytes) -> list[Event]:
        """The events that are whole now. Raises BadResponseError for one without end."""
        data = self._rest + data
        if not self._begun:
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._rest = data
                return []
            self._begun = True
            data = data.removeprefix(_BOM)
        # A carriage return at the end may be half of a line's end.
        held = b"\r" if data.endswith(b"\r") else b""
        lines = data.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        found = [event for line in lines if (event := self._line(line)) is not None]
        if len(self._rest) + self._size > _MOST:
            raise BadResponseError(f"an event of more than {_MOST} bytes")
        return found

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(line)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        data, kind = self._data, self._type
        self._data, self._type, self._size = [], "", 0
        return Event(kind or "message", "\n".join(data), self._id) if data else None
