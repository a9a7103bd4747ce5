"""Where clients get their tokens: OAuth 2 flows and OpenID Connect, for the document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chapiteau.service.auth.schemes import BearerScheme
from chapiteau.service.errors import DeclarationError

__all__ = ["OAuth2", "OAuthFlow", "OpenIdConnect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthFlow:
    """Addresses of one way to a token, and the scopes that can be asked for, with their meaning."""

    token_url: str
    authorization_url: str = ""
    refresh_url: str = ""
    scopes: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        told = {
            "authorizationUrl": self.authorization_url,
            "tokenUrl": self.token_url,
            "refreshUrl": self.refresh_url,
        }
        return {**{k: v for k, v in told.items() if v}, "scopes": dict(self.scopes)}


class _Wrapped(BearerScheme):
    """Tokens are verified by another scheme; this one tells where they come from."""

    def __init__(self, tokens: BearerScheme, name: str) -> None:
        self.name = name
        self.realm = tokens.realm
        self._tokens = tokens

    def owner(self, token: str) -> Any:
        """What the other scheme says."""
        return self._tokens.owner(token)


class OAuth2(_Wrapped):
    """Tokens of OAuth 2 (RFC 6749): `OAuth2(JwtAuth(…), authorization_code=OAuthFlow(…))`.

    Scopes of operations must be listed in a flow. The flows `implicit` and `password` are left out:
    RFC 9700 §2 forbids them.
    """

    def __init__(
        self,
        tokens: BearerScheme,
        *,
        authorization_code: OAuthFlow | None = None,
        client_credentials: OAuthFlow | None = None,
        name: str = "oauth2",
    ) -> None:
        super().__init__(tokens, name)
        flows = {"authorizationCode": authorization_code, "clientCredentials": client_credentials}
        self._flows = {kind: flow for kind, flow in flows.items() if flow is not None}
        if not self._flows:
            raise DeclarationError("OAuth2 without a flow", hint="give authorization_code=")
        if authorization_code is not None and not authorization_code.authorization_url:
            raise DeclarationError("the flow authorization_code needs an authorization_url")
        self.known_scopes = frozenset(s for flow in self._flows.values() for s in flow.scopes)

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        return {
            "type": "oauth2",
            "flows": {kind: flow.document() for kind, flow in self._flows.items()},
        }


class OpenIdConnect(_Wrapped):
    """Tokens of an OpenID Connect provider, which describes itself at `url`."""

    def __init__(self, tokens: BearerScheme, url: str, *, name: str = "openid") -> None:
        super().__init__(tokens, name)
        self._url = url

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        return {"type": "openIdConnect", "openIdConnectUrl": self._url}
