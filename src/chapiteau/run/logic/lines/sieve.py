"""Whether a piece of many lines can hold one that fits, in one look instead of thousands."""

import re
from typing import Final

__all__ = ["sieve"]

# What may fit in a line by itself and not where it stands among others: looks ahead and behind,
# ends of the whole text, possessive repeats, flags of its own.
_ALONE: Final = re.compile(r"\\[AZ]|\(\?(?![:P])|[*+?}]\+")


def sieve(pattern: re.Pattern[str]) -> re.Pattern[str] | None:
    r"""A pattern that is found in every text with a line in which `pattern` is found.

    It may be found in others too. None when there is no such pattern. Lines end with "\n" alone.
    """
    if _ALONE.search(pattern.pattern.removeprefix("(?i)")):  # which is as good for many lines
        return None
    return re.compile(pattern.pattern, pattern.flags | re.MULTILINE)
