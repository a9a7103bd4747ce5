"""The measuring client against a server that does every odd thing."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from chapiteau.core.errors import UsageError
from chapiteau.load import ExchangeError, Session
from chapiteau.load.engine.backend import choose_backend
from chapiteau.load.engine.client import HttpClient
from chapiteau.load.engine.origin import ConnectionSettings
from chapiteau.load.protocols import urls
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from tests.load.server import Asked, answer, serving
from tests.support import wait_for_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("twin")]


@asynccontextmanager
async def session(base: str, **more: Any) -> AsyncIterator[Session]:
    reactor = choose_backend().reactor(asyncio.get_running_loop())
    recorder = Recorder()
    recorder.zero = time.monotonic()
    client = HttpClient(reactor, recorder, base=base, **more)
    made = Session(client, seed="test")
    made.begin(0.0)
    try:
        yield made
    finally:
        client.close()
        reactor.close()


async def ok(_asked: Asked) -> bytes:
    return answer()


def totals(made: Session) -> Totals:
    counted = Totals()
    counted.add(made.recorder.flush())
    return counted


async def test_requests_arrive_as_they_were_meant() -> None:
    async with serving(ok) as server, session(server.url) as s:
        s.headers["X-Mine"] = "yes"
        await s.get("/a", params={"q": "x y"}, headers={"Accept": "text/plain"})
        await s.post("/b", json={"n": 1})
        await s.put("/c", data={"form": "field"})
        await s.request("PURGE", "/d", data=b"raw")

    get, post, put, purge = server.asked
    assert (get.method, get.path) == ("GET", "/a?q=x%20y")
    assert "accept: text/plain" in get.head
    assert "x-mine: yes" in get.head.lower()
    assert f"host: 127.0.0.1:{server.port}" in get.head
    assert (post.body, "content-type: application/json" in post.head) == (b'{"n":1}', True)
    assert put.body == b"form=field"
    assert (purge.method, purge.body) == ("PURGE", b"raw")


async def test_one_user_needs_one_connection() -> None:
    async with serving(ok) as server, session(server.url) as s:
        for _ in range(20):
            assert (await s.get("/")).text() == "ok"

    assert server.connections == 1
    assert [a.number for a in server.asked] == list(range(1, 21))


async def test_asyncio_works_around_it() -> None:
    """gather, TaskGroup, create_task, wait_for, context: whatever a library may do."""

    together = {"/2": 2, "/5": 5}  # who is answered only when so many have asked

    async def slow(asked: Asked) -> bytes:
        await wait_for_async(lambda: len(server.asked) >= together.get(asked.path, 0))
        return answer(asked.path.encode())

    async with serving(slow) as server, session(server.url) as s:
        both = await asyncio.gather(s.get("/1"), s.get("/2"))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(s.get(f"/{n}")) for n in (3, 4, 5)]
        late = await asyncio.wait_for(s.get("/6"), 60)
        done, _ = await asyncio.wait({asyncio.create_task(s.get("/7"))})

    texts = [r.text() for r in both] + [t.result().text() for t in tasks] + [late.text()]
    assert texts == ["/1", "/2", "/3", "/4", "/5", "/6"]
    assert done.pop().result().text() == "/7"
    assert server.connections == 3


async def test_a_cancelled_request_gives_up_its_connection() -> None:
    async def never(asked: Asked) -> bytes:
        if asked.path == "/hang":
            await asyncio.Event().wait()
        return answer()

    async with serving(never) as server, session(server.url) as s:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await s.get("/hang")
        assert (await s.get("/fine")).status == 200
        counted = totals(s)

    assert server.connections == 2
    assert counted.rows["GET /hang"].failures == {"given up": 1}
    assert counted.rows["GET /hang"].latency.high >= 45_000


async def test_a_request_that_the_end_of_the_test_cuts_off_is_no_error() -> None:
    async def never(_asked: Asked) -> bytes:
        await asyncio.Event().wait()
        return answer()

    async with serving(never) as server, session(server.url) as s:
        waiting = asyncio.create_task(s.get("/hang"))
        await wait_for_async(lambda: server.asked)
        s.recorder.stopping = True
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        counted = totals(s)

    row = counted.rows["GET /hang"]
    assert (row.bad, row.failures, row.cut, row.answered, row.count) == (0, {}, 1, 0, 1)


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_body_that_is_sent_again_elsewhere_keeps_its_type(status: str) -> None:
    async def move(asked: Asked) -> bytes:
        return answer() if asked.path == "/new" else answer(b"", status, "Location: /new")

    async with serving(move) as server, session(server.url) as s:
        await s.post("/old", json={"n": 1}, headers={"Content-Type": "application/x+json"})
        await s.post("/old", data={"form": "field"})

    again = [asked for asked in server.asked if asked.path == "/new"]
    assert [asked.body for asked in again] == [b'{"n":1}', b"form=field"]
    assert "content-type: application/x+json" in again[0].head
    assert "content-type: application/x-www-form-urlencoded" in again[1].head


async def test_a_connection_that_died_while_idle_is_replaced_unseen() -> None:
    """Only requests that may be repeated are; a POST may have been carried out."""

    async def once(asked: Asked) -> bytes | None:
        return answer() if asked.number == 1 else None

    async with serving(once) as server, session(server.url) as s:
        assert (await s.get("/one")).status == 200
        assert (await s.get("/two")).status == 200
        assert server.connections == 2
        with pytest.raises(ExchangeError) as caught:
            await s.post("/three", json=1)
        counted = totals(s)

    assert caught.value.kind == "closed early"
    assert counted.rows["POST /three"].failures == {"closed early": 1}
    assert counted.rows["GET /two"].bad == 0


async def test_a_fresh_connection_that_dies_is_an_error_not_a_loop() -> None:
    async def never(_asked: Asked) -> None:
        return None

    async with serving(never) as server, session(server.url) as s:
        with pytest.raises(ExchangeError):
            await s.get("/")

    assert server.connections == 1


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"SSH-2.0-x\r\n\r\n", "bad answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-Then-Close: 1\r\n\r\nshort", "closed early"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Then-Close: 1\r\n\r\nzz\r\n",
            "bad answer",
        ),
    ],
)
async def test_broken_answers_are_failures_with_a_name(data: bytes, kind: str) -> None:
    async def broken(_asked: Asked) -> bytes:
        return data

    async with serving(broken) as server, session(server.url) as s:
        with pytest.raises(ExchangeError) as caught:
            await s.get("/")
        assert totals(s).rows["GET /"].failures == {kind: 1}

    assert caught.value.kind == kind


async def test_time_limits_hold_in_each_phase() -> None:
    async def hang(_asked: Asked) -> bytes:
        await asyncio.Event().wait()
        return answer()

    async with serving(hang) as server, session(server.url, timeout=0.1) as s:
        with pytest.raises(ExchangeError, match="waiting for the answer") as caught:
            await s.get("/")
        row = totals(s).rows["GET /"]

    assert caught.value.kind == "first byte timeout"
    assert row.failures == {"first byte timeout": 1}
    assert row.latency.high >= 100_000


async def test_a_body_that_nobody_reads_is_a_write_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        async with session(url, timeout=0.2) as s:
            with pytest.raises(ExchangeError, match="while sending") as caught:
                await s.post("/", data=b"x" * 30_000_000)
    assert caught.value.kind == "write timeout"


async def test_an_answer_that_does_not_end_is_a_read_timeout() -> None:
    async def half(_asked: Asked) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"

    async with serving(half) as server, session(server.url, timeout=0.2) as s:
        with pytest.raises(ExchangeError) as caught:
            await s.get("/")
    assert caught.value.kind == "read timeout"


async def test_a_short_limit_behind_a_long_one_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """While DNS is silent, who waits with less patience goes first."""

    async def never(*_args: Any, **_more: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    async with session("http://slow.example", allowed=lambda _host: True) as s:
        patient = asyncio.ensure_future(s.get("/", timeout=20))
        await asyncio.sleep(0)
        with pytest.raises(ExchangeError) as caught:
            await s.get("/", timeout=0.1)
        assert not patient.done()
        patient.cancel()
    assert caught.value.kind == "DNS timeout"


async def test_nobody_there_is_said_so() -> None:
    async with serving(ok) as server:
        gone = server.url
    async with session(gone) as s:
        with pytest.raises(ExchangeError) as caught:
            await s.get("/")
        assert caught.value.kind == "connection refused"


async def test_every_session_starts_with_what_the_users_set_up_stored() -> None:
    async def cookies(asked: Asked) -> bytes:
        return answer(asked.head.encode(), "200 OK", f"Set-Cookie: at{asked.path[1:]}=1; Path=/")

    async with serving(cookies) as server, session(server.url) as s:
        await s.get("/login")
        s.settle()
        s.begin(0.0)
        await s.get("/first")
        s.begin(0.0)
        seen = (await s.get("/second")).text()

    assert "atlogin=1" in seen
    assert "atfirst" not in seen


async def test_large_bodies_pass_both_ways() -> None:
    big = bytes(range(256)) * 20_000

    async def echo(asked: Asked) -> bytes:
        parts = [asked.body[i : i + 70_001] for i in range(0, len(asked.body), 70_001)]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks

    async with serving(echo) as server, session(server.url) as s:
        back = await s.post("/", data=big)
        again = await s.post("/", data=b"small")

    assert back.body == big
    assert again.body == b"small"
    assert server.connections == 1


async def test_compressed_answers_are_undone_on_demand() -> None:
    async def packed(_asked: Asked) -> bytes:
        return answer(gzip.compress(b'{"a": 1}'), "200 OK", "Content-Encoding: gzip")

    async with serving(packed) as server, session(server.url) as s:
        response = await s.get("/")

    assert response.json() == {"a": 1}


async def test_statuses_count_as_bad_unless_expected() -> None:
    async def missing(_asked: Asked) -> bytes:
        return answer(b"no such thing", "404 Not Found")

    async with serving(missing) as server, session(server.url) as s:
        bad = await s.get("/x")
        fine = await s.get("/x", expect={404}, name="wanted")
        counted = totals(s)

    assert (bad.good, fine.good) == (False, True)
    assert (counted.rows["GET /x"].bad, counted.rows["wanted"].bad) == (1, 0)
    assert "no such thing" in counted.samples["GET /x: 404"]


async def test_no_more_connections_than_allowed_and_who_waits_is_served() -> None:
    async def slow(_asked: Asked) -> bytes:
        await asyncio.sleep(0.02)
        return answer()

    settings = ConnectionSettings(most_connections=2)
    async with serving(slow) as server, session(server.url, settings=settings) as s:
        await asyncio.gather(*[s.get("/") for _ in range(9)])
        waited = totals(s).rows["GET /"].latency.high

    assert server.connections == 2
    assert waited >= 80_000


async def test_tls_with_a_certificate_of_ones_own(tmp_path: Any) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    settings = ConnectionSettings(ca_file=str(tmp_path / "ca.pem"))

    async with serving(ok, context) as server:
        async with session(server.url, settings=settings) as s:
            for _ in range(3):
                assert (await s.get("/")).text() == "ok"
            assert server.connections == 1
        async with session(server.url) as s:
            with pytest.raises(ExchangeError, match="TLS handshake failed"):
                await s.get("/")
        async with session(server.url, settings=ConnectionSettings(verify=False)) as s:
            assert (await s.get("/")).status == 200


def tls(
    tmp_path: Any, *, ask: bool = False
) -> tuple[ssl.SSLContext, ConnectionSettings, ConnectionSettings]:
    """A server's context, and the settings of a client without and with a certificate."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    if ask:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    mine = authority.issue_cert("load@example.org")
    mine.private_key_and_cert_chain_pem.write_to_path(tmp_path / "mine.pem")
    ca = str(tmp_path / "ca.pem")
    return (
        context,
        ConnectionSettings(ca_file=ca),
        ConnectionSettings(ca_file=ca, client_certificate=f"{tmp_path}/mine.pem"),
    )


