"""What people look for in lines: a regular expression that can't hold up who looks."""

import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from typing import Any, Final

from chapiteau.core.errors import UsageError

__all__ = ["compile_grep", "prefilter"]

_LONGEST: Final = 1_000  # characters
_MANY: Final = 8  # repeats from which on one inside another can take for ever
_REPEATS: Final = (sre.MAX_REPEAT, sre.MIN_REPEAT)


def compile_grep(text: str) -> re.Pattern[str]:
    """The pattern. Raises UsageError for what is none, and for what could take for ever.

    `(a+)+b` tries every way to divide a line of a's, and Python can't be interrupted over it: a
    reader of logs would stop the supervisor. So a repeat inside a repeat, and a choice inside a
    repeat, are refused.
    """
    if len(text) > _LONGEST:
        raise UsageError(f"grep: longer than {_LONGEST} characters")
    try:
        found = re.compile(text)
        tree = parser.parse(text)
    except (re.error, RecursionError, OverflowError) as exc:
        raise UsageError(f"grep: {text!r} is not a regular expression: {exc}") from None
    if _endless(tree, inside=False):
        raise UsageError(
            f"grep: {text!r} could take for ever on some lines",
            hint="no repeat or choice inside a repeat: [ab]+ for (a|b)+, a+ for (a+)+",
        )
    return found


def _endless(tree: Any, *, inside: bool) -> bool:
    """Whether something that can match in many ways stands in what is repeated."""
    for kind, value in tree:
        if kind in _REPEATS:
            many = value[1] >= _MANY
            if (inside and many) or _endless(value[2], inside=inside or many):
                return True
        elif kind is sre.BRANCH:
            if inside or any(_endless(one, inside=inside) for one in value[1]):
                return True
        elif any(_endless(part, inside=inside) for part in _parts(value)):
            return True
    return False


def _parts(value: Any) -> list[Any]:
    """Patterns that stand inside an element: groups, looks ahead and behind, conditions."""
    if isinstance(value, parser.SubPattern):
        return [value]
    if isinstance(value, tuple):
        return [part for one in value for part in _parts(one)]
    return []


# Whether a piece of many lines can hold one that fits, in one look instead of thousands.

# What may fit in a line by itself and not where it stands among others: looks ahead and behind,
# ends of the whole text, possessive repeats, flags of its own.
_ALONE: Final = re.compile(r"\\[AZ]|\(\?(?![:P])|[*+?}]\+")


def prefilter(pattern: re.Pattern[str]) -> re.Pattern[str] | None:
    r"""A pattern that is found in every text with a line in which `pattern` is found.

    It may be found in others too. None when there is no such pattern. Lines end with "\n" alone.
    """
    if _ALONE.search(pattern.pattern.removeprefix("(?i)")):  # which is as good for many lines
        return None
    return re.compile(pattern.pattern, pattern.flags | re.MULTILINE)
