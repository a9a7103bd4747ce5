"""Numbers, texts and histograms as few bytes: what a machine's counts are written with.

A text that has gone over the line once is a number from then on. Writer and reader keep the same
list of texts, so parcels must arrive whole and in their order.
"""

import struct
from typing import Final

from chapiteau.core.histogram import Histogram, get_number, put_number

__all__ = ["Reader", "Texts", "Writer"]

_REAL: Final = struct.Struct("<d")


class Texts:
    """Those that the other side has."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.listed: list[str] = []

    def learn(self, text: str) -> None:
        """The next one."""
        self.known[text] = len(self.listed)
        self.listed.append(text)


class Writer:
    """Writes one thing after the other; nothing counts as sent before `sent`."""

    def __init__(self, texts: Texts) -> None:
        self.data = bytearray()
        self._texts = texts
        self._new: dict[str, int] = {}

    @property
    def place(self) -> tuple[int, int]:
        """How far it has come: bytes, and texts that are new."""
        return len(self.data), len(self._new)

    def sent(self, place: tuple[int, int]) -> None:
        """What was written up to there has gone over the line; the rest has not."""
        for text in list(self._new)[: place[1]]:
            self._texts.learn(text)

    def number(self, value: int) -> None:
        """An integer of any sign."""
        put_number(self.data, value << 1 if value >= 0 else (-value << 1) - 1)

    def real(self, value: float) -> None:
        """A float, exactly."""
        self.data += _REAL.pack(value)

    def text(self, text: str) -> None:
        """One that may come again."""
        place = self._texts.known.get(text, self._new.get(text))
        if place is None:
            self._new[text] = len(self._texts.listed) + len(self._new)
            put_number(self.data, 0)
            self.once(text)
        else:
            put_number(self.data, place + 1)

    def once(self, text: str) -> None:
        """One that does not come again."""
        data = text.encode("utf-8", "surrogatepass")
        put_number(self.data, len(data))
        self.data += data

    def counts(self, counts: dict[str, int]) -> None:
        """How often each text."""
        put_number(self.data, len(counts))
        for text, count in counts.items():
            self.text(text)
            self.number(count)

    def histogram(self, histogram: Histogram) -> None:
        """All of it."""
        self.data += histogram.packed()


class Reader:
    """Reads what a Writer wrote, in the same order. Raises ValueError at what it did not write."""

    def __init__(self, data: bytes, texts: Texts) -> None:
        self._data = data
        self._texts = texts
        self._at = 0

    @property
    def at_end(self) -> bool:
        """Whether everything is read."""
        return self._at >= len(self._data)

    def number(self) -> int:
        """An integer."""
        value = self._plain()
        return -((value + 1) >> 1) if value & 1 else value >> 1

    def real(self) -> float:
        """A float."""
        (value,) = _REAL.unpack(self._bytes(_REAL.size))
        return float(value)

    def text(self) -> str:
        """A text, new or known."""
        place = self._plain()
        if place > len(self._texts.listed):
            raise ValueError("a text that has not come")
        if place:
            return self._texts.listed[place - 1]
        text = self.once()
        self._texts.learn(text)
        return text

    def once(self) -> str:
        """A text that stands there in full."""
        return self._bytes(self._plain()).decode("utf-8", "surrogatepass")

    def counts(self) -> dict[str, int]:
        """How often each text."""
        return {self.text(): self.number() for _ in range(self._plain())}

    def histogram(self) -> Histogram:
        """A histogram."""
        try:
            made, self._at = Histogram.unpacked(self._data, self._at)
        except IndexError:
            raise ValueError("cut off") from None
        return made

    def _plain(self) -> int:
        try:
            value, self._at = get_number(self._data, self._at)
        except IndexError:
            raise ValueError("cut off") from None
        return value

    def _bytes(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        if len(data) < size:
            raise ValueError("cut off")
        self._at += size
        return data
