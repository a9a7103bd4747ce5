"""Chapiteau's generator with a full session, closed loop; counts, histograms and all.

URL SECONDS CONNECTIONS REQUESTS-PER-SESSION
"""

import asyncio
import sys
import time

from chapiteau.load.engine.backend import choose_backend
from chapiteau.load.engine.client import HttpClient
from chapiteau.load.scenario.suite import Scenario, Suite
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from chapiteau.load.workers.user_pool import RunContext, UserPool


async def main(url: str, seconds: float, users: int, each: int) -> None:
    recorder, totals = Recorder(), Totals()
    client = HttpClient(choose_backend().reactor(asyncio.get_running_loop()), recorder, base=url)

    async def one(session):
        answer = await session.get("/")
        session.check(answer.status == 200, "answers")

    async def several(session):
        for _ in range(each):
            answer = await session.get("/")
            session.check(answer.status == 200, "answers")

    play = Suite((Scenario("get", one if each == 1 else several),))
    crowd = UserPool(client, play, recorder, RunContext(0, 1, {}), seed="1", most=users)
    recorder.zero = time.monotonic()
    load = asyncio.create_task(crowd.keep(lambda _at: users, seconds, asyncio.Event()))
    while not load.done():
        await asyncio.sleep(1)
        totals.add(recorder.flush())  # what a real run does once a second
    if totals.bad:
        raise SystemExit(f"{totals.bad} bad answers: {totals.samples}")


asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
