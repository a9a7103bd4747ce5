"""Strings that match a regular expression, for the `pattern` of JSON Schemas (ECMA 262).

Understood: literals, classes, groups, alternatives, quantifiers, anchors, `\\d \\w \\s \\p{…}`,
numbered back references. Look-arounds are read and left out: whoever asks checks the result.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

__all__ = ["PatternError", "PatternGenerator", "compile_pattern"]

_DIGITS: Final = "0123456789"
_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_LETTERS: Final = _LOWER + _LOWER.upper()
_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F)))
_WORD: Final = _LETTERS + _DIGITS + "_"
_CLASSES: Final = {
    "d": _DIGITS,
    "w": _WORD,
    "s": " \t",
    "D": "".join(c for c in _PRINTABLE if c not in _DIGITS),
    "W": "".join(c for c in _PRINTABLE if c not in _WORD),
    "S": _PRINTABLE[1:],
}
_PROPERTIES: Final = {"Lu": _LOWER.upper(), "Ll": _LOWER, "N": _DIGITS, "Nd": _DIGITS}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_MOST: Final = 10_000  # characters in one value; a hostile pattern gets no further
_DEEPEST: Final = 60  # groups within groups; the parser is recursive


class PatternError(ValueError):
    """The pattern is not one that can be read."""


@dataclass(slots=True)
class _Draw:
    """One string in the making: chance, what may still be written, what the groups matched."""

    chance: "random.Random"
    reach: int  # repeats beyond the least that a `*`, `+` or `{n,}` may write
    exact: bool = False  # … and always writes
    left: int = _MOST
    groups: dict[int, str] = field(default_factory=dict)


_Piece = Callable[[_Draw], str]


@dataclass(frozen=True, slots=True)
class PatternGenerator:
    """Writes strings for one pattern."""

    piece: _Piece
    open_end: bool  # nothing is said about what follows the match

    def write(self, chance: "random.Random", least: int = 0, most: int | None = None) -> str:
        """A string that matches, of `least` to `most` characters where the pattern allows it."""
        top = _MOST if most is None else most
        text = ""
        for reach in (3, 3, 8, 8, 16, 16):
            text = self._once(_Draw(chance, reach), least)
            if least <= len(text) <= top:
                return text
        # Chance did not find the length: lengthen every repeat step by step.
        for reach in range(max(least, 64) + 1):
            text = self._once(_Draw(chance, reach, exact=True), least)
            if len(text) >= least:
                break
        return text

    def _once(self, draw: _Draw, least: int) -> str:
        text = self.piece(draw)
        if self.open_end and len(text) < least <= _MOST:
            text += "".join(draw.chance.choices(_LOWER, k=least - len(text)))
        return text


def compile_pattern(pattern: str) -> PatternGenerator:
    """A writer for the pattern; raises PatternError when it can't be read."""
    reader = _Reader(pattern)
    piece = reader.alternatives(0)
    if reader.at < len(pattern):
        raise PatternError(f"unbalanced ')' at character {reader.at}")
    ended = pattern.endswith("$") and not pattern.endswith("\\$")
    return PatternGenerator(piece, open_end=not ended and "|" not in pattern)


