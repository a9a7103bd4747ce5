"""The values of JavaScript that configuration files are made of: literals, and no execution.

Strings, numbers, objects, lists, constants, string templates, `+`, `||`, `??`, `process.env.NAME`
and `__dirname`. What would have to be run comes back as a `Dynamic`, so that one computed value
does not spoil the rest of the file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.migrate.pm2.js_tokens import Cursor, Token, number, unescape
from chapiteau.migrate.source import KeyPath, Source, unreadable

__all__ = ["Conditional", "Dynamic", "EnvDefault", "Values"]

_WORDS: Final = {"true": True, "false": False, "null": None, "undefined": None, "NaN": float("nan")}
_HOLE: Final = re.compile(r"\$\{([^{}]*)\}")
_ENV_HOLE: Final = re.compile(
    r"""process\.env\.([A-Za-z_]\w*)(?:\s*(?:\|\||\?\?)\s*('[^'${}]*'|"[^"${}]*"|\d+))?"""
)
_META: Final = ("import", ".", "meta", ".")
_FILE: Final = ("(", "fileURLToPath", "(", *_META, "url", ")", ")")
_OWN_FOLDER: Final = (
    ("path", ".", "dirname", *_FILE),
    ("dirname", *_FILE),
    (*_META, "dirname"),
)
_DEPTH: Final = 200  # deeper nesting is no configuration, and would exhaust Python's stack


@dataclass(frozen=True, slots=True)
class Dynamic:
    """An expression that only a running JavaScript could work out."""

    code: str


@dataclass(frozen=True, slots=True)
class EnvDefault:
    """`process.env.NAME || "default"`: an environment variable with a value for its absence."""

    name: str
    default: Any


@dataclass(frozen=True, slots=True)
class Conditional:
    """A member of a list that JavaScript takes or leaves: `condition && {…}`, `.filter(…)`."""

    value: Any
    code: str  # by what


class _NotStatic(Exception):  # noqa: N818 — never leaves this module
    """This expression can't be read without running it."""


