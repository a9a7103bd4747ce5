"""Plain values as TOML that people like to read, and that reads back as the same values."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

__all__ = ["write_toml"]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH: Final = 92
_INLINE: Final = 3  # a table with this many plain values or fewer stands on one line
_ESCAPES: Final = {
    "\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r",
}  # fmt: skip
_SPECIAL: Final = re.compile(r'[\\"\x00-\x1f\x7f]')
_NOT_LITERAL: Final = re.compile(r"'|[\x00-\x08\x0b-\x1f\x7f]")  # a literal string can't hold these
KeyPath = tuple[str, ...]


def write_toml(
    tables: Mapping[str, Any], comments: Mapping[KeyPath, Sequence[str]] | None = None
) -> str:
    """The text of a TOML document; `comments` go above the table that their path names, and those
    of the empty path on top of the file.

    Values may be strings, booleans, integers, floats, lists and mappings with string keys, nested
    at will. Raises TypeError for anything else.
    """
    writer = _Writer(comments or {})
    writer.comment(())
    writer.table((), tables)
    return "\n".join(writer.lines).strip("\n") + "\n"


class _Writer:
    def __init__(self, comments: Mapping[KeyPath, Sequence[str]]) -> None:
        self.comments = comments
        self.lines: list[str] = []

    def comment(self, path: KeyPath) -> None:
        for text in self.comments.get(path, ()):
            self.lines += [f"# {line}".rstrip() for line in _comment_lines(text)]

    def table(self, path: KeyPath, values: Mapping[str, Any]) -> None:
        # Plain keys first: below a sub-table's header they would belong to the sub-table.
        later: list[tuple[str, Mapping[str, Any]]] = []
        for key, value in values.items():
            if isinstance(value, Mapping) and not self.fits_inline(path, key, value):
                later.append((key, value))
            else:
                self.lines.append(_entry(key, value))
        for key, value in later:
            self.subtable((*path, key), value)

    def subtable(self, path: KeyPath, value: Mapping[str, Any]) -> None:
        if value and path not in self.comments and not self.own_keys(path, value):
            self.table(path, value)  # [service.web] says that [service] exists
            return
        self.lines.append("")
        self.comment(path)
        self.lines.append(f"[{'.'.join(_key(part) for part in path)}]")
        self.table(path, value)

    def own_keys(self, path: KeyPath, value: Mapping[str, Any]) -> bool:
        """Whether anything stands in the table itself, below its own header."""
        return any(
            not isinstance(inner, Mapping) or self.fits_inline(path, key, inner)
            for key, inner in value.items()
        )

    def fits_inline(self, path: KeyPath, key: str, value: Mapping[str, Any]) -> bool:
        if len(path) < 2 or len(value) > _INLINE or (*path, key) in self.comments:
            return False
        plain = all(isinstance(v, str | bool | int | float) for v in value.values())
        return plain and len(_entry(key, value)) <= _WIDTH


def _comment_lines(text: str) -> Iterator[str]:
    # Control characters are not allowed in a TOML comment.
    for line in text.splitlines() or [""]:
        yield re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "?", line)


def _entry(key: str, value: Any) -> str:
    short = f"{_key(key)} = {_value(value)}"
    if isinstance(value, list | tuple) and len(short) > _WIDTH:
        rows = "".join(f"  {_value(item)},\n" for item in value)
        return f"{_key(key)} = [\n{rows}]"
    return short


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _basic(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_inner(item) for item in value)}]"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(k)} = {_inner(v)}" for k, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    raise TypeError(f"{type(value).__name__} has no form in TOML")


def _inner(value: Any) -> str:
    # Inside brackets everything stays on one line: inline tables may not be broken in TOML 1.0.
    return _basic(value) if isinstance(value, str) and "\n" in value else _value(value)


def _float(value: float) -> str:
    text = repr(value)
    if text in ("inf", "-inf", "nan"):
        return text
    return text if "." in text or "e" in text else f"{text}.0"


def _string(text: str) -> str:
    if "\n" in text and not _NOT_LITERAL.search(text):
        return f"'''\n{text}'''"
    if ('"' in text or "\\" in text) and "\n" not in text and not _NOT_LITERAL.search(text):
        return f"'{text}'"
    return _basic(text)


def _basic(text: str) -> str:
    return '"' + _SPECIAL.sub(lambda m: _ESCAPES.get(m[0]) or f"\\u{ord(m[0]):04x}", text) + '"'
