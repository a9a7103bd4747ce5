"""`$ref` inside one document: JSON pointers (RFC 6901), loops and what is missing."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from chapiteau.core.problems import Problem
from chapiteau.load.inputs.url_encoding import unquote

__all__ = ["MISSING_FILE", "References", "json_pointer"]

MISSING_FILE: Final = "x-chapiteau-lost"  # stands for a file that could not be had

_MOST_HOPS: Final = 64


def json_pointer(*parts: str | int) -> str:
    """A JSON pointer as it stands in a `$ref`: `#/paths/~1cities/get`."""
    return "#" + "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in parts)


class References:
    """One document whose parts refer to each other; problems gather in `problems`."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._root = document
        # `nullable` is a word of OpenAPI 3.0; from 3.1 on `type` says it, and nobody else hears it.
        self.nullable = str(document.get("openapi", "3.0")).startswith("3.0")
        self._anchors: dict[str, tuple[Any, str]] | None = None
        self.problems: list[Problem] = []

    def problem(self, where: str, what: str, hint: str = "") -> None:
        """Note a problem once, however often it is met; none when `where` is empty."""
        found = Problem(where, what, hint)
        if where and found not in self.problems:
            self.problems.append(found)

    def follow(self, node: Any, where: str) -> tuple[Any, str]:
        """What `node` stands for and its pointer: itself, or where its chain of `$ref` ends.

        A reference that leads nowhere is noted as a problem, and stands for an empty table.
        """
        for _ in range(_MOST_HOPS):
            target = node.get("$ref") if isinstance(node, Mapping) else None
            if not isinstance(target, str):
                return node, where
            node, where = self.target(target, where)
        self.problem(where, "refers to itself")
        return {}, where

    def target(self, target: str, where: str) -> tuple[Any, str]:
        """The node that the text of a `$ref` standing at `where` names, and its pointer."""
        if not target.startswith("#"):
            self.problem(
                where and f"{where}/$ref",
                f"refers to another document ({target})",
                "bundle the documents into one first",
            )
            return {}, where
        if target != "#" and not target.startswith("#/"):
            return self._anchor(target[1:], where)
        node: Any = self._root
        for part in _unescape(target[2:].split("/")) if len(target) > 1 else ():
            if isinstance(node, Mapping) and part in node:
                node = node[part]
            elif isinstance(node, list) and _is_place(part) and int(part) < len(node):
                node = node[int(part)]
            elif isinstance(node, Mapping) and MISSING_FILE in node:
                return {}, where  # the file that is not there was told of already
            else:
                self.problem(where and f"{where}/$ref", f"{target} does not exist")
                return {}, where
        return node, target

    def _anchor(self, name: str, where: str) -> tuple[Any, str]:
        if self._anchors is None:
            self._anchors = dict(_anchors_in(self._root))
        if name in self._anchors:
            return self._anchors[name]
        self.problem(where and f"{where}/$ref", f"no schema has the anchor {name!r}")
        return {}, where


def _anchors_in(root: Any) -> Iterable[tuple[str, tuple[Any, str]]]:
    pending: list[tuple[Any, str, int]] = [(root, "#", 0)]
    while pending:
        node, where, depth = pending.pop()
        if depth > _MOST_HOPS:
            continue
        if isinstance(node, Mapping):
            for key in ("$anchor", "$dynamicAnchor"):
                if isinstance(node.get(key), str):
                    yield node[key], (node, where)
            pending += [(v, where + json_pointer(k)[1:], depth + 1) for k, v in node.items()]
        elif isinstance(node, list):
            pending += [(v, f"{where}/{i}", depth + 1) for i, v in enumerate(node)]


def _is_place(part: str) -> bool:
    """Whether this is the number of a list's item (RFC 6901 §4)."""
    return part.isascii() and part.isdigit() and len(part) < 9 and (part == "0" or part[0] != "0")


def _unescape(parts: list[str]) -> list[str]:
    return [unquote(p).replace("~1", "/").replace("~0", "~") for p in parts]