class _Reader:
    """Recursive descent over the pattern; every method reads one construct."""

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self.groups = 0

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self) -> str:
        char = self.peek()
        if not char:
            raise PatternError("it ends too early")
        self.at += 1
        return char

    def accept(self, word: str) -> bool:
        if self.text.startswith(word, self.at):
            self.at += len(word)
            return True
        return False

    def alternatives(self, depth: int) -> _Piece:
        if depth > _DEEPEST:
            raise PatternError("groups are nested too deep")
        choices = [self.sequence(depth)]
        while self.accept("|"):
            choices.append(self.sequence(depth))
        if len(choices) == 1:
            return choices[0]
        return lambda draw: draw.chance.choice(choices)(draw)

    def sequence(self, depth: int) -> _Piece:
        pieces: list[_Piece] = []
        while self.peek() not in {"", "|", ")"}:
            piece = self.atom(depth)
            if piece is not None:
                pieces.append(self.repeated(piece))
        if len(pieces) == 1:
            return pieces[0]
        return lambda draw: "".join([piece(draw) for piece in pieces])

    def atom(self, depth: int) -> _Piece | None:
        char = self.take()
        if char in "^$":
            return None
        if char == "(":
            return self.group(depth)
        if char == "[":
            return _one_of(self.bracket())
        if char == ".":
            return _one_of(_PRINTABLE)
        if char == "\\":
            return self.escape()
        if char in "*+?":
            raise PatternError(f"nothing to repeat at character {self.at - 1}")
        return _literal(char)

    def group(self, depth: int) -> _Piece | None:
        number = 0
        ignored = False
        if self.accept("?"):
            if self.accept("=") or self.accept("!") or self.accept("<=") or self.accept("<!"):
                ignored = True
            elif self.accept("<") or self.accept("P<"):
                self.groups += 1
                number = self.groups
                while self.take() != ">":
                    pass
            elif not self.accept(":"):
                raise PatternError(f"an unknown kind of group at character {self.at}")
        else:
            self.groups += 1
            number = self.groups
        inner = self.alternatives(depth + 1)
        if self.take() != ")":
            raise PatternError("a group is not closed")
        if ignored:
            self.quantifier()
            return None
        return _remembered(inner, number) if number else inner

    def escape(self) -> _Piece | None:
        char = self.peek()
        if char and char in "123456789":
            number = int(self.take())
            return lambda draw: draw.groups.get(number, "")
        chars = self.escaped(in_class=False)
        return _one_of(chars) if chars else None

    def escaped(self, *, in_class: bool) -> str:
        """The characters that the escape behind a backslash stands for."""
        char = self.take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in "pP":
            return self.unicode_property(negated=char == "P")
        if char in "xu":
            return self.code_point(char)
        if char in "bB":
            return "\b" if in_class and char == "b" else ""
        if char == "c":
            return chr(ord(self.take()) % 32)
        return _CONTROLS.get(char, char)

    def unicode_property(self, *, negated: bool) -> str:
        if not self.accept("{"):
            raise PatternError("\\p needs a name in braces")
        end = self.text.find("}", self.at)
        if end < 0:
            raise PatternError("\\p{ is not closed")
        name, self.at = self.text[self.at : end], end + 1
        chars = _PROPERTIES.get(name.rpartition("=")[2], _LETTERS)
        return "".join(c for c in _PRINTABLE if c not in chars) if negated else chars

    def code_point(self, kind: str) -> str:
        if kind == "u" and self.accept("{"):
            end = self.text.find("}", self.at)
            digits, self.at = self.text[self.at : end], end + 1
        else:
            width = 2 if kind == "x" else 4
            digits, self.at = self.text[self.at : self.at + width], self.at + width
        try:
            return chr(int(digits, 16))
        except (ValueError, OverflowError):
            raise PatternError(f"\\{kind}{digits} is no character") from None

    def bracket(self) -> str:
        negated = self.accept("^")
        chars: list[str] = []
        first = True
        while first or self.peek() != "]":
            if self.peek() == "]" and first:
                break  # ECMA: [] is the empty class
            first = False
            low = self.member()
            if len(low) == 1 and self.peek() == "-" and self.text[self.at + 1 : self.at + 2] != "]":
                self.take()
                chars.append(_range(low, self.member()))
            else:
                chars.append(low)
        self.take()
        members = "".join(dict.fromkeys("".join(chars)))
        if negated:
            members = "".join(c for c in _PRINTABLE if c not in members)
        if not members:
            raise PatternError("a class matches no character")
        return members

    def member(self) -> str:
        char = self.take()
        return self.escaped(in_class=True) if char == "\\" else char

    def repeated(self, piece: _Piece) -> _Piece:
        bounds = self.quantifier()
        if bounds is None:
            return piece
        least, most = bounds
        return _repeat(piece, least, most)

    def quantifier(self) -> tuple[int, int | None] | None:
        bounds: tuple[int, int | None] | None = None
        if self.accept("*"):
            bounds = (0, None)
        elif self.accept("+"):
            bounds = (1, None)
        elif self.accept("?"):
            bounds = (0, 1)
        elif self.peek() == "{":
            bounds = self.braces()
        if bounds is not None and not self.accept("?"):
            self.accept("+")
        return bounds

    def braces(self) -> tuple[int, int | None] | None:
        end = self.text.find("}", self.at)
        inside = self.text[self.at + 1 : end] if end > 0 else ""
        low, comma, high = inside.partition(",")
        if not low.isdecimal() or (high and not high.isdecimal()):
            return None  # a literal brace; `atom` will read it
        self.at = end + 1
        least = int(low[:6])
        if not comma:
            return least, least
        return least, int(high[:6]) if high else None


def _literal(char: str) -> _Piece:
    def write(draw: _Draw) -> str:
        draw.left -= 1
        return char

    return write


def _one_of(chars: str) -> _Piece:
    if len(chars) == 1:
        return _literal(chars)

    def write(draw: _Draw) -> str:
        draw.left -= 1
        return draw.chance.choice(chars)

    return write


def _remembered(inner: _Piece, number: int) -> _Piece:
    def write(draw: _Draw) -> str:
        text = inner(draw)
        draw.groups[number] = text
        return text

    return write


def _repeat(piece: _Piece, least: int, most: int | None) -> _Piece:
    def write(draw: _Draw) -> str:
        top = least + draw.reach if most is None else min(most, least + draw.reach)
        written: list[str] = []
        count = top if draw.exact else draw.chance.randint(least, max(least, top))
        for _ in range(count):
            if draw.left <= 0:
                break
            draw.left -= 1
            written.append(piece(draw))
        return "".join(written)

    return write


def _range(low: str, high: str) -> str:
    if len(high) != 1 or ord(high) < ord(low):
        raise PatternError(f"{low}-{high} is no range")
    # 256 of a wide range (`\u0000-\uffff`) are plenty, and keep surrogates out.
    last = min(ord(high), ord(low) + 255)
    return "".join(map(chr, range(max(ord(low), 0x20 if ord(high) > 0x20 else 0), last + 1)))
