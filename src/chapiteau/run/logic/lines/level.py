"""The level of a line of output, where one can be seen in it."""

import re
from typing import Final

__all__ = ["LEVELS", "at_least", "is_level", "level_of"]

LEVELS: Final = ("trace", "debug", "info", "notice", "warning", "error", "critical")
_RANK: Final = {
    "trace": 0, "debug": 10, "info": 20, "notice": 25, "warning": 30, "warn": 30,
    "error": 40, "err": 40, "critical": 50, "fatal": 50, "panic": 50, "emerg": 50,
}  # fmt: skip
_WORD: Final = re.compile(
    r"\b(trace|debug|info|notice|warn(?:ing)?|err(?:or)?|critical|fatal|panic|emerg)\b",
    re.IGNORECASE,
)


def level_of(text: str) -> str:
    """The first level word in the first 200 characters, lower case; "" when there is none."""
    match = _WORD.search(text[:200])
    return match[1].lower() if match else ""


def at_least(text: str, level: str) -> bool:
    """Whether the line's level is this or graver; lines without a level count as info."""
    return _RANK.get(level_of(text), 20) >= _RANK.get(level.lower(), 0)


def is_level(word: str) -> bool:
    """Whether the word names a level."""
    return word.lower() in _RANK
