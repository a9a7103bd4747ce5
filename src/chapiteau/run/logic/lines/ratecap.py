"""The rate cap of a stream: whole lines until its allowance is used up, then none for a while."""

from typing import Final

__all__ = ["RateCap"]

_AGAIN: Final = 0.25  # seconds' worth that must have gathered before lines are kept again


class RateCap:
    """`rate` bytes per second may be kept, a second's worth at once. Times are of one clock.

    Once something was dropped, nothing is kept until a quarter of a second's worth may be: a log
    with few long gaps can be read, one with a gap after every line can't.
    """

    def __init__(self, rate: int, now: float) -> None:
        self.rate = rate
        self._left, self._at = float(rate), now
        self._over = False
        self._torn = False  # the last byte that was dropped was amid a line

    def fits(self, size: int, now: float) -> bool:
        """Whether so many bytes may be kept as they are; they are counted then."""
        self._left = min(float(self.rate), self._left + max(0.0, now - self._at) * self.rate)
        self._at = now
        if self._over or size > self._left:
            return False
        self._left -= size
        return True

    def choose(self, data: bytes) -> slice:
        """What of these bytes is kept: whole lines, as many as may be (after `fits` said no)."""
        begin = data.find(b"\n") + 1 if self._torn else 0
        if (self._torn and not begin) or (self._over and self._left < self.rate * _AGAIN):
            self._torn = not data.endswith(b"\n")
            return slice(0, 0)
        end, room = len(data), int(self._left)
        if end - begin > room:
            end = max(begin, data.rfind(b"\n", begin, begin + room) + 1)
        self._left -= end - begin
        self._over = end < len(data) or end == begin  # until something is kept, and the gap told
        self._torn = self._over and not data.endswith(b"\n")
        return slice(begin, end)
