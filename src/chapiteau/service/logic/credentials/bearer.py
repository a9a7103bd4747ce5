"""WWW-Authenticate for bearer tokens (RFC 6750 §3)."""

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["bearer_challenge", "bearer_token", "is_token"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_NOT_SAYABLE: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")  # in a quoted parameter


def bearer_token(authorization: str) -> str | None:
    """What follows `Bearer`; None when the header speaks of something else or is empty."""
    kind, _, token = authorization.partition(" ")
    return token.strip(" ") or None if kind.lower() == "bearer" else None


def is_token(text: str) -> bool:
    """Whether it has the form of a token (b64token, RFC 6750 §2.1)."""
    return _TOKEN.fullmatch(text) is not None


def bearer_challenge(
    realm: str, *, error: str = "", description: str = "", scopes: Iterable[str] = ()
) -> str:
    """The header's value: no `error` when nothing was sent, as RFC 6750 §3.1 asks.

    `error` is invalid_token or insufficient_scope; `scopes` are those that are needed.
    """
    told = {
        "realm": realm,
        "error": error,
        "error_description": description,
        "scope": " ".join(scopes),
    }
    return "Bearer " + ", ".join(
        f'{name}="{_NOT_SAYABLE.sub("?", text)}"' for name, text in told.items() if text
    )
