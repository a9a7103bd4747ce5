"""JSON Web Tokens (RFC 7519, with the advice of RFC 8725)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from chapiteau.core.problems import did_you_mean
from chapiteau.service.auth.keysets import KeySet
from chapiteau.service.auth.schemes import BearerScheme
from chapiteau.service.errors import DeclarationError

__all__ = ["JwtAuth", "OAuth2", "OAuthFlow", "OpenIdConnect", "TokenIdentity", "caller_key"]


# Where clients get their tokens: OAuth 2 flows and OpenID Connect, for the document.


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


# Hashes of shared secrets with their bytes: a shorter secret is weaker than the hash.
_SHARED: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
_PAIRED: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip


class TokenIdentity(msgspec.Struct, frozen=True):
    """Whoever a token speaks of: `sub`, its scopes, and all its claims."""

    subject: str
    scopes: frozenset[str]
    claims: dict[str, Any]


class JwtAuth(BearerScheme):
    """Signed tokens: `JwtAuth(JwksUrl("https://…"), audience="notes", issuer="https://…")`.

    `keys` is a secret (HS…), a public key as PEM, or a set of keys; `algorithms` those that may
    sign. A token must name our `audience` (None: any, or none), come from the `issuer` when one is
    given, and say when it ends (`exp`). `leeway` is in seconds, for differing clocks. `find` turns
    the claims into an identity of your own, or None for a token that you don't take.
    Raises DeclarationError, also when PyJWT is not installed.
    """

    def __init__(
        self,
        keys: str | bytes | KeySet,
        *,
        audience: str | Sequence[str] | None,
        issuer: str | Sequence[str] | None = None,
        algorithms: Sequence[str] = ("RS256",),
        leeway: float = 0.0,
        find: Callable[[Mapping[str, Any]], Any] | None = None,
        name: str = "jwt",
    ) -> None:
        self.name = name
        self._jwt = _library()
        self._algorithms = _checked(algorithms)
        single = isinstance(keys, str | bytes)
        self._key = _one_key(self._jwt, keys, self._algorithms) if single else None
        self._keys: Any = keys
        self._audience = audience
        self._issuer = issuer
        self._leeway = leeway
        self._options = {"require": ["exp"], "verify_aud": audience is not None}
        self._find = find or _identity
        if self._key is None and self._algorithms[0] in _SHARED:
            raise DeclarationError(
                "a key set holds public keys, which sign nothing with HS…",
                hint=f"algorithms of key pairs: {', '.join(_PAIRED)}",
            )

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        return {**super().document(), "bearerFormat": "JWT"}

    def owner(self, token: str) -> Any:
        """The identity behind a good token. Raises NotKnownError, KeysAwayError."""
        jwt = self._jwt
        try:
            key = self._key or self._of_set(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options=self._options,
            )
        except (jwt.PyJWTError, TypeError) as exc:  # TypeError: a key of another kind
            raise self.refused(_words(exc)) from None
        return self._find(claims)

    def _of_set(self, token: str) -> Any:
        # Of what nobody has verified yet, only the name of the key is believed.
        header = self._jwt.get_unverified_header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._algorithms:
            raise self._jwt.InvalidAlgorithmError
        found = self._keys.find(kid if isinstance(kid, str) else None)
        if found is None:
            raise self._jwt.InvalidKeyError
        if found.algorithm not in ("", algorithm):
            raise self._jwt.InvalidAlgorithmError
        return found.key


def _identity(claims: Mapping[str, Any]) -> TokenIdentity:
    said = claims.get("scope", claims.get("scp", ()))
    scopes = said.split() if isinstance(said, str) else said
    plain = [s for s in scopes if isinstance(s, str)] if isinstance(scopes, list | tuple) else []
    return TokenIdentity(
        subject=str(claims.get("sub", "")), scopes=frozenset(plain), claims=dict(claims)
    )


# What a client is told: which check has failed, and nothing of what the token holds.
_TOLD: Final = {
    "ExpiredSignatureError": "the token has expired",
    "ImmatureSignatureError": "the token is not valid yet",
    "InvalidAudienceError": "the token is not meant for this service",
    "InvalidIssuerError": "the token comes from another issuer",
    "InvalidSignatureError": "the signature is wrong",
    "InvalidAlgorithmError": "the token is signed in a way that is not taken here",
    "InvalidKeyError": "the token is signed with a key that is not known here",
}


def _words(exc: Exception) -> str:
    if claim := getattr(exc, "claim", ""):  # MissingRequiredClaimError
        return f"the token has no {claim}"
    return _TOLD.get(type(exc).__name__, "the token can't be read")


def _library() -> Any:
    try:
        import cryptography  # noqa: F401 — PyJWT itself does without, but only for shared secrets
        import jwt
    except ImportError:
        raise DeclarationError(
            "JwtAuth needs PyJWT, which is not installed", hint="pip install 'chapiteau[jwt]'"
        ) from None
    return jwt


def _checked(algorithms: Sequence[str]) -> list[str]:
    given = [algorithms] if isinstance(algorithms, str) else list(algorithms)
    known = (*_SHARED, *_PAIRED)
    for one in given:
        if one not in known:
            hint = did_you_mean(one, known) or f"known: {', '.join(known)}"
            raise DeclarationError(f"no algorithm {one!r} for tokens", hint=hint)
    if not given or len({one in _SHARED for one in given}) > 1:
        raise DeclarationError(
            "algorithms of shared secrets and of key pairs must not mix",
            hint="a public key would else pass as a secret: RFC 8725 §3.1",
        )
    return given


def _one_key(jwt: Any, key: Any, algorithms: list[str]) -> Any:
    raw = key.encode() if isinstance(key, str) else key
    least = max(_SHARED.get(one, 0) for one in algorithms)
    if least and len(raw) < least:
        raise DeclarationError(
            f"the secret has {len(raw)} bytes, {algorithms[0]} needs at least {least}",
            hint="python -c 'import secrets; print(secrets.token_hex(32))'",
        )
    made = None
    for one in algorithms:
        try:
            made = jwt.get_algorithm_by_name(one).prepare_key(raw)
        except (jwt.PyJWTError, ValueError, TypeError) as exc:
            raise DeclarationError(f"the key does not fit {one}: {exc}") from None
    if hasattr(made, "private_bytes"):
        raise DeclarationError(
            "that is a private key: who verifies needs the public one",
            hint="openssl pkey -in private.pem -pubout",
        )
    if getattr(made, "key_size", 2048) < 2048 and algorithms[0][:2] in ("RS", "PS"):
        raise DeclarationError("the RSA key has fewer than 2048 bits", hint="make a longer one")
    return made


# Who sends a request again: nobody may get what another caller was answered.


def caller_key(scheme: Any, environ: Mapping[str, Any], identity: Any) -> str:
    """What tells one caller from another, the same when it asks again.

    Whoever a signed token speaks of, since tokens are renewed; else the credential as it came.
    """
    if isinstance(identity, TokenIdentity) and identity.subject:
        return f"{identity.claims.get('iss', '')} {identity.subject}"
    told: Callable[[Mapping[str, Any]], str] | None = getattr(scheme, "credential", None)
    return str(environ.get("HTTP_AUTHORIZATION", "")) if told is None else told(environ)
