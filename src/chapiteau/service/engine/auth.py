"""Who asks: bearer tokens, API keys, basic credentials. One declaration enforces and documents.

tokens = BearerAuth(find_user)          # find_user(token) -> an identity, or None

@notes.post(auth=tokens, scopes=["notes:write"])
def write(identity: User, new: NewNote) -> Note: ...
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from chapiteau.service.logic.problem import ProblemError

__all__ = [
    "ApiKeyAuth",
    "AuthScheme",
    "BasicAuth",
    "BearerAuth",
    "NotAllowedError",
    "NotKnownError",
    "identify",
]

Environ = Mapping[str, Any]


class NotKnownError(ProblemError):
    """Nobody, or nobody we know (401)."""

    status = 401
    code = "not-known"
    title = "Credentials are needed"


class NotAllowedError(ProblemError):
    """Known, but may not do this (403)."""

    status = 403
    code = "not-allowed"
    title = "This is not allowed"


class AuthScheme(Protocol):
    """How credentials come, and whom they belong to."""

    name: str

    def identity(self, environ: Environ) -> Any:
        """Who asks, or None. Comparisons of secrets must take the same time for all inputs."""
        ...

    def challenge(self) -> str:
        """WWW-Authenticate for a 401."""
        ...

    def document(self) -> dict[str, Any]:
        """The security scheme as OpenAPI has it."""
        ...


class BearerAuth:
    """`Authorization: Bearer TOKEN` (RFC 6750); `verify` gives an identity or None."""

    def __init__(
        self, verify: Callable[[str], Any], *, name: str = "bearer", form: str = ""
    ) -> None:
        self.name = name
        self._verify = verify
        self._form = form

    def identity(self, environ: Environ) -> Any:
        """Whoever the token belongs to."""
        kind, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        return self._verify(token.strip()) if kind.lower() == "bearer" and token else None

    def challenge(self) -> str:
        """Which credentials are wanted."""
        return "Bearer"

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it; `form` is "JWT", say."""
        made = {"type": "http", "scheme": "bearer"}
        return {**made, "bearerFormat": self._form} if self._form else made


class BasicAuth:
    """`Authorization: Basic …` (RFC 7617); `verify` takes name and password."""

    def __init__(
        self, verify: Callable[[str, str], Any], *, name: str = "basic", realm: str = "service"
    ) -> None:
        self.name = name
        self._verify = verify
        self._realm = realm

    def identity(self, environ: Environ) -> Any:
        """Whoever name and password belong to."""
        kind, _, packed = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            text = base64.b64decode(packed.strip(), validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            return None
        user, colon, password = text.partition(":")
        return self._verify(user, password) if colon else None

    def challenge(self) -> str:
        """Which credentials are wanted."""
        return f'Basic realm="{self._realm}", charset="UTF-8"'

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        return {"type": "http", "scheme": "basic"}


class ApiKeyAuth:
    """A key in a header; `verify` gives an identity or None."""

    def __init__(
        self, verify: Callable[[str], Any], *, header: str = "X-API-Key", name: str = "api_key"
    ) -> None:
        self.name = name
        self._verify = verify
        self._header = header
        self._key = "HTTP_" + header.upper().replace("-", "_")

    def identity(self, environ: Environ) -> Any:
        """Whoever the key belongs to."""
        key = environ.get(self._key)
        return self._verify(key) if key else None

    def challenge(self) -> str:
        """Which credentials are wanted; no standard word exists for keys."""
        return f'ApiKey header="{self._header}"'

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        return {"type": "apiKey", "in": "header", "name": self._header}


def identify(scheme: AuthScheme, scopes: tuple[str, ...], environ: Environ) -> Any:
    """Who asks. Raises NotKnownError, or NotAllowedError when a scope is missing.

    Scopes are those of the identity: its attribute or key `scopes`.
    """
    found = scheme.identity(environ)
    if found is None:
        raise NotKnownError(headers={"WWW-Authenticate": scheme.challenge()})
    if scopes:
        given: Any = found
        if isinstance(given, Mapping):
            held: Any = given.get("scopes", ())
        else:
            held = getattr(given, "scopes", ())
        lacking = [scope for scope in scopes if scope not in held]
        if lacking:
            raise NotAllowedError(f"needs {', '.join(lacking)}")
    return found
