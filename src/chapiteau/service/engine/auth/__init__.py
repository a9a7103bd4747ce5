"""Who asks, and what they may do: schemes that are enforced and documented by one declaration."""

from chapiteau.service.engine.auth.callers import caller_of
from chapiteau.service.engine.auth.certificates import CertificateAuth, CertificateSubject
from chapiteau.service.engine.auth.keysets import JwksFile, JwksUrl
from chapiteau.service.engine.auth.oauth import OAuth2, OAuthFlow, OpenIdConnect
from chapiteau.service.engine.auth.policy import AuthPolicy, asking, stranger
from chapiteau.service.engine.auth.schemes import (
    ApiKeyAuth,
    AuthScheme,
    BasicAuth,
    BearerAuth,
    BearerScheme,
    NotAllowedError,
    NotKnownError,
    check_scopes,
    identify,
    scopes_of,
)
from chapiteau.service.engine.auth.tokens import JwtAuth, TokenIdentity

__all__ = [
    "ApiKeyAuth", "AuthPolicy", "AuthScheme", "BasicAuth", "BearerAuth", "BearerScheme",
    "CertificateAuth", "CertificateSubject", "JwksFile", "JwksUrl", "JwtAuth", "NotAllowedError",
    "NotKnownError", "OAuth2", "OAuthFlow", "OpenIdConnect", "TokenIdentity", "asking",
    "caller_of", "check_scopes", "identify", "scopes_of", "stranger",
]  # fmt: skip
