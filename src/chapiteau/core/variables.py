"""`${name}` in settings: some names are known when the file is read, others only at spawn time.

`$${name}` is a literal `${name}`. What `resolve` leaves for later, `fill` finishes; text between
the two keeps its escapes only for names that `fill` would otherwise take.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

__all__ = ["Resolved", "resolve", "substitute", "variable_names"]

_VARIABLE: Final = re.compile(r"\$(\$?)\{([^{}]*)\}")
_LATER: Final = re.compile(
    r"socket\.[\w-]+\.(?:fd|port|address)|service\.name|process\.number|python"
)


class Resolved(str):
    """Text whose variables were filled in: a setting that is a number may be written so."""

    __slots__ = ()


def variable_names(text: str) -> list[str]:
    """Every variable that the text uses, in order; escaped ones are not used."""
    return [match[2] for match in _VARIABLE.finditer(text) if not match[1]]


def resolve(text: str, known: Callable[[str], str]) -> str:
    """Replace what `known` knows; it raises LookupError (with a message) for what it doesn't.

    Names that only a spawn knows (`${socket.web.fd}`, `${service.name}`, …) stay for `fill`.
    Raises LookupError.
    """

    def one(match: re.Match[str]) -> str:
        escaped, name = match[1], match[2]
        later = _LATER.fullmatch(name) is not None
        if escaped:
            return match[0] if later else match[0][1:]
        return match[0] if later else _guard(known(name))

    return _VARIABLE.sub(one, text)


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Put the spawn-time values in: names without a value stay as they are."""

    def one(match: re.Match[str]) -> str:
        if _LATER.fullmatch(match[2]) is None:
            return match[0]
        return match[0][1:] if match[1] else values.get(match[2], match[0])

    return _VARIABLE.sub(one, text)


def _guard(value: str) -> str:
    """A value from outside is never read as a variable again."""
    return _VARIABLE.sub(lambda m: "$" + m[0] if _LATER.fullmatch(m[2]) else m[0], value)
