"""The words of JavaScript, and its numbers and strings as they are written."""

import re
from dataclasses import dataclass
from typing import Final

from chapiteau.migrate.source import KeyPath, Source, unreadable

__all__ = ["Cursor", "Token", "number", "tokens_of", "unescape"]

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
_CLOSER: Final = {"{": "}", "[": "]", "(": ")"}
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


class Cursor:
    """A place among the words of a source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens = tokens_of(source)
        self.at = 0

    def at_end(self, path: KeyPath) -> bool:
        token = self.peek()
        if token.kind == "end" or token.text in (",", "}", "]", ")", ";"):
            return True
        # A new line ends a statement where no operator goes on (JavaScript's own rule, roughly).
        before = self.peek(-1)
        return not path and token.line > before.line and token.kind == "name"

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[max(0, min(self.at + ahead, len(self.tokens) - 1))]

    def take(self) -> Token:
        token = self.peek()
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def separator(self, closer: str, opener: Token) -> None:
        if self.peek().text == ",":
            self.at += 1
        elif self.peek().text != closer:
            self.expect(closer, opener)

    def expect(self, closer: str, opener: Token) -> None:
        token = self.take()
        if token.text != closer:
            raise unreadable(
                self.source.where(token.line),
                f"{closer!r} or a comma was expected, not {token.text or 'the end of the file'!r}",
                f"it would close the {opener.text!r} of line {opener.line}",
            )

    def skip_one(self) -> None:
        """Over one token, or over a whole pair of brackets."""
        waiting: list[str] = []
        while True:
            token = self.take()
            if token.text in _CLOSER:
                waiting.append(_CLOSER[token.text])
            elif waiting and token.text == waiting[-1]:
                waiting.pop()
            if not waiting or token.kind == "end":
                return
