"""Distinguished names as text (RFC 4514): the subjects of client certificates."""

from collections.abc import Iterator
from typing import Final

__all__ = ["read_subject"]

_HEX: Final = "0123456789abcdefABCDEF"


def read_subject(text: str) -> tuple[tuple[str, str], ...]:
    r"""`CN=ann,O=Acme\, Inc` as `(("CN", "ann"), ("O", "Acme, Inc"))`. Raises ValueError.

    Types are in capitals. Also the old form with slashes, `/O=Acme/CN=ann`, is read: its parts
    stand in the other order and are turned round.
    """
    if text.startswith("/"):
        parts = [tuple(_unescaped(part)) for part in _parts(text[1:], "/")]
        parts.reverse()
    else:
        parts = [tuple(_unescaped(part)) for part in _parts(text, ",+")]
    return tuple(_pair("".join(part), text) for part in parts)


def _pair(part: str, whole: str) -> tuple[str, str]:
    kind, equals, value = part.partition("=")
    if not equals or not kind.strip():
        raise ValueError(f"{whole!r} is no distinguished name")
    return kind.strip().upper(), value


def _parts(text: str, separators: str) -> Iterator[str]:
    """The pieces, still with their escapes; spaces around them mean nothing."""
    start = at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] in separators:
            yield text[start:at].strip(" ")
            start = at + 1
        at += 1
    yield text[start:].strip(" ")


def _unescaped(part: str) -> Iterator[str]:
    r"""Characters; `\,` is a comma, and `\C3\A4` two bytes of UTF-8."""
    at, raw = 0, bytearray()
    while at < len(part):
        pair = part[at + 1 : at + 3]
        if part[at] == "\\" and len(pair) == 2 and pair[0] in _HEX and pair[1] in _HEX:
            raw.append(int(pair, 16))
            at += 3
            continue
        if raw:
            yield raw.decode("utf-8")
            raw.clear()
        if part[at] == "\\":
            at += 1
            if at == len(part):
                raise ValueError(f"{part!r} ends within an escape")
        yield part[at]
        at += 1
    if raw:
        yield raw.decode("utf-8")
