"""The level of a line of output, where one can be seen in it."""

import re
from typing import Final

__all__ = ["LEVELS", "at_least", "detect_level", "is_level"]

LEVELS: Final = ("trace", "debug", "info", "notice", "warning", "error", "critical")
_RANK: Final = {
    "trace": 0, "debug": 10, "info": 20, "notice": 25, "warning": 30, "warn": 30,
    "error": 40, "err": 40, "critical": 50, "fatal": 50, "panic": 50, "emerg": 50,
}  # fmt: skip
_WORD: Final = re.compile(
    r"\b(trace|debug|info|notice|warn(?:ing)?|err(?:or)?|critical|fatal|panic|emerg)\b",
    re.IGNORECASE,
)

_PARTS: Final = (
    "info", "err", "warn", "debug", "trace", "notice", "critical", "fatal", "panic", "emerg",
)  # fmt: skip


def detect_level(text: str) -> str:
    """The first level word in the first 200 characters, lower case; "" when there is none."""
    head = text[:200].lower()
    for part in _PARTS:  # a tenth of the expression's price, and most lines have none of them
        if part in head:
            match = _WORD.search(head)
            return match[1] if match else ""
    return ""


def at_least(text: str, level: str) -> bool:
    """Whether the line's level is this or graver; lines without a level count as info."""
    return _RANK.get(detect_level(text), 20) >= _RANK.get(level.lower(), 0)


def is_level(word: str) -> bool:
    """Whether the word names a level."""
    return word.lower() in _RANK
