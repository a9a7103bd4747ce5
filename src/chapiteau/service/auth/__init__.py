"""Who asks, and what they may do: schemes that are enforced and documented by one declaration."""

from chapiteau.service.auth.certificates import CertificateAuth, CertificateSubject
from chapiteau.service.auth.keysets import JwksFile, JwksUrl
from chapiteau.service.auth.policy import AuthPolicy, unauthenticated_error, with_policy_auth
from chapiteau.service.auth.schemes import (
    ApiKeyAuth,
    AuthScheme,
    BasicAuth,
    BearerAuth,
    BearerScheme,
    NotAllowedError,
    NotKnownError,
    authenticate,
    check_scopes,
    scopes_of,
)
from chapiteau.service.auth.tokens import (
    JwtAuth,
    OAuth2,
    OAuthFlow,
    OpenIdConnect,
    TokenIdentity,
    caller_key,
)

__all__ = [
    "ApiKeyAuth",
    "AuthPolicy",
    "AuthScheme",
    "BasicAuth",
    "BearerAuth",
    "BearerScheme",
    "CertificateAuth",
    "CertificateSubject",
    "JwksFile",
    "JwksUrl",
    "JwtAuth",
    "NotAllowedError",
    "NotKnownError",
    "OAuth2",
    "OAuthFlow",
    "OpenIdConnect",
    "TokenIdentity",
    "authenticate",
    "caller_key",
    "check_scopes",
    "scopes_of",
    "unauthenticated_error",
    "with_policy_auth",
]  # fmt: skip
