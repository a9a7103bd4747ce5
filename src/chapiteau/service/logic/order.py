"""Which of two path patterns must be asked first."""

import functools

from chapiteau.service.logic.path import names_in, template_of

__all__ = ["goes_before"]


def goes_before(pattern: str, other: str) -> bool:
    """Whether `pattern` is the more special of two that could match the same path.

    `/cities/nearest` goes before `/cities/{id}`, wherever in a module either is declared.
    """
    if "*" in pattern or "*" in other:
        return "*" not in pattern and template_of(pattern).startswith(other.partition("*")[0])
    mine, theirs = _words(pattern), _words(other)
    if len(mine) != len(theirs):
        return False
    special = None
    for left, right in zip(mine, theirs, strict=True):
        if left != right and left is not None and right is not None:
            return False
        if special is None and (left is None) != (right is None):
            special = right is None
    return bool(special)


@functools.lru_cache(maxsize=20_000)  # an application with n routes asks n² / 2 times
def _words(pattern: str) -> tuple[str | None, ...]:
    """The segments, None for one with a parameter in it."""
    return tuple(None if names_in(word) else word for word in _segments(pattern))


def _segments(pattern: str) -> list[str]:
    """A slash inside a regular expression does not end a segment."""
    words, depth, word = [], 0, ""
    for char in pattern.strip("/"):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "/" and not depth:
            words.append(word)
            word = ""
        else:
            word += char
    return [*words, word]
