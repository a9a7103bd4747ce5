"""Path patterns as Pyramid writes them, and a table that finds one without trying all.

Laws: the answer is always the route that was declared first among those that match, exactly as
Pyramid's own linear search would say; only the way there is shorter.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

__all__ = ["RouteTable", "bad_segment", "is_more_specific", "openapi_path", "path_parameters"]

_PLACE: Final = re.compile(r"\{([A-Za-z_]\w*)(?::((?:[^{}]|\{[^{}]*\})*))?\}")
_STAR: Final = re.compile(r"\*(\w+)$")

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Match = Callable[[str], dict[str, object] | None]


def path_parameters(pattern: str) -> tuple[str, ...]:
    """The parameters of a pattern in their order: `/cities/{id}` gives `("id",)`."""
    names = [m[1] for m in _PLACE.finditer(pattern)]
    if star := _STAR.search(pattern):
        names.append(star[1])
    return tuple(names)


def openapi_path(pattern: str) -> str:
    """The pattern as OpenAPI writes it: no regular expressions, a leading slash."""
    plain = _STAR.sub(lambda m: "{" + m[1] + "}", _PLACE.sub(lambda m: "{" + m[1] + "}", pattern))
    return plain if plain.startswith("/") else "/" + plain


def bad_segment(captured: list[str]) -> str | None:
    """What is wrong with the texts of a path's parameters: words for a 400, or None.

    Control characters and the segments `.` and `..` mean something else to the next program that
    reads them (a file system, a log, a header); no client sends them by accident.
    """
    for text in captured:
        if not text.isprintable() and _CONTROL.search(text):
            return "the path holds a control character"
        if text[:1] == "." and text in (".", ".."):
            return "the path holds . or .. as a segment"
        if "/" in text and not {".", ".."}.isdisjoint(text.split("/")):
            return "the path holds . or .. as a segment"
    return None


@dataclass(slots=True)
class _Node:
    words: "dict[str, _Node]" = field(default_factory=dict)
    any: "_Node | None" = None
    route: int | None = None


class RouteTable:
    """Patterns numbered in the order of their declaration."""

    def __init__(self) -> None:
        self._static: dict[str, int] = {}
        self._root = _Node()
        self._odd: list[tuple[int, Match, tuple[str, ...]]] = []
        self._settled: dict[str, tuple[int, list[str]]] = {}

    def add(self, number: int, pattern: str, match: Match) -> None:
        """Add a route; `match` is asked for patterns too odd for the table."""
        self._settled.clear()
        if not pattern.startswith("/"):
            pattern = "/" + pattern
        if "{" not in pattern and "*" not in pattern and ":" not in pattern:
            self._static.setdefault(pattern, number)
            return
        words = pattern[1:].split("/")
        if "*" in pattern or not all(_simple(word) for word in words):
            self._odd.append((number, match, path_parameters(pattern)))
            return
        node = self._root
        for word in words:
            if word.startswith("{"):
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.words.setdefault(word, _Node())
        if node.route is None:
            node.route = number

    def find(self, path: str) -> tuple[int, list[str]] | None:
        """The first declared route that matches, and the text of its simple parameters."""
        known = self._settled.get(path)
        if known is not None:
            return known
        best = self._static.get(path)
        found = self._search(path, best)
        if best is not None and found is not None:
            self._settled[path] = found  # a fixed path always gets the same answer
        return found

    def _search(self, path: str, best: int | None) -> tuple[int, list[str]] | None:
        captured: list[str] = []
        if self._root.any is not None or self._root.words:
            found = self._walk(self._root, path[1:].split("/"), 0)
            if found is not None and (best is None or found[0] < best):
                best, captured = found
        for number, match, names in self._odd:
            if best is not None and number > best:
                break
            if (matched := match(path)) is not None:
                return number, [str(matched[name]) for name in names]
        return None if best is None else (best, captured)

    def _walk(self, node: _Node, words: list[str], depth: int) -> tuple[int, list[str]] | None:
        """Down the tree; where a word could be taken both ways, try both."""
        captured: list[str] = []
        for at in range(depth, len(words)):
            word = words[at]
            literal = node.words.get(word)
            if literal is None:
                if node.any is None or not word:
                    return None
                captured.append(word)
                node = node.any
            elif node.any is None:
                node = literal
            else:
                return self._both(node, words, at, captured)
        return None if node.route is None else (node.route, captured)

    def _both(
        self, node: _Node, words: list[str], at: int, captured: list[str]
    ) -> tuple[int, list[str]] | None:
        left = self._walk(node.words[words[at]], words, at + 1)
        right = self._walk(node.any or _Node(), words, at + 1)
        if right is not None and (left is None or right[0] < left[0]):
            return right[0], [*captured, words[at], *right[1]]
        return None if left is None else (left[0], captured + left[1])


def _simple(word: str) -> bool:
    """A plain word, or one whole `{name}` without a regular expression."""
    if "{" not in word and "}" not in word and ":" not in word:
        return True
    match = _PLACE.fullmatch(word)
    return match is not None and match[2] is None


# Which of two path patterns must be asked first.


def is_more_specific(pattern: str, other: str) -> bool:
    """Whether `pattern` is the more special of two that could match the same path.

    `/cities/nearest` goes before `/cities/{id}`, wherever in a module either is declared.
    """
    if "*" in pattern or "*" in other:
        return "*" not in pattern and openapi_path(pattern).startswith(other.partition("*")[0])
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
    return tuple(None if path_parameters(word) else word for word in _segments(pattern))


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
