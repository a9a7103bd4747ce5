"""Which of two path patterns must be asked first."""

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
        left_open, right_open = bool(names_in(left)), bool(names_in(right))
        if not left_open and not right_open and left != right:
            return False
        if special is None and left_open != right_open:
            special = right_open
    return bool(special)


def _words(pattern: str) -> list[str]:
    """The segments; a slash inside a regular expression does not end one."""
    words, depth, word = [], 0, ""
    for char in pattern.strip("/"):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "/" and not depth:
            words.append(word)
            word = ""
        else:
            word += char
    return [*words, word]
