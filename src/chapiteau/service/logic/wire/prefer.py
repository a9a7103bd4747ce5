"""What a client would like but does not insist on: the Prefer header (RFC 7240)."""

from typing import Final

__all__ = ["minimal", "patience", "preferences", "responds_async"]

_LIMIT: Final = 20  # preferences per request
_LONGEST: Final = 60  # seconds that we wait, whatever the client would


def preferences(header: str) -> dict[str, str]:
    """Preferences by lower-case name; one without a value is empty. The first of two equal wins.

    Parameters of a preference (behind a semicolon) mean nothing to us and are left out.
    """
    found: dict[str, str] = {}
    for piece in _split(header)[:_LIMIT]:
        name, _, value = piece.partition(";")[0].partition("=")
        name = name.strip().lower()
        if name:
            found.setdefault(name, value.strip().strip('"').strip())
    return found


def _split(header: str) -> list[str]:
    """A comma between quotes separates nothing."""
    if '"' not in header:
        return header.split(",")
    pieces, quoted, start = [], False, 0
    for at, char in enumerate(header):
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            pieces.append(header[start:at])
            start = at + 1
    return [*pieces, header[start:]]


def minimal(header: str | None) -> bool | None:
    """Whether the client would rather have no body (True), have one (False), or doesn't say."""
    wish = preferences(header).get("return", "").lower() if header else ""
    return {"minimal": True, "representation": False}.get(wish)


def responds_async(header: str | None) -> bool:
    """Whether the client would rather have a 202 at once than wait for the answer."""
    return bool(header) and "respond-async" in preferences(header or "")


def patience(header: str | None) -> int:
    """Seconds that a client would rather wait than be told to come back (`wait=5`); 60 at most."""
    wish = preferences(header).get("wait", "") if header else ""
    return min(int(wish), _LONGEST) if wish.isascii() and wish.isdigit() and len(wish) < 9 else 0
