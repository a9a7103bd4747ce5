"""Pages of a list: cursors that survive inserts, and Link headers (RFC 8288)."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from chapiteau.service.protocol.problem import ProblemError

__all__ = ["NoSuchPageError", "decode_cursor", "encode_cursor", "link_header", "with_query"]

T = TypeVar("T")


class NoSuchPageError(ProblemError):
    """The cursor is none that this list has given out (404)."""

    status = 404
    code = "no-such-page"
    title = "There is no such page"


def encode_cursor(values: Any) -> str:
    """The sort key of a page's last row as an opaque word for a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).rstrip(b"=").decode()


def decode_cursor(cursor: str, kind: type[T]) -> T:
    """The values of a cursor as a `kind`. Raises NoSuchPageError for anything else."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(
            base64.b64decode(padded, altchars=b"-_", validate=True), type=kind
        )
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise NoSuchPageError("follow the links of a list instead of making cursors") from None


_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~,")


def _quote(text: str) -> str:
    return "".join(chr(b) if b in _SAFE else f"%{b:02X}" for b in text.encode())


def with_query(path: str, parameters: Mapping[str, Any]) -> str:
    """A path with a query string; parameters that are None or empty are left out."""
    parts = [
        f"{_quote(name)}={_quote(str(value))}"
        for name, value in parameters.items()
        if value not in (None, "")
    ]
    return path + ("?" + "&".join(parts) if parts else "")


def link_header(links: Mapping[str, str | None]) -> str:
    """`</cities?cursor=x>; rel="next", …`; a link that is None is left out."""
    return ", ".join(f'<{target}>; rel="{rel}"' for rel, target in links.items() if target)
