"""A machine's counts in parcels of a bounded size: one a second, and the rest at the end.

A parcel begins with what judging needs at once: sums, and the second's requests. The room that is
left goes on with the names, those of which most waits first. What finds no room waits and adds up:
nothing is lost, and what waits does not grow with the length of the test but with its names.

Each of the two is a stream of packets, which a parcel may end in the middle of.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from chapiteau.core.histogram import get_number, put_number
from chapiteau.load.cluster.count_items import Item, decode_parts, endpoint_parts, urgent_parts
from chapiteau.load.stats.totals import Totals

__all__ = ["Opener", "Sender"]

_PACKS: Final = 6  # zlib makes hardly ever more than this out of one byte
_AROUND: Final = 6  # bytes, at most, for how long something is
_LEAST: Final = 48  # bytes of room that are worth beginning a packet

_Items = Callable[[Totals], Iterator[Item]]


class Sender:
    """Puts into parcels of at most `most` bytes what is added to `waiting`."""

    def __init__(self, most: int) -> None:
        self.waiting = Totals()
        self._most = most
        self._lanes = (_Lane(urgent_parts), _Lane(endpoint_parts))
        self._told: set[str] = set()  # failures of which a sample has gone: one is enough

    def begin(self, watched: Iterable[str]) -> None:
        """A step: what waits is of this one alone."""
        self.waiting = Totals(watched)
        self._told.clear()

    def parcel(self) -> bytes:
        """The most urgent of what waits; empty when nothing does."""
        for what in self._told & self.waiting.samples.keys():
            del self.waiting.samples[what]
        samples = set(self.waiting.samples)
        urgent, rows = self._lanes
        first = urgent.take(self.waiting, self._most - _AROUND)
        made = bytearray()
        put_number(made, len(first))
        made += first
        made += rows.take(self.waiting, self._most - len(made))
        self._told |= samples - self.waiting.samples.keys()
        return bytes(made) if len(made) > 1 else b""


class Opener:
    """Adds up what a Sender has sent: its parcels, in their order."""

    def __init__(self) -> None:
        self._begun = [b"", b""]

    def add(self, parcel: bytes, totals: Totals) -> None:
        """Raises ValueError when it is no parcel."""
        if not parcel:
            return
        try:
            size, at = get_number(parcel, 0)
        except IndexError:
            raise ValueError("cut off") from None
        for lane, data in enumerate((parcel[at : at + size], parcel[at + size :])):
            packets, self._begun[lane] = _packets(self._begun[lane] + data)
            for packet in packets:
                for part in decode_parts(_unpack(packet)):
                    part.add(totals)


class _Lane:
    """A stream of packets, each of them as many pieces as found room."""

    def __init__(self, items: _Items) -> None:
        self._items = items
        self._rest = b""

    def take(self, waiting: Totals, room: int) -> bytes:
        """What goes into a room of so many bytes."""
        made = b""
        while (left := room - len(made)) > 0:
            if not self._rest:
                if left < _LEAST and made:
                    break
                self._rest = self._packed(waiting, left)
                if not self._rest:
                    break
            made += self._rest[:left]
            self._rest = self._rest[left:]
        return made

    def _packed(self, waiting: Totals, room: int) -> bytes:
        """At least one part, and as many as fit there."""
        encoded: list[msgspec.Raw] = []
        drops: list[Callable[[], object]] = []
        size = 0
        for part, drop in self._items(waiting):
            encoded.append(msgspec.Raw(msgspec.msgpack.encode(part)))
            drops.append(drop)
            size += len(bytes(encoded[-1]))
            if size > _PACKS * room:
                break
        if not encoded:
            return b""
        count, data = _as_many_as_fit(encoded, room)
        for drop in drops[:count]:
            drop()
        return data


def _as_many_as_fit(encoded: list[msgspec.Raw], room: int) -> tuple[int, bytes]:
    """How many of the parts, at least one, and their packet."""
    fits, made = 1, b""
    low, high = 1, len(encoded)
    trial = high  # mostly everything fits
    while low <= high:
        packed = _framed(zlib.compress(msgspec.msgpack.encode(encoded[:trial]), 9))
        if len(packed) <= room or trial == 1:
            fits, made, low = trial, packed, trial + 1
        else:
            high = trial - 1
        trial = (low + high) // 2
    return fits, made


def _framed(packet: bytes) -> bytes:
    made = bytearray()
    put_number(made, len(packet))
    return bytes(made + packet)


def _packets(data: bytes) -> tuple[list[bytes], bytes]:
    """The packets that are whole, and the beginning of the next one."""
    found: list[bytes] = []
    while data:
        try:
            size, at = get_number(data, 0)
        except IndexError:
            break  # not even its length is there
        if len(data) < at + size:
            break
        found.append(data[at : at + size])
        data = data[at + size :]
    return found, data


def _unpack(packet: bytes) -> bytes:
    try:
        return zlib.decompress(packet)
    except zlib.error as exc:
        raise ValueError(str(exc)) from None
