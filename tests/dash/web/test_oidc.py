"""Logging in at an identity provider: a small one of our own, with real keys and real HTTP."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from chapiteau.core.problems import InvalidInputError
from chapiteau.dash.project import read_project
from chapiteau.dash.testing import MemoryNode
from chapiteau.dash.web.server import Server
from chapiteau.io.clock import SystemClock
from tests.dash.conftest import House, fill


class Team:
    """A provider (OpenID Connect): one person is logged in there, in these groups."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.published = [self.key]
        self.base = ""
        self.claims: dict[str, Any] = {"preferred_username": "ana", "groups": ["ops", "chess"]}
        self.userinfo: dict[str, Any] = {}
        self.changed: dict[str, Any] = {}  # claims that it gets wrong
        self.algorithm = "RS256"
        self.secret: Any = None
        self.codes: dict[str, dict[str, str]] = {}
        self.asked_for_keys = 0

    async def configuration(self, _request: web.Request) -> web.Response:
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
        paths = dict(zip(names, ("/authorize", "/token", "/keys", "/userinfo"), strict=True))
        urls = {name: self.base + path for name, path in paths.items()}
        return web.json_response({"issuer": self.base, **urls})

    async def authorize(self, request: web.Request) -> web.Response:
        code = f"code-{len(self.codes)}"
        self.codes[code] = dict(request.query)
        back = f"{request.query['redirect_uri']}?code={code}&state={request.query['state']}"
        return web.Response(status=302, headers={"Location": back})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self.codes.pop(str(form["code"]), None)
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        known = asked is not None and asked["code_challenge"] == challenge
        if not known or form.get("client_secret") != "the-secret":
            return web.json_response({"error": "invalid_grant"}, status=400)
        assert asked is not None
        now = int(time.time())
        claims = {
            "iss": self.base, "aud": asked["client_id"], "sub": "1", "iat": now,
            "exp": now + 60, "nonce": asked["nonce"], **self.claims, **self.changed,
        }  # fmt: skip
        token = jwt.encode(
            claims, self.secret or self.key, algorithm=self.algorithm, headers={"kid": "k1"}
        )
        return web.json_response({"id_token": token, "access_token": "a"})

    async def keys(self, _request: web.Request) -> web.Response:
        self.asked_for_keys += 1
        found = []
        for key in self.published:
            jwk = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
            found.append({**jwk, "kid": "k1", "use": "sig"})
        return web.json_response({"keys": found})

    async def user(self, _request: web.Request) -> web.Response:
        return web.json_response({"sub": "1", **self.userinfo})