async def test_tls_sessions_are_resumed(tmp_path: Any) -> None:
    async def once(_asked: Asked) -> bytes:
        return answer(b"ok", "200 OK", "Connection: close", "X-Then-Close: yes")

    context, settings, _ = tls(tmp_path)
    async with serving(once, context) as server, session(server.url, settings=settings) as s:
        for _ in range(3):
            assert (await s.get("/")).text() == "ok"
    assert (server.connections, server.resumed) == (3, 2)


async def test_a_long_answer_is_not_searched_for_tickets_to_its_end(tmp_path: Any) -> None:
    """A look at the session costs 0.1 ms: four times the rest of a record of TLS."""
    looks: list[int] = []
    sessions: Any = ssl.SSLObject.__dict__["session"]

    def look(tls: ssl.SSLObject) -> Any:
        looks.append(1)
        return sessions.fget(tls)

    class Counting(ssl.SSLObject):
        session = property(look, sessions.fset)

    async def long(_asked: Asked) -> bytes:
        return answer(b"x" * 3_000_000)

    context, settings, _ = tls(tmp_path)
    async with serving(long, context) as server, session(server.url, settings=settings) as s:
        origin = s._client.origin(urls.parse(server.url))
        origin.tls_context().sslobject_class = Counting
        assert len((await s.get("/")).body) == 3_000_000
    assert 1 <= len(looks) <= 4


