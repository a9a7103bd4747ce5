"""Chapiteau's generator on other kinds of connections, closed loop.

URL SECONDS CONNECTIONS keep|close|http2|websocket; prints µs of CPU for each request or message.
"""

import asyncio
import sys
import time

from chapiteau.load.engine.backend import choose_backend
from chapiteau.load.engine.client import HttpClient
from chapiteau.load.engine.origin import ConnectionSettings
from chapiteau.load.scenario.suite import Scenario, Suite
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from chapiteau.load.workers.user_pool import RunContext, UserPool


async def main(url: str, seconds: float, users: int, kind: str) -> None:
    recorder, totals = Recorder(), Totals()
    settings = ConnectionSettings(http2=kind == "http2", verify=False)
    headers = {"Connection": "close"} if kind == "close" else {}
    loop = asyncio.get_running_loop()
    client = HttpClient(
        choose_backend().reactor(loop), recorder, base=url, settings=settings, headers=headers
    )
    messages = 0

    async def get(session):
        answer = await session.get("/")
        session.check(answer.status == 200, "answers")

    async def talk(session):
        nonlocal messages
        async with session.websocket(url.replace("http", "ws", 1) + "/") as socket:
            while True:
                await socket.ask("x" * 100)
                messages += 1

    play = Suite((Scenario("one", talk if kind == "websocket" else get),))
    crowd = UserPool(client, play, recorder, RunContext(0, 1, {}), seed="1", most=users)
    recorder.zero = time.monotonic()
    stop = asyncio.Event()
    load = asyncio.create_task(crowd.keep(lambda _at: users, seconds, stop))

    def count() -> int:
        totals.add(recorder.flush())  # what a real run does once a second
        return messages if kind == "websocket" else totals.requests

    await asyncio.sleep(1)
    done, cpu = count(), time.process_time()
    until = time.monotonic() + seconds - 1.5
    while time.monotonic() < until:
        await asyncio.sleep(0.5)
        now = count()
    if totals.bad:
        raise SystemExit(f"{totals.bad} bad answers: {totals.samples}")
    print((time.process_time() - cpu) / (now - done) * 1e6)
    load.cancel()


asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
