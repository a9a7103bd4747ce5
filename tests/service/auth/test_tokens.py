"""Signed tokens: what is taken, what is refused, and in which words (RFC 6750, RFC 8725)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization

from chapiteau.service import JwksFile, JwtAuth, OAuth2, OAuthFlow, OpenIdConnect, Service
from chapiteau.service.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.service.auth.conftest import Signer

    Build = Callable[..., Any]


def _client(build: Build, auth: Any) -> Any:
    service = Service("notes", "/notes", auth=auth)

    @service.get()
    def who(identity: Any) -> dict[str, Any]:
        return {"subject": identity.subject, "scopes": sorted(identity.scopes)}

    @service.post(scopes=["notes:write"])
    def write(identity: Any) -> str:
        return str(identity.subject)

    return build(service)


def _ask(client: Any, token: str | None, method: str = "get") -> Any:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return getattr(client, method)("/notes", headers=headers)


@pytest.fixture
def keys(tmp_path: Path, curve: Signer, numbers: Signer) -> JwksFile:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [curve.jwk, numbers.jwk]}))
    return JwksFile(path)


def test_a_good_token_is_known_by_its_claims(build: Build, keys: Any, curve: Signer) -> None:
    auth = JwtAuth(keys, audience="notes", issuer="us", algorithms=["ES256", "RS256"])
    client = _client(build, auth)
    token = curve.token(scope="notes:read notes:write")
    assert _ask(client, token).json() == {
        "subject": "ann", "scopes": ["notes:read", "notes:write"],
    }  # fmt: skip
    assert _ask(client, token, "post").json() == "ann"


def test_a_missing_scope_is_403_and_names_what_is_needed(
    build: Build, keys: Any, curve: Signer
) -> None:
    client = _client(build, JwtAuth(keys, audience="notes", algorithms=["ES256"]))
    refused = _ask(client, curve.token(scp=["notes:read"]), "post")
    assert refused.status == 403
    assert refused.headers["www-authenticate"] == (
        'Bearer realm="service", error="insufficient_scope",'
        ' error_description="needs notes:write", scope="notes:write"'
    )


def test_nothing_sent_is_401_without_an_error(build: Build, keys: Any) -> None:
    client = _client(build, JwtAuth(keys, audience="notes", algorithms=["ES256"]))
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Basic abc"}):
        answer = client.get("/notes", headers=headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="service"'


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"exp": 1}, "the token has expired"),
        ({"exp": None}, "the token has no exp"),
        ({"nbf": 99_999_999_999}, "the token is not valid yet"),
        ({"aud": "mail"}, "the token is not meant for this service"),
        ({"aud": None}, "the token has no aud"),
        ({"iss": "them"}, "the token comes from another issuer"),
        ({"iss": None}, "the token has no iss"),
    ],
)
def test_claims_that_are_wrong_are_401(
    build: Build, keys: Any, curve: Signer, claims: dict[str, Any], told: str
) -> None:
    client = _client(build, JwtAuth(keys, audience="notes", issuer="us", algorithms=["ES256"]))
    answer = _ask(client, curve.token(**claims))
    assert (answer.status, answer.json()["detail"]) == (401, told)
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="service", error="invalid_token", error_description="{told}"'
    )


def _unsigned(head: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = [json.dumps(part).encode() for part in (head, claims)]
    return ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts)


def test_tokens_that_nobody_has_signed_are_401(
    build: Build, keys: Any, curve: Signer, other: Signer, numbers: Signer
) -> None:
    client = _client(build, JwtAuth(keys, audience="notes", algorithms=["ES256", "RS256"]))
    claims = {"sub": "eve", "aud": "notes", "exp": time.time() + 60}
    good = curve.token()
    head, body, signature = good.split(".")
    _, others_body, _ = curve.token(sub="eve").split(".")
    # The public key as the secret of a hash: what a careless verifier would take.
    confused = _unsigned({"alg": "HS256", "kid": "numbers"}, claims)
    mac = hmac.new(numbers.public.encode(), confused.encode(), hashlib.sha256).digest()
    forged = {
        "none": _unsigned({"alg": "none"}, claims) + ".",
        "None": _unsigned({"alg": "None", "kid": "curve"}, claims) + ".",
        "no signature": f"{head}.{body}.",
        "another body": f"{head}.{others_body}.{signature}",
        "a stranger's key under our name": other.token(headers={"kid": "curve"}),
        "a stranger's key": other.token(),
        "the key of another kind": curve.token(headers={"kid": "numbers"}),
        "public key as secret": confused + "." + base64.urlsafe_b64encode(mac).decode().rstrip("="),
        "kid of another type": curve.token(headers={"kid": "../../etc/passwd"}),
        "no token": "abc",
        "not base64": "é.é.é",
        "own key in the head": other.token(headers={"jwk": other.jwk, "kid": "x"}),
    }
    for what, token in forged.items():
        answer = client.get("/notes", headers={"Authorization": f"Bearer {token}"})
        assert answer.status == 401, what
        assert 'error="invalid_token"' in answer.headers["www-authenticate"], what
    assert _ask(client, good).status == 200


def test_one_public_key_and_a_shared_secret(build: Build, curve: Signer, numbers: Signer) -> None:
    import jwt

    by_key = _client(build, JwtAuth(curve.public, audience=None, algorithms=["ES256"]))
    assert _ask(by_key, curve.token(aud="anything")).status == 200
    assert _ask(by_key, numbers.token()).status == 401
    secret = "s" * 32
    by_secret = _client(build, JwtAuth(secret, audience=None, algorithms=["HS256"]))
    claims = {"sub": "bob", "exp": time.time() + 60}
    assert _ask(by_secret, jwt.encode(claims, secret, "HS256")).json()["subject"] == "bob"
    assert _ask(by_secret, jwt.encode(claims, "t" * 32, "HS256")).status == 401


def test_leeway_and_an_identity_of_ones_own(build: Build, curve: Signer) -> None:
    people = {"ann": {"name": "Ann"}}
    auth = JwtAuth(
        curve.public, audience="notes", algorithms="ES256", leeway=30,
        find=lambda claims: people.get(claims["sub"]),
    )  # fmt: skip
    service = Service("me", "/me", auth=auth)
    service.add("GET", _name)
    client = build(service)
    late = {"Authorization": f"Bearer {curve.token(exp=time.time() - 10)}"}
    assert client.get("/me", headers=late).json() == "Ann"
    later = {"Authorization": f"Bearer {curve.token(exp=time.time() - 40)}"}
    assert client.get("/me", headers=later).status == 401
    nobody = {"Authorization": f"Bearer {curve.token(sub='eve')}"}
    assert client.get("/me", headers=nobody).status == 401


def _name(identity: Any) -> str:
    return str(identity["name"])


def test_what_can_not_be_safe_is_refused_at_start(curve: Signer) -> None:
    private = curve.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    wrong: list[tuple[Any, list[str], str]] = [
        (curve.public, ["none"], "no algorithm 'none'"),
        (curve.public, ["HS256", "ES256"], "must not mix"),
        (curve.public, [], "must not mix"),
        ("short", ["HS256"], "5 bytes"),
        (curve.public, ["HS256"], "does not fit"),
        (curve.public, ["RS256"], "does not fit"),
        (private, ["ES256"], "private key"),
    ]
    for key, algorithms, words in wrong:
        with pytest.raises(DeclarationError, match=words):
            JwtAuth(key, audience="notes", algorithms=algorithms)
    with pytest.raises(DeclarationError, match="public keys"):
        JwtAuth(JwksFile("x"), audience="notes", algorithms=["HS256"])


def test_without_the_library_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(DeclarationError) as told:
        JwtAuth("s" * 32, audience=None, algorithms=["HS256"])
    assert "chapiteau[jwt]" in (told.value.hint or "")


FLOW = OAuthFlow(
    token_url="https://id.example/token",
    authorization_url="https://id.example/ask",
    scopes={"notes:write": "Write notes."},
)


def test_oauth_flows_and_scopes_stand_in_the_document(build: Build, curve: Signer) -> None:
    tokens = JwtAuth(curve.public, audience="notes", algorithms=["ES256"])
    client = _client(build, OAuth2(tokens, authorization_code=FLOW))
    assert _ask(client, curve.token(scope="notes:write"), "post").json() == "ann"
    assert _ask(client, curve.token(), "post").status == 403
    document = client.get("/openapi.json").json()
    scheme = document["components"]["securitySchemes"]["oauth2"]
    assert scheme["type"] == "oauth2"
    assert scheme["flows"]["authorizationCode"]["scopes"] == {"notes:write": "Write notes."}
    post = document["paths"]["/notes"]["post"]
    assert post["security"] == [{"oauth2": ["notes:write"]}]
    assert {"401", "403"} <= set(post["responses"])
    _no_complaints(document)
    where = OpenIdConnect(tokens, "https://id.example/.well-known/openid-configuration")
    other = _client(build, where)
    assert _ask(other, curve.token()).status == 200
    _no_complaints(other.get("/openapi.json").json())


def _no_complaints(document: dict[str, Any]) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_a_scope_that_no_flow_gives_is_refused_at_start(curve: Signer) -> None:
    tokens = JwtAuth(curve.public, audience="notes", algorithms=["ES256"])
    service = Service("notes", "/notes", auth=OAuth2(tokens, client_credentials=FLOW))
    with pytest.raises(DeclarationError) as told:
        service.add("POST", lambda: 1, scopes=["notes:wriet"])
    assert "notes:write" in (told.value.hint or "")
    with pytest.raises(DeclarationError, match="scopes without auth"):
        Service("open", "/open").add("POST", lambda: 1, scopes=["notes:write"])
    with pytest.raises(DeclarationError, match="without a flow"):
        OAuth2(tokens)
    with pytest.raises(DeclarationError, match="authorization_url"):
        OAuth2(tokens, authorization_code=OAuthFlow(token_url="https://x/"))