async def test_a_client_certificate_is_shown(tmp_path: Any) -> None:
    context, without, shown = tls(tmp_path, ask=True)
    async with serving(ok, context) as server:
        async with session(server.url, settings=shown) as s:
            assert (await s.get("/")).text() == "ok"
        async with session(server.url, settings=without) as s:
            with pytest.raises(ExchangeError):
                await s.get("/")


async def test_connecting_has_a_limit_of_its_own() -> None:
    """The peer takes the connection and never says a word of TLS."""
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        async with session(url, settings=ConnectionSettings(connect_timeout=0.05)) as s:
            with pytest.raises(ExchangeError, match="TLS handshake") as caught:
                await s.get("/")
            counted = totals(s)
    assert caught.value.kind == "TLS timeout"
    assert counted.rows["GET /"].failures == {"TLS timeout": 1}


async def test_dns_has_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_args: Any, **_more: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    settings = ConnectionSettings(connect_timeout=0.05)
    async with session("http://slow.example", settings=settings, allowed=lambda _host: True) as s:
        with pytest.raises(ExchangeError, match="DNS took too long") as caught:
            await s.get("/")
    assert caught.value.kind == "DNS timeout"


async def test_an_answer_has_a_time_to_begin() -> None:
    async def hang(asked: Asked) -> bytes:
        if asked.number > 1:
            await asyncio.Event().wait()
        return answer()

    settings = ConnectionSettings(first_byte_timeout=0.05)
    async with serving(hang) as server, session(server.url, settings=settings) as s:
        await s.get("/")
        with pytest.raises(ExchangeError) as caught:
            await s.get("/")
    assert caught.value.kind == "first byte timeout"