@pytest.fixture
async def team() -> AsyncIterator[Team]:
    team = Team()
    app = web.Application()
    app.add_routes(
        [
            web.get("/.well-known/openid-configuration", team.configuration),
            web.get("/authorize", team.authorize),
            web.post("/token", team.token),
            web.get("/keys", team.keys),
            web.get("/userinfo", team.user),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    team.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield team
    await runner.cleanup()


@pytest.fixture
async def house(tmp_path: Path, team: Team) -> AsyncIterator[House]:
    secret = tmp_path / "secret"
    secret.write_text("the-secret\n")
    secret.chmod(0o600)
    (tmp_path / "chapiteau.toml").write_text(
        f'[project]\nname = "memory"\n[dash.oidc]\nissuer = "{team.base}"\nclient = "us"\n'
        'secret_file = "secret"\nlabel = "the team"\n'
        'roles = { ops = "operator", everybody = "viewer" }\n'
    )
    clock = SystemClock()
    node = MemoryNode(name="alpha", clock=clock, period=0.2)
    fill(node)
    server = Server(
        read_project(tmp_path), host="127.0.0.1", port=0, exact_port=True, clock=clock, node=node
    )
    async with server.running():
        yield House(server, node)


@contextlib.asynccontextmanager
async def browser(house: House) -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(house.base, cookie_jar=jar) as session:
        yield session


async def log_in(session: aiohttp.ClientSession) -> tuple[int, str]:
    """Follow the way there and back; the last status, and what was said or who one is."""
    async with session.get("/api/oidc/start") as answer:
        if answer.status != 200:
            return answer.status, (await answer.json(content_type=None))["detail"]
    async with session.get("/api/session") as answer:
        found = await answer.json(content_type=None)
        return answer.status, f"{found.get('name')} {found.get('role')}"


async def test_somebody_of_the_team_gets_in_with_their_role(house: House) -> None:
    async with browser(house) as session:
        async with session.get("/api/entry") as answer:
            assert await answer.json() == {"oidc": "the team", "said": ""}
        assert await log_in(session) == (200, "sso:ana operator")
        cookie = next(c for c in session.cookie_jar if c.key.startswith("chapiteau-"))
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")


async def test_groups_may_come_from_userinfo(house: House, team: Team) -> None:
    team.claims = {"email": "bo@example.org"}
    team.userinfo = {"groups": ["everybody"]}
    async with browser(house) as session:
        assert await log_in(session) == (200, "sso:bo@example.org viewer")


@pytest.mark.parametrize(
    ("changed", "status", "says"),
    [
        ({"groups": ["chess"]}, 403, "has no role here"),
        ({"aud": "somebody-else"}, 401, "not to be trusted"),
        ({"aud": ["us", "them"], "azp": "them"}, 401, "another program"),
        ({"iss": "https://evil.example"}, 401, "not to be trusted"),
        ({"exp": 1_000_000_000}, 401, "not to be trusted"),
        ({"nonce": "of another login"}, 401, "another login"),
    ],
)
async def test_what_is_not_for_us_opens_nothing(
    house: House, team: Team, changed: dict[str, Any], status: int, says: str
) -> None:
    team.changed = changed
    async with browser(house) as session:
        got, said = await log_in(session)
        assert (got, says in said) == (status, True), said
        assert not any(c.key == f"chapiteau-{house.server.port}" for c in session.cookie_jar)


async def test_signatures_that_anybody_can_make_are_refused(house: House, team: Team) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for algorithm, secret in (("none", ""), ("HS256", "x" * 40), ("RS256", stranger)):
        team.algorithm, team.secret = algorithm, secret
        async with browser(house) as session:
            status, said = await log_in(session)
            assert status == 401, (algorithm, said)


async def test_a_key_that_is_not_published_makes_few_questions(house: House, team: Team) -> None:
    team.published = []
    async with browser(house) as session:
        for _ in range(5):
            status, _said = await log_in(session)
            assert status == 401
    assert team.asked_for_keys == 1


async def test_a_login_begun_elsewhere_is_refused(house: House, team: Team) -> None:
    """A page must not log somebody in as somebody else (RFC 6749 §10.12)."""
    async with browser(house) as mine, browser(house) as other:
        async with mine.get("/api/oidc/start", allow_redirects=False) as answer:
            query = parse_qs(urlsplit(answer.headers["Location"]).query)
        async with mine.get(answer.headers["Location"], allow_redirects=False) as there:
            back = urlsplit(there.headers["Location"])
        async with other.get(f"{back.path}?{back.query}") as refused:
            assert refused.status == 401
            assert "another browser" in (await refused.json(content_type=None))["detail"]
        assert query["code_challenge_method"] == ["S256"]
        # And in the right one, once.
        for expected in (303, 401):
            async with mine.get(f"{back.path}?{back.query}", allow_redirects=False) as answer:
                assert answer.status == expected


async def test_a_provider_that_is_away_is_told(house: House) -> None:
    house.hub.provider._settings = read_project(
        house.server.project.config.parent
    ).dash.oidc.__class__(issuer="http://127.0.0.1:9", client="us", roles={"a": "admin"})
    async with browser(house) as session:
        status, said = await log_in(session)
    assert (status, "does not answer" in said) == (401, True)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('issuer = "http://login.example.org"\nclient = "us"\nroles = {a = "admin"}', "https://"),
        ('issuer = "https://x.org"\nroles = {a = "admin"}', "client"),
        ('issuer = "https://x.org"\nclient = "us"', "nobody could log in"),
        ('issuer = "https://x.org"\nclient = "us"\nroles = {a = "root"}', "no role"),
    ],
)
async def test_settings_that_give_the_login_away_are_refused(
    tmp_path: Path, lines: str, says: str
) -> None:
    (tmp_path / "chapiteau.toml").write_text(f'[project]\nname = "m"\n[dash.oidc]\n{lines}\n')
    server = Server(
        read_project(tmp_path), host="127.0.0.1", port=0, exact_port=True, clock=SystemClock()
    )
    with pytest.raises(InvalidInputError) as told:
        async with server.running():
            pass
    assert says in str(told.value) + told.value.hint


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("/service/web?range=60", "/service/web?range=60"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/a\r\nX: y", "/"),
    ],
)
async def test_the_way_in_leads_to_the_page_that_was_asked_for(
    house: House, wanted: str, place: str
) -> None:
    async with browser(house) as session:
        query = {"next": wanted}
        async with session.get("/api/oidc/start", params=query, allow_redirects=False) as answer:
            there = answer.headers["Location"]
        async with session.get(there, allow_redirects=False) as answer:
            back = answer.headers["Location"]
        async with session.get(back, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, place)


async def test_people_are_told_on_the_page_why_they_did_not_get_in(
    house: House, team: Team
) -> None:
    team.claims["groups"] = ["chess"]
    async with browser(house) as session:
        people = {"Accept": "text/html,*/*"}
        async with session.get("/api/oidc/start", headers=people) as answer:
            assert (answer.status, answer.url.path) == (200, "/")
        async with session.get("/api/entry") as answer:
            assert "has no role here" in (await answer.json())["said"]
        async with session.get("/api/entry") as answer:  # told once
            assert (await answer.json())["said"] == ""
