"""What both twins of the hot part promise, whatever is underneath."""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import random
import socket
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chapiteau.core.errors import UsageError
from chapiteau.core.histogram import Histogram
from chapiteau.load import ExchangeError
from chapiteau.load.engine import backend as kits
from chapiteau.load.engine.backend import (
    ENGINE_VARIABLE,
    PLAIN,
    EngineBackend,
    backend_of,
    choose_backend,
    compiled_backend,
    engine_problems,
)
from chapiteau.load.stats.recorder import EndpointStats
from tests.load.engine.test_session import ok, session, totals
from tests.load.server import answer, serving
from tests.support import wait_for_async

if TYPE_CHECKING:
    from tests.load.server import Asked


async def test_the_environment_chooses_a_twin(twin: EngineBackend) -> None:
    assert choose_backend().name == twin.name
    reactor = twin.reactor(asyncio.get_running_loop())
    assert backend_of(reactor).name == twin.name
    reactor.close()


def test_a_twin_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kits, "compiled_backend", lambda: None)
    assert choose_backend("") is PLAIN
    with pytest.raises(UsageError, match="was not built"):
        choose_backend("compiled")
    with pytest.raises(UsageError, match="only plain and compiled"):
        choose_backend("quick")


def test_a_stale_compiled_engine_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kits, "build_state", lambda _module: "stale")
    monkeypatch.delenv(ENGINE_VARIABLE, raising=False)
    compiled_backend.cache_clear()
    try:
        assert choose_backend("") is PLAIN
        with pytest.raises(UsageError, match="another version of its source"):
            choose_backend("compiled")
        (problem,) = engine_problems()
        assert "load tests run on plain Python" in str(problem)
        monkeypatch.setenv(ENGINE_VARIABLE, "plain")  # as wanted
        assert engine_problems() == ()
    finally:
        compiled_backend.cache_clear()


async def test_a_wakeup_is_a_future_to_asyncio(twin: EngineBackend) -> None:
    loop = asyncio.get_running_loop()
    wakeup = twin.completion(loop)
    assert asyncio.isfuture(wakeup)
    assert (wakeup.done(), wakeup.get_loop()) == (False, loop)
    seen: list[str] = []

    async def wait(name: str) -> None:
        await wakeup
        seen.append(name)

    tasks = [loop.create_task(wait(name)) for name in "abc"]
    await asyncio.sleep(0)
    loop.call_soon(wakeup.wake)
    await asyncio.gather(*tasks)
    assert seen == ["a", "b", "c"]
    await wakeup  # over: goes on at once
    wakeup.again()
    assert not wakeup.done()


async def test_a_failed_wakeup_raises_where_it_is_awaited(twin: EngineBackend) -> None:
    wakeup = twin.completion(asyncio.get_running_loop())
    asyncio.get_running_loop().call_soon(wakeup.fail, ExchangeError("timeout", "late"))
    with pytest.raises(ExchangeError, match="late"):
        await wakeup
    with pytest.raises(ExchangeError, match="late"):
        wakeup.result()
    assert isinstance(wakeup.exception(), ExchangeError)


async def test_a_cancelled_wakeup_wakes_who_waits(twin: EngineBackend) -> None:
    wakeup = twin.completion(asyncio.get_running_loop())

    async def wait() -> None:
        await wakeup

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    assert wakeup.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert wakeup.cancelled()
    assert not wakeup.cancel()


async def test_callbacks_can_be_taken_off(twin: EngineBackend) -> None:
    loop = asyncio.get_running_loop()
    wakeup = twin.completion(loop)
    called: list[int] = []

    def one(_w: Any) -> None:
        called.append(1)

    def two(_w: Any) -> None:
        called.append(2)

    for callback in (one, two, one):
        wakeup.add_done_callback(callback)
    assert wakeup.remove_done_callback(one) == 2
    wakeup.wake()
    assert called == [2]
    wakeup.add_done_callback(one)  # over already: in the loop's next turn
    await asyncio.sleep(0)
    assert called == [2, 1]


async def test_a_request_is_a_coroutine(twin: EngineBackend) -> None:
    async with serving(ok) as server, session(server.url) as s:
        request = s.get("/")
        assert isinstance(request, collections.abc.Coroutine)
        assert asyncio.iscoroutine(request)
        assert not asyncio.isfuture(request)
        assert (await asyncio.ensure_future(request)).status == 200
        with pytest.raises(RuntimeError, match="already awaited"):
            await request
        unused = s.get("/")
        unused.close()
    assert len(server.asked) == 1


async def test_a_request_that_is_forgotten_is_told_of(twin: EngineBackend) -> None:
    async with serving(ok) as server, session(server.url) as s:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            s.get("/")
            gc.collect()
        assert any("never awaited" in str(w.message) for w in found)


