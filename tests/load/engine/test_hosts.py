"""Where requests may go: names, addresses, redirects."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.load import ExchangeError
from chapiteau.load.engine.origin import ConnectionSettings
from chapiteau.load.errors import TargetNotAllowedError
from tests.load.engine.test_session import ok, session, totals
from tests.load.server import answer, serving

if TYPE_CHECKING:
    from tests.load.server import Asked

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("twin")]


async def test_redirects_are_followed_with_cookies_and_count_once() -> None:
    async def moving(asked: Asked) -> bytes:
        if asked.path == "/login":
            return answer(b"", "303 See Other", "Location: /home", "SET-Cookie: sid=1; Path=/")
        return answer(asked.head.encode())

    async with serving(moving) as server, session(server.url) as s:
        home = await s.post("/login", json={})
        stay = await s.get("/login", allow_redirects=False)
        counted = totals(s)

    assert "cookie: sid=1" in home.text()
    assert server.asked[1].method == "GET"
    assert stay.status == 303
    assert counted.rows["POST /login"].statuses == {"200": 1}
    assert counted.requests == 2


async def test_a_redirect_keeps_the_requests_fields_and_tells_other_hosts_no_secrets() -> None:
    async def here(asked: Asked) -> bytes:
        if asked.path == "/away":
            return answer(b"", "307 Moved", f"Location: {other.url}/there", "Set-cookie: sid=1")
        return answer(b"", "307 Moved", "location: /away")

    async with serving(ok) as other, serving(here) as server, session(server.url) as s:
        s.headers["Authorization"] = "Bearer s-1"
        s.headers["X-Trace"] = "7"
        fields = {"X-Own": "1", "Authorization": "Bearer r-1"}
        await s.post("/", json={"a": 1}, headers=fields)
        await s.get("/", headers={"X-Own": "2"})

    first, second = (asked.head.lower() for asked in server.asked[:2])
    assert first.count("bearer r-1") == second.count("bearer r-1") == 1
    assert "x-own: 1" in second
    assert server.asked[1].body == server.asked[0].body != b""
    for asked, own in zip(other.asked, ("x-own: 1", "x-own: 2"), strict=True):
        head = asked.head.lower()
        assert own in head
        assert "x-trace: 7" in head
        assert "bearer" not in head
        assert f"host: 127.0.0.1:{other.port}" in head
    assert "content-type: application/json" in other.asked[0].head
    assert "content-" not in other.asked[1].head


async def test_a_redirect_to_a_foreign_host_is_refused() -> None:
    async def away(_asked: Asked) -> bytes:
        return answer(b"", "302 Found", "Location: http://example.com/x")

    async with serving(away) as server, session(server.url) as s:
        with pytest.raises(TargetNotAllowedError, match=r"example\.com"):
            await s.get("/")


async def test_redirects_in_a_circle_end() -> None:
    async def circle(_asked: Asked) -> bytes:
        return answer(b"", "302 Found", "Location: /")

    async with serving(circle) as server, session(server.url) as s:
        with pytest.raises(ExchangeError, match="redirects"):
            await s.get("/")

    assert len(server.asked) <= 12


async def test_a_name_is_resolved_and_an_unknown_one_is_told() -> None:
    async with serving(ok) as server:
        async with session(f"http://localhost:{server.port}") as s:
            # localhost may come first as ::1, where nobody listens: all addresses take turns.
            for _ in range(4):
                with contextlib.suppress(ExchangeError):
                    await s.get("/")
        assert server.asked
        settings = ConnectionSettings(resolve=(("shop.localhost", "127.0.0.1"),))
        async with session(f"http://shop.localhost:{server.port}", settings=settings) as s:
            assert (await s.get("/")).status == 200
    assert f"host: shop.localhost:{server.port}" in server.asked[-1].head


async def test_where_nobody_listens_is_forgotten_when_a_name_of_this_machine_has_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(ok, host="127.0.0.2") as gone, serving(ok) as server:
        port = server.port

    async def found(*_: Any, **__: Any) -> Any:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (at, port)) for at in ("127.0.0.3", "127.0.0.1", "127.0.0.4")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
    async with serving(ok, port=port), session(f"http://localhost:{port}") as s:
        answers = await asyncio.gather(*(s.post("/", json={}) for _ in range(9)))
        counted = totals(s)
    assert [a.status for a in answers] == [200] * 9
    assert counted.bad == 0
    assert gone.asked == []


async def test_no_dns_makes_a_name_of_this_machine_somebody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def found(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
    async with session("http://shop.localhost") as s:
        with pytest.raises(ExchangeError, match=r"192\.0\.2\.7, which is not this machine"):
            await s.get("/")
    settings = ConnectionSettings(resolve=(("shop.localhost", "192.0.2.7"),))
    async with session("http://shop.localhost", settings=settings) as s:
        with pytest.raises(TargetNotAllowedError, match=r"192\.0\.2\.7"):
            await s.get("/")


async def test_foreign_hosts_are_refused_before_anything_is_sent() -> None:
    async with session("") as s:
        with pytest.raises(TargetNotAllowedError, match=r"example\.com"):
            await s.get("http://example.com/")
