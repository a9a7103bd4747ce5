"""Who asks: bearer tokens, API keys, basic credentials. One declaration enforces and documents.

tokens = BearerAuth(find_user)          # find_user(token) -> an identity, or None

@notes.post(auth=tokens, scopes=["notes:write"])
def write(identity: User, new: NewNote) -> Note: ...
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from chapiteau.core.problems import did_you_mean
from chapiteau.service.errors import DeclarationError
from chapiteau.service.protocol.problem import ProblemError

__all__ = [
    "ApiKeyAuth",
    "AuthScheme",
    "BasicAuth",
    "BearerAuth",
    "BearerScheme",
    "NotAllowedError",
    "NotKnownError",
    "authenticate",
    "bearer_challenge",
    "bearer_token",
    "check_scopes",
    "is_token",
    "scopes_of",
]


# WWW-Authenticate for bearer tokens (RFC 6750 §3).

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
    """How credentials come, and whom they belong to.

    One that reads more than `Authorization` also has `credential(environ)`: whatever tells one
    caller from another, so that they don't share an Idempotency-Key.
    """

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


class BearerScheme:
    """`Authorization: Bearer TOKEN`, and the answers that RFC 6750 asks for.

    Subclasses say whom a token belongs to.
    """

    name = "bearer"
    realm = "service"

    def owner(self, token: str) -> Any:
        """Whoever the token belongs to, or None. May raise NotKnownError that says why not."""
        raise NotImplementedError

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        return {"type": "http", "scheme": "bearer"}

    def identity(self, environ: Environ) -> Any:
        """Whoever the token belongs to; None when there is none. Raises NotKnownError."""
        token = bearer_token(str(environ.get("HTTP_AUTHORIZATION", "")))
        if token is None:
            return None
        found = self.owner(token) if is_token(token) else None
        if found is None:
            raise self.refused("the token is not valid")
        return found

    def challenge(self) -> str:
        """What is wanted; no error, since nothing was sent."""
        return bearer_challenge(self.realm)

    def refused(self, why: str) -> NotKnownError:
        """401 for a token that was sent and is no good."""
        header = bearer_challenge(self.realm, error="invalid_token", description=why)
        return NotKnownError(why, headers={"WWW-Authenticate": header})

    def lacking(self, scopes: Sequence[str], lacking: Sequence[str]) -> NotAllowedError:
        """403 for a token without the scopes that an operation asks for."""
        why = f"needs {', '.join(lacking)}"
        header = bearer_challenge(
            self.realm, error="insufficient_scope", description=why, scopes=scopes
        )
        return NotAllowedError(why, headers={"WWW-Authenticate": header})


class BearerAuth(BearerScheme):
    """`Authorization: Bearer TOKEN` (RFC 6750); `verify` gives an identity or None."""

    def __init__(
        self,
        verify: Callable[[str], Any],
        *,
        name: str = "bearer",
        form: str = "",
        realm: str = "service",
    ) -> None:
        self.name = name
        self.realm = realm
        self._verify = verify
        self._form = form

    def owner(self, token: str) -> Any:
        """What `verify` says."""
        return self._verify(token)

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it; `form` is "JWT", say."""
        made = super().document()
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

    def credential(self, environ: Environ) -> str:
        """The key, whosever it is."""
        return str(environ.get(self._key, ""))

    def challenge(self) -> str:
        """Which credentials are wanted; no standard word exists for keys."""
        return f'ApiKey header="{self._header}"'

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        return {"type": "apiKey", "in": "header", "name": self._header}


def scopes_of(identity: Any) -> frozenset[str]:
    """What an identity may do: its attribute or key `scopes`, a list or words in one text."""
    if isinstance(identity, Mapping):
        held: Any = identity.get("scopes", ())
    else:
        held = getattr(identity, "scopes", ())
    return frozenset(held.split() if isinstance(held, str) else held)


def authenticate(scheme: AuthScheme, scopes: tuple[str, ...], environ: Environ) -> Any:
    """Who asks. Raises NotKnownError, or NotAllowedError when a scope is missing."""
    found = scheme.identity(environ)
    if found is None:
        raise NotKnownError(headers={"WWW-Authenticate": scheme.challenge()})
    if scopes:
        held = scopes_of(found)
        lacking = [scope for scope in scopes if scope not in held]
        if lacking and isinstance(scheme, BearerScheme):
            raise scheme.lacking(scopes, lacking)
        if lacking:
            raise NotAllowedError(f"needs {', '.join(lacking)}")
    return found


def check_scopes(scheme: Any, scopes: tuple[str, ...], where: str) -> None:
    """Raises DeclarationError for a scope that nobody can hold: nobody asks, or it isn't listed."""
    if scheme is None:
        if scopes:
            raise DeclarationError(f"{where}: scopes without auth=", hint="give auth= too")
        return
    known: frozenset[str] | None = getattr(scheme, "known_scopes", None)
    for scope in scopes:
        if known is not None and scope not in known:
            raise DeclarationError(
                f"{where}: {scheme.name} knows no scope {scope!r}",
                hint=did_you_mean(scope, known) or "add it to the scopes of a flow",
            )
