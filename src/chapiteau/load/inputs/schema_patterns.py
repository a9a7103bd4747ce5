"""Random strings that match a regular expression, for the `pattern` of JSON Schemas (ECMA 262).

The pattern is parsed by Python's own parser (`re._parser`, which Hypothesis and rstr use as well)
after what ECMA writes differently was translated. Look-arounds are ignored: the caller checks.
"""

import importlib
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import random

__all__ = ["PatternError", "PatternGenerator", "compile_pattern"]

_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F)))
_MAX_LENGTH: Final = 10_000  # characters in one value, however hostile the pattern
_CATEGORIES: Final[dict[str, Callable[[str], bool]]] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_WORD": lambda c: c.isalnum() or c == "_",
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_DIGIT": lambda c: not c.isdecimal(),
    "CATEGORY_NOT_WORD": lambda c: not c.isalnum() and c != "_",
    "CATEGORY_NOT_SPACE": lambda c: not c.isspace(),
}
_PROPERTIES: Final = {"Lu": "A-Z", "Ll": "a-z", "N": "0-9", "Nd": "0-9"}  # others: letters
_ECMA: Final = re.compile(r"(?s)\\(?P<not>[pP])\{(?P<name>[^}]*)\}|\\.|\[|\]|\(\?<(?=[A-Za-z_])")


class PatternError(ValueError):
    """The pattern cannot be read."""


@dataclass(slots=True)
class _Run:
    """One string being written."""

    chance: "random.Random"
    reach: int  # repeats beyond the minimum
    exact: bool = False  # always write that many
    left: int = _MAX_LENGTH
    groups: dict[int, str] = field(default_factory=dict)

    def spend(self) -> None:
        """One more character or repeat."""
        self.left -= 1


_Piece = Callable[[_Run], str]


@dataclass(frozen=True, slots=True)
class PatternGenerator:
    """Writes strings for one pattern."""

    piece: _Piece
    open_end: bool  # anything may follow the match

    def write(self, chance: "random.Random", least: int = 0, most: int | None = None) -> str:
        """A matching string of `least` to `most` characters, where the pattern allows it."""
        top = _MAX_LENGTH if most is None else most
        text = ""
        for reach in (3, 3, 8, 8, 16, 16):
            text = self._once(_Run(chance, reach), least)
            if least <= len(text) <= top:
                return text
        # Chance did not find the length: lengthen every repeat step by step.
        for reach in range(max(least, 64) + 1):
            text = self._once(_Run(chance, reach, exact=True), least)
            if len(text) >= least:
                break
        return text

    def _once(self, run: _Run, least: int) -> str:
        text = self.piece(run)
        if self.open_end and len(text) < least <= _MAX_LENGTH:
            text += "".join(run.chance.choices(_PRINTABLE[65:91], k=least - len(text)))
        return text


def compile_pattern(pattern: str) -> PatternGenerator:
    """The generator of a pattern. Raises PatternError."""
    parser: Any = importlib.import_module("re._parser")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # somebody else's pattern
            piece = _sequence(parser.parse(_translated(pattern)))
    except RecursionError:
        raise PatternError("groups are nested too deep") from None
    except (re.error, OverflowError) as exc:
        raise PatternError(str(exc)) from None
    ended = pattern.endswith("$") and not pattern.endswith("\\$")
    return PatternGenerator(piece, open_end=not ended and "|" not in pattern)


def _translated(pattern: str) -> str:
    """ECMA's `(?<name>…)` and `\\p{…}` as Python writes them."""
    in_class = False

    def translate(found: "re.Match[str]") -> str:
        nonlocal in_class
        text = found[0]
        if found["not"]:
            letters = _PROPERTIES.get(found["name"].rpartition("=")[2], "A-Za-z")
            if found["not"] == "P":
                return "\\W" if in_class else f"[^{letters}]"
            return letters if in_class else f"[{letters}]"
        if text in "[]":
            in_class = text == "["
        return "(?P<" if text == "(?<" and not in_class else text

    return _ECMA.sub(translate, pattern)


def _sequence(parsed: Iterable[tuple[Any, Any]]) -> _Piece:
    pieces = [piece for op, value in parsed if (piece := _piece(str(op), value)) is not None]
    if len(pieces) == 1:
        return pieces[0]
    return lambda run: "".join([piece(run) for piece in pieces])


def _piece(op: str, value: Any) -> _Piece | None:
    """What one construct of the parsed pattern writes; None for nothing."""
    if op in {"AT", "ASSERT", "ASSERT_NOT"}:
        return None
    if op in {"LITERAL", "NOT_LITERAL", "ANY", "IN"}:
        return _one_of(_characters(op, value))
    if op in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        least, most, inner = value
        return _repeat(_sequence(inner), int(least), int(most))
    if op == "BRANCH":
        choices = [_sequence(branch) for branch in value[1]]
        return lambda run: run.chance.choice(choices)(run)
    if op == "SUBPATTERN":
        return _group(_sequence(value[3]), value[0])
    if op == "ATOMIC_GROUP":
        return _sequence(value)
    if op == "GROUPREF":
        return lambda run: run.groups.get(value, "")
    raise PatternError(f"{op.lower()} is not supported")


def _characters(op: str, value: Any) -> str:
    if op == "LITERAL":
        return chr(value)
    if op == "ANY":
        return _PRINTABLE
    if op == "NOT_LITERAL":
        return _PRINTABLE.replace(chr(value), "")
    chars, negated = "", False
    for kind, part in value:
        if str(kind) == "NEGATE":
            negated = True
        elif str(kind) == "RANGE":
            low, high = part
            # 256 of a wide range (`\u0000-\uffff`) are plenty, and keep surrogates out.
            first = max(low, 0x20) if high >= 0x20 else low
            chars += "".join(map(chr, range(first, min(high, first + 255) + 1)))
        elif str(kind) == "CATEGORY":
            chars += "".join(filter(_CATEGORIES[str(part)], _PRINTABLE))
        else:
            chars += chr(part)
    found = "".join(c for c in _PRINTABLE if c not in chars) if negated else chars
    if not found:
        raise PatternError("a class matches no printable character")
    return found


def _one_of(chars: str) -> _Piece:
    def write(run: _Run) -> str:
        run.spend()
        return chars if len(chars) == 1 else run.chance.choice(chars)

    return write


def _group(inner: _Piece, number: int | None) -> _Piece:
    if number is None:
        return inner

    def write(run: _Run) -> str:
        text = run.groups[number] = inner(run)
        return text

    return write


def _repeat(piece: _Piece, least: int, most: int) -> _Piece:
    def write(run: _Run) -> str:
        top = max(least, min(most, least + run.reach))
        written: list[str] = []
        for _ in range(top if run.exact else run.chance.randint(least, top)):
            if run.left <= 0:
                break
            run.spend()
            written.append(piece(run))
        return "".join(written)

    return write