async def test_a_closed_request_gives_up_its_connection(twin: EngineBackend) -> None:
    async def never(_asked: Asked) -> bytes:
        await asyncio.Event().wait()
        return answer()

    async with serving(never) as server, session(server.url) as s:
        task = asyncio.ensure_future(s.get("/"))
        await wait_for_async(lambda: server.asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert s._client.connections == 0


async def test_an_answer_that_repeats_and_one_that_does_not(twin: EngineBackend) -> None:
    """The short cut for heads that came before must not be taken by any other answer."""
    sent = [
        answer(b"one"),
        answer(b"two"),
        answer(b"three"),
        answer(b"two", "404 Not Found"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n",
        answer(b"two", "200 OK", "Set-Cookie: a=1"),
        answer(b"two", "200 OK", "Set-Cookie: a=1"),
        answer(b"one"),
    ]

    async def next_one(asked: Asked) -> bytes:
        return sent[asked.number - 1]

    async with serving(next_one) as server, session(server.url) as s:
        found = []
        for number in range(len(sent)):
            response = await s.get("/")
            found.append((response.status, response.body))
            if number == 5:
                s.cookies.kept.clear()
        counted = totals(s)

    assert found == [
        (200, b"one"), (200, b"two"), (200, b"three"), (404, b"two"), (200, b"two"),
        (200, b"two"), (200, b"two"), (200, b"one"),
    ]  # fmt: skip
    assert server.connections == 1
    row = counted.rows["GET /"]
    assert (row.count, row.bad, row.statuses) == (8, 1, {"200": 7, "404": 1})
    assert row.received == sum(len(body) for _, body in found)
    assert row.service.count == 8
    assert "cookie: a=1" in server.asked[-1].head.lower()


async def test_what_the_kernel_does_not_take_at_once_goes_out_later(twin: EngineBackend) -> None:
    async with serving(ok) as server, session(server.url) as s:
        await s.get("/")
        response = await s.post("/", data=b"x" * (8 << 20))
    assert (response.status, len(server.asked[1].body)) == (200, 8 << 20)


async def test_the_kernel_says_how_long_an_answer_lay(twin: EngineBackend) -> None:
    async with serving(ok) as server, session(server.url) as s:
        await s.get("/")
        origin = next(iter(s._client._origins.values()))
        delay, until = Histogram(), time.monotonic() + 10
        # The kernel begins to stamp a moment after it was asked to.
        while not delay.count and time.monotonic() < until:
            origin.stamp(wanted=True)
            await s.get("/")
            origin.stamp(wanted=False)
            delay = Histogram.from_bytes(s._client.reactor.receive_delay.flush())
        await s.get("/")
        after = Histogram.from_bytes(s._client.reactor.receive_delay.flush())
    assert (delay.count, after.count) == (1, 0)
    assert 0 <= delay.high < 1_000_000


async def test_descriptors_of_others_are_served_too(twin: EngineBackend) -> None:
    loop = asyncio.get_running_loop()
    reactor = twin.reactor(loop)
    rung = loop.create_future()
    timer = reactor.timer(lambda: rung.set_result(time.monotonic()))
    due = time.monotonic() + 0.01
    timer.at(due)
    assert 0 <= await rung - due < 1
    timer.close()
    here, there = socket.socketpair()
    with here, there:
        heard = loop.create_future()
        reactor.watch(there.fileno(), heard.set_result)
        here.send(b"x")
        assert await heard & 1
        reactor.forget(there.fileno())
    reactor.close()
    reactor.poll()  # the loop may have had it in its queue


@given(st.lists(st.integers(-5, 1 << 44) | st.integers(0, 5000), max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_times_are_counted_as_the_histogram_does(twin: EngineBackend, values: list[int]) -> None:
    delay = twin.receive_delay()
    for value in values:
        delay.record(value)
    assert Histogram.from_bytes(delay.flush()) == Histogram.of(values)
    assert Histogram.from_bytes(delay.flush()).count == 0


def test_a_row_adds_what_both_ways_counted() -> None:
    row = EndpointStats("/")
    row.latency[3].append(500)

    class Metered:
        def flush(self) -> Any:
            service = Histogram.of([90, 100]).to_bytes()
            return {3: Histogram.of([100, 200]).to_bytes()}, service, {200: 2}, 7

    row.meter = Metered()
    frame = row.flush()
    assert frame is not None
    assert (frame.statuses, frame.received) == ({"200": 2}, 7)
    assert list(frame.seconds) == [3]


def _spoilt(chance: random.Random) -> bytes:
    """An answer with a byte or a piece of it wrong."""
    body = chance.randbytes(chance.choice([0, 5, 40]))
    framing = chance.choice(
        [f"Content-Length: {len(body)}", "Transfer-Encoding: chunked", "X: y", "Content-Length: 7"]
    )
    if framing.endswith("chunked"):
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    status = chance.choice(["200 OK", "204", "404 \xe9", "100 Continue", "999"])
    data = bytearray(f"HTTP/1.1 {status}\r\n{framing}\r\nA: b\r\n\r\n".encode("latin-1") + body)
    for _ in range(chance.randrange(3)):
        data[chance.randrange(min(len(data), 60))] = chance.randrange(256)
    return bytes(data[: chance.choice([len(data), len(data), chance.randrange(len(data))])])


async def test_both_twins_read_the_same_from_whatever_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = compiled_backend()
    if other is None:
        pytest.skip("the compiled load engine was not built")
    chance = random.Random(7)
    data = [_spoilt(chance) for _ in range(150)]

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(data[int(asked.split()[1][1:])])
        writer.close()

    async def read(name: str) -> list[Any]:
        monkeypatch.setenv(ENGINE_VARIABLE, name)
        found: list[Any] = []
        async with session(url, timeout=5.0) as s:
            for number in range(len(data)):
                try:
                    answer = await s.get(f"/{number}", allow_redirects=False)
                    found.append((answer.status, bytes(answer.body)))
                except ExchangeError as error:
                    found.append(error.kind)
        return found

    server = await asyncio.start_server(send, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        plain = await read("plain")
        assert plain == await read("compiled")
    assert {"bad answer", "closed early"} <= {one for one in plain if isinstance(one, str)}
    assert sum(isinstance(one, tuple) for one in plain) > 20
