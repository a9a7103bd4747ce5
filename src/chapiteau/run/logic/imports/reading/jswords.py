"""The words of JavaScript, and its numbers and strings as they are written."""

import re
from dataclasses import dataclass
from typing import Final

from chapiteau.run.logic.imports.reading.source import Source, unreadable

__all__ = ["Token", "number", "tokens_of", "unescape"]

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<template>`(?:[^`\\]|\\.)*`)
      | (?P<number>-?(?:0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+
                   |(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))
      | (?P<name>[A-Za-z_$][\w$]*)
      | (?P<mark>\.\.\.|=>|\?\?|\|\||&&|===|!==|[^\s])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(
    r"\\(u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|\r?\n|.)", re.DOTALL
)
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_LONGEST_NUMBER: Final = 400  # digits: far beyond what any setting means


@dataclass(frozen=True, slots=True)
class Token:
    """A word, where it stands, and of what kind it is."""

    kind: str
    text: str
    line: int
    start: int
    end: int


def tokens_of(source: Source) -> list[Token]:
    """Without spaces and comments; the last one is of kind "end". Raises UsageError."""
    found: list[Token] = []
    line, at = 1, 0
    text = source.text
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:  # pragma: no cover — the last branch takes any character
            break
        kind = str(match.lastgroup)
        if kind == "mark" and match[0] in "\"'`":
            raise unreadable(source.where(line), "a string that is not closed")
        if kind != "space":
            found.append(Token(kind, match[0], line, at, match.end()))
        line += match[0].count("\n")
        at = match.end()
    found.append(Token("end", "", line, len(text), len(text)))
    return found


def number(text: str) -> int | float:
    """0x1F, 1_000, .5, 1e3."""
    digits = text.replace("_", "").lower()
    if len(digits) > _LONGEST_NUMBER:
        return float("inf")
    if "x" in digits or "0o" in digits or "0b" in digits:
        return int(digits, 0)
    return float(digits) if "." in digits or "e" in digits else int(digits)


def unescape(text: str) -> str:
    """What stands between the quotes, as it is meant."""

    def one(match: re.Match[str]) -> str:
        what = match[1]
        if what[0] in "ux" and len(what) > 1:
            point = int(what[1:].strip("{}"), 16)
            return chr(point) if point < 0x110000 else "\ufffd"
        return "" if what in ("\n", "\r\n") else _PLAIN.get(what, what)

    # Two \uXXXX may be the halves of one character; a lone half is none at all.
    return _ESCAPE.sub(one, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
