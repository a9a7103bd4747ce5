"""What an identity provider says, judged: is it for us, of now, and which role is that?"""

import base64
import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from chapiteau.core.clock import Clock
from chapiteau.dash.auth.access import Caller, Role
from chapiteau.dash.errors import LoginError, NotAllowedError
from chapiteau.dash.settings import Oidc
from chapiteau.io.secret_file import read_secret_file

__all__ = [
    "ALGORITHMS",
    "IdentityProvider",
    "authorize_query",
    "caller_of",
    "check_token",
    "endpoints",
]

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


# Logging in at an identity provider: OpenID Connect's code flow with PKCE, for a confidential
# or public client. Signatures by PyJWT (extra [jwt]).

_FRESH: Final = 3600.0  # seconds for which the provider's document and keys are kept
_AGAIN: Final = 10.0  # seconds between two fetches of keys, whatever ids tokens name
_PATIENCE: Final = 600.0  # seconds that a login may take at the provider
_MOST: Final = 1000  # logins on their way
_LEEWAY: Final = 60.0  # seconds by which clocks may differ
_LARGEST: Final = 1 << 20  # bytes of an answer


@dataclass(frozen=True, slots=True)
class _Begun:
    nonce: str
    verifier: str
    redirect: str
    until: float


class IdentityProvider:
    """One identity provider, asked when somebody logs in."""

    def __init__(self, settings: Oidc, folder: Path, clock: Clock) -> None:
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._document: tuple[float, dict[str, str]] | None = None
        self._keys: tuple[Any, ...] = ()
        self._asked = -_FRESH  # when for the keys

    @property
    def label(self) -> str:
        """What the button says."""
        return self._settings.label

    async def begin(self, redirect: str) -> tuple[str, str]:
        """Where to send the browser, and the state that it must come back with."""
        where = await self._endpoints()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        until = self._clock.now() + _PATIENCE
        self._begun[state] = _Begun(nonce, verifier, redirect, until)
        while len(self._begun) > _MOST:
            self._begun.popitem(last=False)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = authorize_query(
            client=self._settings.client,
            redirect=redirect,
            state=state,
            nonce=nonce,
            challenge=base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        )
        there = where["authorization_endpoint"]
        return f"{there}{'&' if '?' in there else '?'}{urlencode(query)}", state

    async def finish(self, state: str, code: str) -> Caller:
        """Who came back with that code. Raises LoginError, NotAllowedError."""
        begun = self._begun.pop(state, None)
        if begun is None or begun.until < self._clock.now():
            raise LoginError("this login was not begun here, or took too long", hint="try again")
        where = await self._endpoints()
        tokens = await self._exchange(where["token_endpoint"], begun, code)
        claims = await self._claims(where["jwks_uri"], str(tokens.get("id_token", "")))
        check_token(claims, client=self._settings.client, nonce=begun.nonce)
        if self._settings.claim not in claims and where["userinfo_endpoint"]:
            claims = {**claims, **await self._more(where, tokens, str(claims["sub"]))}
        return caller_of(claims, claim=self._settings.claim, roles=self._settings.roles)

    async def _endpoints(self) -> dict[str, str]:
        now = self._clock.now()
        if self._document is None or self._document[0] < now - _FRESH:
            issuer = self._settings.issuer.rstrip("/")
            found = await self._ask("GET", f"{issuer}/.well-known/openid-configuration")
            self._document = (now, endpoints(issuer, found))
        return self._document[1]

    async def _exchange(self, endpoint: str, begun: _Begun, code: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect,
            "client_id": self._settings.client,
            "code_verifier": begun.verifier,
        }
        if self._settings.secret_file:
            path = self._folder / self._settings.secret_file
            form["client_secret"] = read_secret_file("dash.oidc.secret_file", path)
        return await self._ask("POST", endpoint, data=form)

    async def _claims(self, jwks: str, token: str) -> dict[str, Any]:
        import jwt

        try:
            key = await self._key(jwks, str(jwt.get_unverified_header(token).get("kid", "")))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._settings.client,
                issuer=[self._settings.issuer, self._settings.issuer.rstrip("/") + "/"],
                leeway=_LEEWAY,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except jwt.PyJWTError as exc:
            raise LoginError(f"the provider's token is not to be trusted: {exc}") from exc
        return claims

    async def _key(self, jwks: str, kid: str) -> Any:
        """The key of that id; an unknown one makes us look again, but not for every stranger."""
        import jwt

        now = self._clock.now()
        for _ in range(2):
            for key in self._keys if self._asked > now - _FRESH else ():
                if kid in ("", key.key_id):
                    return key
            if self._asked > now - _AGAIN:
                break
            self._asked, self._keys = now, ()
            self._keys = tuple(jwt.PyJWKSet.from_dict(await self._ask("GET", jwks)).keys)
        raise LoginError("the provider signed with a key that it does not publish")

    async def _more(
        self, where: dict[str, str], tokens: dict[str, Any], subject: str
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
        found = await self._ask("GET", where["userinfo_endpoint"], headers=headers)
        if found.get("sub") != subject:  # OpenID Connect Core 1.0 §5.3.2
            raise LoginError("the provider told of somebody else")
        return found

    async def _ask(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=15)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(method, url, allow_redirects=False, **more) as answer,
            ):
                body = await answer.content.read(_LARGEST)
                if answer.status != 200:
                    raise LoginError(f"the identity provider refused ({answer.status})")
                found = json.loads(body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise LoginError(
                f"the identity provider does not answer ({type(exc).__name__})",
                hint="is dash.oidc.issuer right, and can this server reach it?",
            ) from exc
        if not isinstance(found, dict):
            raise LoginError("the identity provider's answer is no JSON object")
        return found
