"""Credentials handed in by the caller → headers, query pieces and cookies of a request."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from chapiteau.core.secret import Secret
from chapiteau.load.inputs.openapi.operations import Operation, SecurityScheme
from chapiteau.load.inputs.url_encoding import quote

__all__ = ["AppliedCredentials", "Credentials", "credentials_for"]

_TOKENS: Final = frozenset({"oauth2", "openIdConnect"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the caller may present. `keys` are API keys by scheme name or by header's name."""

    bearer: Secret | None = None
    user: str = ""
    password: Secret | None = None
    keys: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AppliedCredentials:
    """What one operation shows at the door."""

    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    missing: str = ""  # names of schemes for which there is no credential

    def __repr__(self) -> str:
        return f"<Badge {len(self.headers) + len(self.query) + len(self.cookies)} credentials>"


def credentials_for(
    operation: Operation, schemes: Mapping[str, SecurityScheme], credentials: Credentials
) -> AppliedCredentials:
    """The credentials for the first alternative that can be met; empty where none is needed."""
    missing: list[str] = []
    # More before less: an alternative `{}` means that nobody has to log in, but may.
    for names in sorted(operation.security, key=lambda names: not names):
        parts = [(name, _shown(schemes.get(name), credentials)) for name in sorted(names)]
        lacking = [name for name, part in parts if part is None]
        if not lacking:
            return _united(part for _, part in parts if part is not None)
        missing += lacking
    return AppliedCredentials(missing=", ".join(dict.fromkeys(missing)))


def _united(parts: Iterable[AppliedCredentials]) -> AppliedCredentials:
    badge = AppliedCredentials()
    for part in parts:
        badge = AppliedCredentials(
            badge.headers + part.headers, badge.query + part.query, badge.cookies + part.cookies
        )
    return badge


def _shown(scheme: SecurityScheme | None, credentials: Credentials) -> AppliedCredentials | None:
    """What one scheme asks for; None when the caller does not have it."""
    if scheme is None:
        return None
    if scheme.kind == "mutualTLS":
        return AppliedCredentials()  # shown by the connection, not by the request
    if scheme.kind == "apiKey":
        return _api_key(scheme, credentials)
    if scheme.kind == "http" and scheme.scheme == "basic":
        return _basic(credentials)
    if scheme.kind in _TOKENS or (scheme.kind == "http" and scheme.scheme == "bearer"):
        token = credentials.keys.get(scheme.name) or credentials.bearer
        return (
            AppliedCredentials((("Authorization", f"Bearer {token.reveal()}"),)) if token else None
        )
    if scheme.kind == "http":
        value = credentials.keys.get(scheme.name)
        return AppliedCredentials((("Authorization", value.reveal()),)) if value else None
    return None


def _basic(credentials: Credentials) -> AppliedCredentials | None:
    if credentials.password is None and not credentials.user:
        return None
    password = credentials.password.reveal() if credentials.password else ""
    pair = f"{credentials.user}:{password}".encode()
    return AppliedCredentials((("Authorization", f"Basic {base64.b64encode(pair).decode()}"),))


def _api_key(scheme: SecurityScheme, credentials: Credentials) -> AppliedCredentials | None:
    value = credentials.keys.get(scheme.name) or credentials.keys.get(scheme.key)
    if value is None:
        return None
    if scheme.place == "query":
        return AppliedCredentials(query=(f"{quote(scheme.key)}={quote(value.reveal())}",))
    if scheme.place == "cookie":
        return AppliedCredentials(cookies=(f"{scheme.key}={quote(value.reveal())}",))
    return AppliedCredentials(((scheme.key, value.reveal()),))
