"""What an identity provider says, judged: is it for us, of now, and which role is that?"""

from collections.abc import Mapping
from typing import Any, Final

from chapiteau.dash.errors import LoginError, NotAllowedError
from chapiteau.dash.logic.access import Caller, Role

__all__ = ["ALGORITHMS", "authorize_query", "caller_of", "check_token", "endpoints"]

# Signatures of a key pair only: whoever knows a shared secret could sign for everybody.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_NAMES: Final = ("preferred_username", "email", "name", "sub")


def endpoints(issuer: str, document: Mapping[str, Any]) -> dict[str, str]:
    """The addresses in a provider's document (OpenID Connect Discovery 1.0 §3).

    Raises LoginError when it speaks for another issuer, or lacks what we need.
    """
    if str(document.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
        raise LoginError(
            f"{issuer} says that it is {document.get('issuer')!r}",
            hint="dash.oidc.issuer must be spelt as the provider spells it",
        )
    missing = [name for name in _ENDPOINTS if not isinstance(document.get(name), str)]
    if missing:
        raise LoginError(f"{issuer} does not tell its {missing[0]}")
    found = {name: str(document[name]) for name in _ENDPOINTS}
    found["userinfo_endpoint"] = str(document.get("userinfo_endpoint") or "")
    return found


def authorize_query(
    *, client: str, redirect: str, state: str, nonce: str, challenge: str
) -> dict[str, str]:
    """What the browser brings to the provider: the code flow with PKCE (RFC 7636, S256)."""
    return {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": redirect,
        "scope": "openid profile email",
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }


def check_token(claims: Mapping[str, Any], *, client: str, nonce: str) -> None:
    """What signature, issuer, audience and time do not say (OpenID Connect Core 1.0 §3.1.3.7).

    Raises LoginError.
    """
    if claims.get("nonce") != nonce:
        raise LoginError("the provider answered another login than this one")
    audience = claims.get("aud")
    several = isinstance(audience, list) and len(audience) > 1
    if (several or "azp" in claims) and claims.get("azp") != client:
        raise LoginError("the provider's token is meant for another program")


def caller_of(claims: Mapping[str, Any], *, claim: str, roles: Mapping[str, str]) -> Caller:
    """Who that is, with the highest role that their groups have. Raises NotAllowedError."""
    name = next((str(claims[key]) for key in _NAMES if claims.get(key)), "")
    given = claims.get(claim, ())
    groups = {given} if isinstance(given, str) else {g for g in given if isinstance(g, str)}
    found = [Role[roles[group].upper()] for group in groups if group in roles]
    if not found:
        raise NotAllowedError(
            f"{name or 'your account'} has no role here",
            hint=f"dash.oidc.roles gives roles to groups, as the claim {claim!r} names them",
        )
    # Marked, so that nobody there can pass for an account of ours in the audit trail.
    return Caller(name=f"sso:{name[:100]}", role=max(found))
