"""What must not get in: strangers, foreign pages, rebinding, used tokens, big frames."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.auth.access import VERBS, Caller, Role, allowed
from chapiteau.dash.auth.sessions import hash_password
from chapiteau.dash.testing import MemoryNode
from chapiteau.dash.web import live
from tests.support import wait_for_async

_WEB = [{"node": "alpha", "service": "web"}]
READS = ["/api/session", "/api/fleet", "/api/history?node=alpha", "/api/load", "/api/audit"]


async def status(session: aiohttp.ClientSession, method: str, path: str, **more: Any) -> int:
    async with session.request(method, path, **more) as answer:
        await answer.read()
        return answer.status


@pytest.mark.parametrize("path", READS)
async def test_without_a_session_nothing_is_told(house: Any, path: str) -> None:
    async with house.client(login=False) as session:
        assert await status(session, "GET", path) == 401


async def test_without_a_session_the_socket_stays_shut(house: Any) -> None:
    async with house.client(login=False) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect("/api/live")
        assert refused.value.status == 401


async def test_the_link_works_once(house: Any) -> None:
    token = house.hub.sessions.token
    async with house.client(login=False) as session:
        assert await status(session, "POST", "/api/login", json={"token": token}) == 200
    async with house.client(login=False) as session:
        assert await status(session, "POST", "/api/login", json={"token": token}) == 401
        assert await status(session, "GET", "/api/session") == 401


async def test_the_address_file_has_the_new_token_and_is_ours_alone(house: Any) -> None:
    async with house.client():
        file = house.server.project.address_file
        assert house.hub.sessions.token in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600
        assert house.server.project.store.stat().st_mode & 0o777 == 0o600


async def test_behind_a_proxy_with_tls_the_cookie_never_travels_in_the_clear(house: Any) -> None:
    origin = house.base.replace("http://", "https://")
    async with house.client(login=False) as session:
        token = {"token": house.hub.sessions.token}
        sent = {"Origin": origin}
        async with session.post("/api/login", json=token, headers=sent) as answer:
            assert answer.status == 200
            assert "Secure" in answer.headers["Set-Cookie"]


async def test_the_cookie_is_out_of_reach_of_scripts_and_foreign_pages(house: Any) -> None:
    async with house.client(login=False) as session:
        token = {"token": house.hub.sessions.token}
        async with session.post("/api/login", json=token) as answer:
            cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


async def test_right_logins_are_never_too_many(house: Any) -> None:
    """A team behind one address comes at nine in the morning."""
    house.hub.store.keep_account("ana", 1, hash_password("correct horse"), 1.0)
    right = {"name": "ana", "password": "correct horse"}
    async with house.client(login=False) as session:
        for _ in range(8):
            assert await status(session, "POST", "/api/login", json=right) == 200


async def test_behind_a_proxy_one_guesser_slows_nobody_else(house: Any) -> None:
    house.hub.store.keep_account("ana", 1, hash_password("correct horse"), 1.0)
    right = {"name": "ana", "password": "correct horse"}
    async with house.client(login=False) as session:

        async def login(address: str, body: dict[str, str]) -> int:
            sent = {"X-Forwarded-For": f"10.1.1.1, {address}"}
            return await status(session, "POST", "/api/login", json=body, headers=sent)

        for _ in range(6):
            assert await login("203.0.113.7", {"token": "x"}) == 401
        assert await login("203.0.113.7", right) == 401  # too many tries from there
        assert await login("203.0.113.8", right) == 200


async def test_guessing_tokens_is_made_slow(house: Any) -> None:
    async with house.client(login=False) as session:
        for _ in range(5):
            assert await status(session, "POST", "/api/login", json={"token": "x"}) == 401
        token = {"token": house.hub.sessions.token}
        async with session.post("/api/login", json=token) as answer:
            assert answer.status == 401
            assert "too many tries" in (await answer.json(content_type=None))["detail"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8800", "127.0.0.1.evil.example"])
async def test_a_foreign_host_name_is_refused_everywhere(house: Any, host: str) -> None:
    async with house.client() as session:
        for path in ("/", "/api/fleet", "/favicon.svg"):
            assert await status(session, "GET", path, headers={"Host": host}) == 403


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "http://evil.example"}, id="foreign origin"),
        pytest.param({"Origin": "null"}, id="sandboxed page"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="cross-site fetch"),
        pytest.param({"X-Chapiteau": ""}, id="without our header"),
    ],
)
async def test_a_foreign_page_changes_nothing(house: Any, headers: dict[str, str]) -> None:
    body = {"verb": "stop", "targets": [{"node": "alpha", "service": "web"}]}
    async with house.client() as session:
        sent = {"Idempotency-Key": "k", **headers}
        assert await status(session, "POST", "/api/act", json=body, headers=sent) == 403
    assert house.node.commands == []


async def test_a_proxy_that_drops_the_port_is_told_apart_from_a_foreign_page(house: Any) -> None:
    async with house.client() as session:
        headers = {"Origin": "http://127.0.0.1:18843"}
        async with session.post("/api/act", json={}, headers=headers) as answer:
            told = await answer.json()
    assert answer.status == 403
    assert "the page is http://127.0.0.1:18843" in told["hint"]


async def test_a_form_can_not_post(house: Any) -> None:
    async with house.client() as session:
        kind = {"Content-Type": "text/plain"}
        assert await status(session, "POST", "/api/act", data=b"{}", headers=kind) == 400


@pytest.mark.parametrize("origin", ["http://evil.example", None])
async def test_a_foreign_page_gets_no_socket(house: Any, origin: str | None) -> None:
    async with house.client() as session:
        cookies = {c.key: c.value for c in session.cookie_jar}
    headers = {"Origin": origin} if origin else {}
    async with aiohttp.ClientSession(house.base, cookies=cookies, headers=headers) as stranger:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await stranger.ws_connect("/api/live")
        assert refused.value.status == 403


async def test_what_is_refused_says_so_in_its_own_words(house: Any) -> None:
    async with house.client() as session:
        huge = io.BytesIO(b"a" * (2 << 20))
        kind = {"Content-Type": "application/json"}
        async with session.post("/api/act", data=huge, headers=kind) as answer:
            told = await answer.json()
            assert (answer.status, told["title"]) == (413, "Usage")
        async with session.get("/api/act") as answer:
            told = await answer.json()
            assert (answer.status, told["title"], told["hint"]) == (405, "Usage", "it takes POST")


async def test_getting_never_changes_anything(house: Any) -> None:
    async with house.client() as session:
        for path in ("/api/act", "/api/login", "/api/logout", "/api/try"):
            assert await status(session, "GET", path) in (404, 405)
    assert house.node.commands == []


async def test_every_answer_forbids_inline_and_foreign_code(house: Any) -> None:
    async with house.client() as session:
        for path in ("/", "/service/web", "/api/fleet", "/api/nothing", "/assets/nothing.js"):
            async with session.get(path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert not re.search(r"https?:", policy)
                assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_page_has_no_inline_script_or_style(house: Any) -> None:
    async with house.client() as session, session.get("/") as answer:
        page = await answer.text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)


async def test_no_path_reaches_a_file_of_the_machine(house: Any) -> None:
    async with house.client() as session:
        for path in ("/assets/..%2f..%2fapp.py", "/assets/%2e%2e/%2e%2e/app.py", "/assets/a%00b"):
            url = URL(house.base + path, encoded=True)
            async with session.get(url) as answer:
                assert answer.status in (400, 404)
        for path in ("/api/load/..%2f..%2fx/report", "/api/load/1e9/report"):
            assert await status(session, "GET", path) == 404


async def test_a_huge_frame_closes_the_socket(house: Any, open_live: Any) -> None:
    async with house.client() as session, open_live(session) as page:
        with contextlib.suppress(ConnectionError):  # the hub may hang up before all is sent
            await page.socket.send_str("x" * (10 << 20))
        message = await page.socket.receive(timeout=60)
        assert message.type is not aiohttp.WSMsgType.TEXT
    async with house.client() as session:
        assert await status(session, "GET", "/api/fleet") == 200


async def test_who_never_reads_is_let_go(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chapiteau.dash.web.live._HEARTBEAT", 0.2)
    async with house.client() as session:
        (cookie,) = list(session.cookie_jar)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    writer.write(
        f"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1:{house.server.port}\r\nOrigin: {house.base}\r\n"
        f"Cookie: {cookie.key}={cookie.value}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    order = b'{"op":"sub","topic":"events"}'
    writer.write(bytes((0x81, 0x80 | len(order), 0, 0, 0, 0)) + order)
    _, port = writer.get_extra_info("sockname")
    await wait_for_async(lambda: any(v.topics for v in house.hub.bus.viewers))
    assert held(port)
    house.hub.bus.every("events", {"events": [], "pad": "x" * (16 << 20)})
    await wait_for_async(lambda: not held(port), what="its connection is let go")
    assert not house.hub.bus.viewers
    writer.transport.abort()


def held(far_port: int) -> bool:
    """Whether a process has the connection with this far end; one that was let go has inode 0."""
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    found = [row.split() for row in rows if row.split()[2].endswith(f":{far_port:04X}")]
    return any(words[9] != "0" for words in found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"op":"rm"}',
        '{"op":"sub","topic":"secrets"}',
        '{"op":["sub"]}',
        '{"op":"pace","seconds":"soon"}',
        '{"op":"pace","seconds":[]}',
        '{"op":"log","id":1,"nodes":5}',
        '{"op":"log","id":1,"query":"x"}',
        pytest.param("[" * 50_000, id="deep"),
    ],
)
async def test_a_strange_order_closes_the_socket(house: Any, open_live: Any, text: str) -> None:
    async with house.client() as session, open_live(session) as page:
        await page.socket.send_str(text)
        message = await page.socket.receive(timeout=60)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == 1008


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_may_do_what_its_table_says(house: Any, role: Role) -> None:
    session_id = house.hub.sessions.begin(Caller(name="ana", role=role))
    async with house.client(login=False) as session:
        session.cookie_jar.update_cookies({f"chapiteau-{house.server.port}": session_id})
        async with session.get("/api/session") as answer:
            assert set((await answer.json())["verbs"]) == {v for v in VERBS if allowed(role, v)}
        for verb in ("start", "stop", "restart", "reload", "scale", "signal", "drain", "undrain"):
            body = {"verb": verb, "targets": [{"node": "alpha", "service": "web"}]}
            got = await status(
                session, "POST", "/api/act", json=body, headers={"Idempotency-Key": verb}
            )
            assert got == (202 if allowed(role, verb) else 403)
        expected = 200 if allowed(role, "audit") else 403
        assert await status(session, "GET", "/api/audit") == expected


async def test_logging_out_ends_the_session_everywhere(house: Any) -> None:
    async with house.client() as session:
        kept = {c.key: c.value for c in session.cookie_jar}
        assert await status(session, "POST", "/api/logout", json={}) == 200
    async with aiohttp.ClientSession(house.base, cookies=kept) as thief:
        assert await status(thief, "GET", "/api/session") == 401


@pytest.mark.parametrize(
    "path",
    ["//evil.example/x", "http://evil.example/", "/a\\b", "/a\r\nHost: x", "no-slash", "/a b"],
)
async def test_trying_reaches_only_paths_of_the_service(house: Any, path: str) -> None:
    from chapiteau.dash.errors import BadRequestError
    from chapiteau.dash.fleet.fetch import fetch
    from chapiteau.dash.fleet.node import ServiceRequest

    with pytest.raises(BadRequestError):
        await fetch(await house.node.status(), ServiceRequest(service="web", path=path))


@pytest.mark.parametrize("way", ["ended here", "removed by another process", "idle"])
async def test_an_open_page_does_not_outlive_its_session(
    house: Any, open_live: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(live, "_RECHECK", 0.01)
    async with house.client() as session, open_live(session) as page:
        await page.order(op="sub", topic="fleet")
        assert await page.next("fleet")
        sessions = house.hub.sessions
        if way == "idle":
            monkeypatch.setattr(sessions, "_ended", lambda *_: True)
        elif way == "ended here":
            for key in list(sessions._live):
                sessions._live.pop(key)
        else:
            for key in house.hub.store.sessions():
                house.hub.store.drop_session(key)
        while not page.socket.closed:
            await page.socket.receive(timeout=60)
        assert page.socket.close_code == 1008


async def test_a_full_disk_shuts_nobody_out(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = house.hub.sessions

    def full(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    def no_room() -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        for name in ("keep_session", "touch_session"):
            patch.setattr(house.hub.store, name, full)
        patch.setattr(sessions, "_renewed", no_room)
        patch.setattr("chapiteau.dash.auth.sessions._WRITE_EVERY", -1.0)
        async with house.client() as session:
            async with session.get("/api/session") as answer:
                assert answer.status == 200
            (cookie,) = session.cookie_jar
            assert sessions.holds(cookie.value)
            patch.undo()  # there is room again
            monkeypatch.setattr("chapiteau.dash.auth.sessions._WRITE_EVERY", -1.0)
            async with session.get("/api/session") as answer:
                assert answer.status == 200
            assert len(house.hub.store.sessions()) == 1


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("POST /api/login", b'{"token": ' + b"[" * 100_000),
        ("POST /api/login", b'{"token": "\\ud800"}'),
        ("POST /api/login\nX-Forwarded-For: \xff", b'{"token": "no"}'),
        ("GET /api/session\nCookie: chapiteau-PORT=\xff\xfe", b""),
        ("GET /api/session\nCookie: chapiteau-PORT=\xc3\xa9", b""),
        ("GET /api/entry\nCookie: chapiteau-oidc-said=%ff%ED%A0%80", b""),
        ("GET /api/oidc/done?state=a\nCookie: chapiteau-oidc=\xff", b""),
    ],
)
async def test_odd_bytes_of_a_stranger_are_refused(house: Any, head: str, body: bytes) -> None:
    line, *more = head.replace("PORT", str(house.server.port)).split("\n")
    kind = ["Content-Type: application/json", "X-Chapiteau: 1", f"Content-Length: {len(body)}"]
    lines = [f"{line} HTTP/1.1", f"Host: 127.0.0.1:{house.server.port}", *kind, *more, "", ""]
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    writer.write("\r\n".join(lines).encode("latin-1") + body)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    writer.close()
    assert 200 <= int(answer.split()[1]) < 500, answer
    assert b"aiohttp" not in answer
    assert b"Python" not in answer


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", "/api/audit?before=" + "9" * 5_000, {}),
        ("GET", "/api/audit?before=" + "9" * 30, {}),
        ("GET", "/api/history?node=alpha&seconds=" + "9" * 30, {}),
        ("POST", "/api/act", {"json": {"verb": "stop", "targets": _WEB, "change": 1}}),
        ("POST", "/api/act", {"json": {"verb": "stop", "targets": [{**_WEB[0], "x": 1}]}}),
        ("POST", "/api/act", {"json": {"change": 1}}),
        ("POST", "/api/act", {"json": {"verb": "stop", "targets": _WEB, "options": {"change": 1}}}),
    ],
)
async def test_what_a_call_does_not_take_is_refused(
    house: Any, method: str, path: str, more: dict[str, Any]
) -> None:
    async with house.client() as session:
        headers = {"Idempotency-Key": "k"}
        async with session.request(method, path, headers=headers, **more) as answer:
            assert answer.status == 400, await answer.text()
    assert house.node.commands == []


@pytest.mark.parametrize(("code", "expected"), [(2, 400), (3, 404), (4, 409), (6, 504), (1, 500)])
async def test_what_a_node_refuses_is_told_with_its_word(
    house: Any, monkeypatch: pytest.MonkeyPatch, code: int, expected: int
) -> None:
    async def read(*_: Any) -> Any:
        raise ChapiteauError("no service 'wbe'", hint="web", exit_code=code)  # as a link gives it

    monkeypatch.setattr(MemoryNode, "read", read)
    async with house.client() as session:
        async with session.get("/api/nodes/alpha/v1/status") as answer:
            told = await answer.json()
        assert (answer.status, told["detail"], told["hint"]) == (
            expected,
            "no service 'wbe'",
            "web",
        )


@pytest.mark.parametrize("key", [b"\xff", b"a\tb", b""])
async def test_a_key_that_can_not_be_kept_is_refused(house: Any, key: bytes) -> None:
    async with house.client() as session:
        headers = {"Idempotency-Key": key.decode(errors="surrogateescape")}
        async with session.post(
            "/api/act", json={"verb": "stop", "targets": _WEB}, headers=headers
        ) as answer:
            assert answer.status == 400
            assert "Idempotency-Key" in (await answer.json())["hint"]
