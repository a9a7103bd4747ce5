"""A machine's counts in parcels of a bounded size: one a second, and the rest at the end.

What does not fit into a second's parcel waits and adds up: the sums and seconds of all requests
go first, then the names of which most waits. Nothing is lost, and what waits does not grow with
the length of the test but with the number of names.
"""

import zlib
from collections.abc import Iterable
from typing import Final

from chapiteau.load.logic.cluster.items import Item, add_item, items_of
from chapiteau.load.logic.cluster.wire import Reader, Texts, Writer
from chapiteau.load.logic.totals import Totals

__all__ = ["Opener", "Sender"]

_PACKS: Final = 6  # zlib makes hardly ever more than this out of one byte


class Sender:
    """Puts into parcels of at most `most` bytes what is added to `waiting`."""

    def __init__(self, most: int) -> None:
        self.waiting = Totals()
        self._most = most
        self._texts = Texts()
        self._rest = b""  # of a single piece that is larger than a parcel
        self._told: set[str] = set()  # failures of which a sample has gone: one is enough

    def begin(self, watched: Iterable[str]) -> None:
        """A step: what waits is of this one alone."""
        self.waiting = Totals(watched)
        self._rest = b""
        self._told.clear()

    def parcel(self) -> tuple[bytes, bool]:
        """The most urgent of what waits, and whether the next parcel goes on with the same piece.

        Empty when nothing waits.
        """
        data = self._rest or self._packed()
        self._rest = data[self._most :]
        return data[: self._most], bool(self._rest)

    def _packed(self) -> bytes:
        for what in self._told & self.waiting.samples.keys():
            del self.waiting.samples[what]
        samples = set(self.waiting.samples)
        writer = Writer(self._texts)
        items: list[Item] = []
        places: list[tuple[int, int]] = []
        for item in items_of(self.waiting):
            item.write(writer)
            items.append(item)
            places.append(writer.place)
            if places[-1][0] > _PACKS * self._most:
                break
        if not items:
            return b""
        count, data = self._as_many_as_fit(bytes(writer.data), places)
        writer.sent(places[count - 1])
        for item in items[:count]:
            item.drop()
        self._told |= samples - self.waiting.samples.keys()
        return data

    def _as_many_as_fit(self, data: bytes, places: list[tuple[int, int]]) -> tuple[int, bytes]:
        """How many pieces, at least one, and the parcel."""
        fits, made = 1, b""
        low, high = 1, len(places)
        trial = high  # mostly everything fits
        while low <= high:
            packed = zlib.compress(data[: places[trial - 1][0]])
            if len(packed) <= self._most or trial == 1:
                fits, made, low = trial, packed, trial + 1
            else:
                high = trial - 1
            trial = (low + high) // 2
        return fits, made


class Opener:
    """Adds up what a Sender has sent: its parcels, in their order."""

    def __init__(self) -> None:
        self._texts = Texts()
        self._begun: list[bytes] = []

    def add(self, parcel: bytes, totals: Totals, *, more: bool = False) -> None:
        """Raises ValueError when it is no parcel."""
        self._begun.append(parcel)
        if more:
            return
        data, self._begun = b"".join(self._begun), []
        if not data:
            return
        try:
            reader = Reader(zlib.decompress(data), self._texts)
        except zlib.error as exc:
            raise ValueError(str(exc)) from None
        while not reader.at_end:
            add_item(reader, totals)