async def test_all_addresses_of_a_name_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(ok) as one, serving(ok, host="127.0.0.2", port=one.port) as other:

        async def found(_host: str, port: int, **_more: Any) -> Any:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in ("127.0.0.1", "127.0.0.2")
            ]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
        url = f"http://shop.example:{one.port}"
        async with session(url, allowed=lambda _host: True) as s:
            await asyncio.gather(*(s.get("/") for _ in range(6)))
    assert (one.connections, other.connections) == (3, 3)


async def test_a_header_that_would_break_the_request_is_refused() -> None:
    async with serving(ok) as server, session(server.url) as s:
        with pytest.raises(UsageError, match="can't be sent"):
            await s.get("/", headers={"X": "a\r\nEvil: 1"})

    assert server.asked == []


async def test_latency_counts_from_the_moment_it_was_due() -> None:
    async with serving(ok) as server, session(server.url) as s:
        s.begin(0.25)
        first = await s.get("/")
        second = await s.get("/")

    assert first.seconds >= 0.25 > first.service_seconds
    assert second.seconds < 0.25


async def test_chance_is_the_same_for_the_same_seed() -> None:
    async with session("") as one, session("") as two:
        assert [one.random.random() for _ in range(3)] == [two.random.random() for _ in range(3)]
        first = one.random.random()
        one.begin(0.0)
        assert one.random.random() != first