class Values(Cursor):
    """Reads expressions; `at` is the place among the tokens, `lines` where each value stands."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.names: dict[str, Any] = {"__dirname": source.folder or "."}
        self.lines: dict[KeyPath, int] = {}
        self.repeated: list[tuple[int, KeyPath]] = []

    def expression(self, path: KeyPath, depth: int = 0) -> Any:
        """A value, or a Dynamic that covers the tokens up to the end of the expression."""
        first = self.peek()
        self.lines[path] = first.line
        start = self.at
        if depth > _DEPTH:
            raise unreadable(self.source.where(first.line), "is nested too deeply")
        try:
            value = self.operand(path, depth)
            while self.peek().text == ".":
                value = self.method(value)
            while self.peek().text in ("+", "||", "??"):
                value = self.combined(value, path, depth)
            if not self.at_end(path):
                raise _NotStatic
        except _NotStatic:
            self.at = start
            self.skip_one()
            while not self.at_end(path):
                self.skip_one()
            last = self.tokens[max(self.at - 1, start)]
            return Dynamic(self.source.text[first.start : last.end])
        return value

    def method(self, value: Any) -> list[Any]:
        """`.filter(…)` of a list: every member is there, and says by what it might be left out."""
        if not isinstance(value, list) or self.peek(1).text != "filter":
            raise _NotStatic
        start = self.take().start
        self.take()
        if self.peek().text != "(":
            raise _NotStatic
        plain = [token.text for token in self.tokens[self.at : self.at + 3]] == [
            "(",
            "Boolean",
            ")",
        ]
        self.skip_one()
        if plain:
            return [one for one in value if one not in (None, False, "", 0)]
        code = self.source.text[start : self.peek(-1).end]
        return [Conditional(one, code) for one in value]

    def member(self, path: KeyPath, depth: int) -> Any:
        """One of a list; of `condition && {…}` the object."""
        start, first = self.at, self.peek()
        while not self.at_end(path):
            if self.peek().text == "&&" and self.peek(1).text == "{":
                code = self.source.text[first.start : self.take().end]
                return Conditional(self.expression(path, depth + 1), code)
            self.skip_one()
        self.at = start
        return self.expression(path, depth + 1)

    def combined(self, left: Any, path: KeyPath, depth: int) -> Any:
        operator = self.take().text
        right = self.operand(path, depth)
        if operator == "+":
            if isinstance(left, int | float) and isinstance(right, int | float):
                return left + right
            return f"{_as_text(left)}{_as_text(right)}"
        if isinstance(left, EnvDefault):
            return EnvDefault(left.name, right)
        if isinstance(left, Dynamic):
            raise _NotStatic
        return left or right if operator == "||" else (right if left is None else left)

    def operand(self, path: KeyPath, depth: int) -> Any:
        token = self.take()
        if token.text == "{":
            return self.object(path, token, depth)
        if token.text == "[":
            return self.array(path, token, depth)
        if token.text == "(":
            if self.peek().text == ")":
                raise _NotStatic  # () => …
            value = self.expression(path, depth + 1)
            if self.take().text != ")":
                raise _NotStatic  # (a, b) => …
            return value
        if token.kind == "string":
            return unescape(token.text[1:-1])
        if token.kind == "template":
            return self.template(token.text[1:-1])
        if token.kind == "number":
            return number(token.text)
        if token.kind == "name":
            return self.word(token.text)
        raise _NotStatic

    def word(self, name: str) -> Any:
        if name in _WORDS:
            return _WORDS[name]
        if name == "process" and self.peek().text == "." and self.peek(1).text == "env":
            self.at += 2
            if self.peek().text == "." and self.peek(1).kind == "name":
                self.at += 1
                return EnvDefault(self.take().text, "")
            raise _NotStatic
        if name in ("path", "dirname", "import") and self.own_folder(name):
            return self.source.folder or "."
        if name == "path" and self.peek().text == "." and self.peek(1).text in ("join", "resolve"):
            self.at += 2
            return self.joined()
        if name in ("parseInt", "Number", "String") and self.peek().text == "(":
            return self.converted()
        filtered = [self.peek().text, self.peek(1).text] == [".", "filter"]
        if name in self.names and (filtered or self.peek().text not in (".", "(", "[")):
            return self.names[name]
        raise _NotStatic

    def own_folder(self, name: str) -> bool:
        """`import.meta.dirname`, `path.dirname(fileURLToPath(import.meta.url))`: passed over."""
        for way in _OWN_FOLDER:
            words = [name, *(token.text for token in self.tokens[self.at : self.at + len(way) - 1])]
            if words == list(way):
                self.at += len(way) - 1
                return True
        return False

    def converted(self) -> Any:
        """parseInt(x, 10), Number(x): who reads the value converts it anyway."""
        self.take()
        value = self.expression((), 0)
        if self.peek().text == ",":
            self.at += 2
        if self.take().text != ")" or not isinstance(value, EnvDefault | str | int | float):
            raise _NotStatic
        return value

    def joined(self) -> str:
        """path.join("a", "b") and path.resolve(__dirname, "b") of plain texts."""
        if self.take().text != "(":
            raise _NotStatic
        parts: list[str] = []
        while self.peek().text != ")":
            part = self.operand((), 0)
            if not isinstance(part, str):
                raise _NotStatic
            parts.append(part)
            if self.peek().text == ",":
                self.at += 1
        self.at += 1
        joined = parts[0] if parts else "."
        for part in parts[1:]:
            joined = f"{joined.rstrip('/')}/{part.removeprefix('./').lstrip('/')}"
        return joined

    def template(self, text: str) -> str:
        pieces, last = [], 0
        for hole in _HOLE.finditer(text):
            pieces.append(unescape(text[last : hole.start()]))
            pieces.append(self.hole(hole[1].strip()))
            last = hole.end()
        return "".join(pieces) + unescape(text[last:])

    def hole(self, code: str) -> str:
        if match := _ENV_HOLE.fullmatch(code):
            default = match[2] and match[2].strip("'\"")
            return f"${{env.{match[1]}:-{default}}}" if default else f"${{env.{match[1]}}}"
        inner = Values(Source(name=self.source.name, folder=self.source.folder, text=code))
        inner.names = self.names
        value = inner.expression(())
        if inner.peek().kind != "end" or isinstance(value, bool):
            raise _NotStatic
        return _as_text(value)

    def object(self, path: KeyPath, opener: Token, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        own: set[str] = set()
        while self.peek().text != "}":
            if self.peek().text == "...":
                self.at += 1
                spread = self.expression((*path, "..."), depth + 1)
                if not isinstance(spread, Mapping):
                    made[f"...{len(made)}"] = spread
                else:
                    made.update(spread)
            else:
                key = self.key(opener)
                if key in own:
                    self.repeated.append((self.lines[(*path, key)], (*path, key)))
                own.add(key)
                made[key] = self.entry(key, path, depth)
            self.separator("}", opener)
        self.at += 1
        return made

    def key(self, opener: Token) -> str:
        token = self.take()
        if token.kind == "string":
            return unescape(token.text[1:-1])
        if token.kind in ("name", "number"):
            return token.text
        raise unreadable(
            self.source.where(token.line),
            f"a key was expected, not {token.text or 'the end of the file'!r}",
            f"the object begins in line {opener.line}",
        )

    def entry(self, key: str, path: KeyPath, depth: int) -> Any:
        here = (*path, key)
        if self.peek().text == ":":
            self.at += 1
            return self.expression(here, depth + 1)
        self.lines[here] = self.peek(-1).line
        if self.peek().text in (",", "}") and key in self.names:
            return self.names[key]  # shorthand: { env } is { env: env }
        start = self.peek(-1).start
        while self.peek().text not in (",", "}") and self.peek().kind != "end":
            self.skip_one()
        return Dynamic(self.source.text[start : self.peek(-1).end])

    def array(self, path: KeyPath, opener: Token, depth: int) -> list[Any]:
        made: list[Any] = []
        while self.peek().text != "]":
            if self.peek().text == "...":
                self.at += 1
                spread = self.expression((*path, len(made)), depth + 1)
                made.extend(spread if isinstance(spread, list) else [spread])
            else:
                made.append(self.member((*path, len(made)), depth))
            self.separator("]", opener)
        self.at += 1
        return made


def _as_text(value: Any) -> str:
    if isinstance(value, EnvDefault):
        if isinstance(value.default, str | int | float) and str(value.default):
            return f"${{env.{value.name}:-{value.default}}}"
        return f"${{env.{value.name}}}"
    if isinstance(value, str | int | float):
        return str(value)
    raise _NotStatic
