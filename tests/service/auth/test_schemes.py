"""Client certificates behind a proxy, and schemes as Pyramid's security policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator
from pyramid.authorization import Allow

from chapiteau.service import (
    ApiKeyAuth,
    AuthPolicy,
    BearerAuth,
    CertificateAuth,
    CertificateSubject,
    JwtAuth,
    Service,
)
from chapiteau.service.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.service.auth.conftest import Signer

    Build = Callable[..., Any]

GOOD = {"HTTP_X_CLIENT_SUBJECT": "CN=ann,O=Acme", "HTTP_X_CLIENT_VERIFY": "SUCCESS"}


def test_a_certificate_is_believed_when_the_proxy_says_so() -> None:
    auth = CertificateAuth(header="X-Client-Subject", proxies=["10.0.0.0/8", "unix"])
    found = auth.identity({**GOOD, "REMOTE_ADDR": "10.1.2.3"})
    assert found == CertificateSubject(
        text="CN=ann,O=Acme", name="ann", parts=(("CN", "ann"), ("O", "Acme"))
    )
    assert auth.identity({**GOOD, "REMOTE_ADDR": ""}) == found  # over a unix socket
    refused: list[dict[str, str]] = [
        {**GOOD, "REMOTE_ADDR": "192.0.2.1"},  # anybody can write these headers
        {**GOOD, "REMOTE_ADDR": "127.0.0.1"},
        {**GOOD, "REMOTE_ADDR": "no address"},
        {**GOOD, "REMOTE_ADDR": "10.1.2.3", "HTTP_X_CLIENT_VERIFY": "FAILED:expired"},
        {"HTTP_X_CLIENT_SUBJECT": "CN=ann", "REMOTE_ADDR": "10.1.2.3"},
        {**GOOD, "REMOTE_ADDR": "10.1.2.3", "HTTP_X_CLIENT_SUBJECT": "nonsense"},
        {**GOOD, "REMOTE_ADDR": "10.1.2.3", "HTTP_X_CLIENT_SUBJECT": ""},
    ]
    for environ in refused:
        assert auth.identity(environ) is None, environ
    only_tcp = CertificateAuth(header="X-Client-Subject", proxies=["::1"])
    assert only_tcp.identity({**GOOD, "REMOTE_ADDR": ""}) is None
    with pytest.raises(DeclarationError, match="proxies"):
        CertificateAuth(header="X-Client-Subject", proxies=["nginx"])


def test_without_a_header_only_the_server_is_believed() -> None:
    auth = CertificateAuth()
    said = {"SSL_CLIENT_S_DN": "/O=Acme/CN=bob", "SSL_CLIENT_VERIFY": "SUCCESS"}
    assert auth.identity({**said, "REMOTE_ADDR": "192.0.2.1"}).name == "bob"
    forged = {f"HTTP_{name}": value for name, value in said.items()}
    assert auth.identity({**forged, "REMOTE_ADDR": "127.0.0.1"}) is None


def test_a_certificate_guards_an_operation(build: Build) -> None:
    people = {"ann": {"name": "Ann", "scopes": ["read"]}}
    auth = CertificateAuth(lambda subject: people.get(subject.name), header="X-Client-Subject")
    service = Service("me", "/me", auth=auth)

    @service.get(scopes=["read"])
    def me(identity: Any) -> str:
        return str(identity["name"])

    client = build(service)
    headers = {"X-Client-Subject": "CN=ann", "X-Client-Verify": "SUCCESS"}
    assert client.get("/me", headers=headers).json() == "Ann"
    unknown = client.get("/me", headers={**headers, "X-Client-Subject": "CN=eve"})
    assert (unknown.status, unknown.headers["www-authenticate"]) == (401, "ClientCertificate")
    document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"] == {"certificate": {"type": "mutualTLS"}}


def test_openapi_3_0_says_what_it_can_of_certificates_and_scopes(build: Build) -> None:
    """It knows no certificates (`http` with "mutual" is RFC 8120), and scopes of OAuth2 alone."""
    holders = CertificateAuth(header="X-Client-Subject")
    tokens = BearerAuth(lambda _token: None)
    machines, notes = Service("machines", "/machines", auth=holders), Service("notes", "/notes")
    machines.add("GET", lambda: 1, description="Machines.")
    notes.add("GET", lambda: 1, auth=tokens, scopes=["read"])
    notes.add("POST", lambda: 1, auth=tokens)
    document = build(machines, notes).get("/openapi.json?openapi=3.0").json()
    OpenAPIV30SpecValidator(document).validate()
    components = document["components"]
    assert components["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    assert components["x-securitySchemes"] == {"certificate": {"type": "mutualTLS"}}
    machine = document["paths"]["/machines"]["get"]
    assert machine["security"] == []
    assert machine["x-security"] == [{"certificate": []}]
    assert machine["description"] == "Machines.\n\nA client certificate is asked for (mutual TLS)."
    read, write = (document["paths"]["/notes"][method] for method in ("get", "post"))
    assert (read["security"], read["x-security"]) == ([{"bearer": []}], [{"bearer": ["read"]}])
    assert write["security"] == [{"bearer": []}]
    assert "x-security" not in write


def test_nobody_is_answered_with_what_another_caller_got(build: Build, curve: Signer) -> None:
    """The same Idempotency-Key of two callers are two; that of one with a newer token is one."""
    schemes: list[tuple[Any, dict[str, str], dict[str, str], bool]] = [
        (ApiKeyAuth(str), {"X-API-Key": "a"}, {"X-API-Key": "b"}, False),
        (
            CertificateAuth(header="X-Client-Subject"),
            {"X-Client-Subject": "CN=ann", "X-Client-Verify": "SUCCESS"},
            {"X-Client-Subject": "CN=bob", "X-Client-Verify": "SUCCESS"},
            False,
        ),
        (BearerAuth(str), {"Authorization": "Bearer a"}, {"Authorization": "Bearer b"}, False),
        (
            JwtAuth(curve.public, audience="notes", algorithms=["ES256"]),
            {"Authorization": f"Bearer {curve.token(jti='1')}"},
            {"Authorization": f"Bearer {curve.token(jti='2')}"},
            True,
        ),
    ]
    orders: list[int] = []

    def order(amount: int) -> int:
        """Order."""
        orders.append(amount)
        return len(orders)

    for scheme, first, second, same in schemes:
        service = Service("orders", "/orders", auth=scheme)
        service.add("POST", order, idempotent=True)
        client = build(service)
        for headers in (first, first, second):
            answer = client.post("/orders?amount=1", headers={**headers, "Idempotency-Key": "k"})
            assert answer.status == 200, scheme
        assert len(orders) == (1 if same else 2), scheme
        orders.clear()


class Notes:
    """A context: who writes may write, everybody in staff may read."""

    __acl__ = ((Allow, "scope:write", "write"), (Allow, "staff", "read"), (Allow, "ann", "read"))

    def __init__(self, _request: Any) -> None:
        pass


USERS = {
    "a": {"name": "ann", "scopes": "write read"},
    "b": {"name": "bob", "groups": ["staff"]},
    "c": {"name": "cid"},
}


def test_a_scheme_as_security_policy_answers_401_to_strangers_and_403_to_others(
    build: Build,
) -> None:
    service = Service("notes", "/notes", factory=Notes)
    service.add("GET", _userid, permission="read")
    service.add("POST", _userid, permission="write")
    policy = AuthPolicy(BearerAuth(USERS.get), groups=lambda user: user.get("groups", ()))
    client = build(service, more=lambda config: config.set_security_policy(policy))

    def ask(method: str, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return getattr(client, method)("/notes", headers=headers)

    assert (ask("get", "a").json(), ask("get", "b").json()) == ("ann", "bob")
    assert ask("post", "a").json() == "ann"
    assert ask("post", "b").status == 403
    assert ask("get", "c").status == 403
    stranger = ask("get")
    assert (stranger.status, stranger.json()["code"]) == (401, "not-known")
    assert stranger.headers["www-authenticate"] == 'Bearer realm="service"'
    document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["paths"]["/notes"]["post"]["security"] == [{"bearer": []}]
    assert {"401", "403"} <= set(document["paths"]["/notes"]["post"]["responses"])
    wrong = ask("get", "zzz")
    assert wrong.status == 401
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]


def _userid(request: Any) -> str:
    return str(request.authenticated_userid)


def test_the_user_id_of_a_token_is_its_subject(build: Build, curve: Signer) -> None:
    service = Service("notes", "/notes", factory=Notes)
    service.add("GET", _userid, permission="read")
    policy = AuthPolicy(JwtAuth(curve.public, audience="notes", algorithms=["ES256"]))
    client = build(service, more=lambda config: config.set_security_policy(policy))
    headers = {"Authorization": f"Bearer {curve.token()}"}
    assert client.get("/notes", headers=headers).json() == "ann"
    assert policy.remember(None, "ann") == policy.forget(None) == []
    assert AuthPolicy(BearerAuth(str)).authenticated_userid(_Bare()) == "x"


class _Bare:
    """A request with nothing but credentials."""

    environ = {"HTTP_AUTHORIZATION": "Bearer x"}  # noqa: RUF012

    def add_finished_callback(self, _callback: Any) -> None:
        pass
