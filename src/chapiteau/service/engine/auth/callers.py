"""Who sends a request again: nobody may get what another caller was answered."""

from collections.abc import Callable, Mapping
from typing import Any

from chapiteau.service.engine.auth.tokens import TokenIdentity

__all__ = ["caller_of"]


def caller_of(scheme: Any, environ: Mapping[str, Any], identity: Any) -> str:
    """What tells one caller from another, the same when it asks again.

    Whoever a signed token speaks of, since tokens are renewed; else the credential as it came.
    """
    if isinstance(identity, TokenIdentity) and identity.subject:
        return f"{identity.claims.get('iss', '')} {identity.subject}"
    told: Callable[[Mapping[str, Any]], str] | None = getattr(scheme, "credential", None)
    return str(environ.get("HTTP_AUTHORIZATION", "")) if told is None else told(environ)
