"""Command lines as reports may show them: without tokens, passwords and keys."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["masked"]

_HIDDEN: Final = "•••"
_SECRET: Final = frozenset({"--bearer", "--basic", "--api-keys", "--export-headers", "--notify"})
# Of these, only values whose name says that they are secret.
_PAIRS: Final = frozenset({"--headers", "--variables", "--options"})
_NAME: Final = re.compile(
    r"auth|token|secret|passw|api.?key|cookie|session|credential", re.IGNORECASE
)
_IN_URL: Final = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")


def masked(words: Iterable[str]) -> Iterator[str]:
    """The words of a command line, secrets replaced; passwords within URLs, too."""
    before = ""
    for word in words:
        option, mark, value = word.partition("=")
        if mark and option in _SECRET | _PAIRS:
            yield f"{option}={_shown(option, value)}"
        elif before in _SECRET | _PAIRS:
            yield _shown(before, word)
        else:
            yield _IN_URL.sub(f"{_HIDDEN}@", word)
        before = word


def _shown(option: str, value: str) -> str:
    name, mark, _ = value.partition("=")
    if option not in _PAIRS:
        return f"{name}={_HIDDEN}" if option == "--api-keys" and mark else _HIDDEN
    return f"{name}={_HIDDEN}" if mark and _NAME.search(name) else value
