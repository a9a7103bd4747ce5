"""Chapiteau's generator with a full session, closed loop; counts, histograms and all.

URL SECONDS CONNECTIONS REQUESTS-PER-SESSION
"""

import asyncio
import sys
import time

from chapiteau.load.engine.crowd import Crowd, Stage
from chapiteau.load.engine.hot.kit import chosen
from chapiteau.load.engine.http.client import Client
from chapiteau.load.logic.scenario import Play, Scenario
from chapiteau.load.logic.tally import Tally
from chapiteau.load.logic.totals import Totals


async def main(url: str, seconds: float, users: int, each: int) -> None:
    tally, totals = Tally(), Totals()
    client = Client(chosen().reactor(asyncio.get_running_loop()), tally, base=url)

    async def one(session):
        answer = await session.get("/")
        session.check(answer.status == 200, "answers")

    async def several(session):
        for _ in range(each):
            answer = await session.get("/")
            session.check(answer.status == 200, "answers")

    play = Play((Scenario("get", one if each == 1 else several),))
    crowd = Crowd(client, play, tally, Stage(0, 1, {}), seed="1", most=users)
    tally.zero = time.monotonic()
    load = asyncio.create_task(crowd.keep(lambda _at: users, seconds, asyncio.Event()))
    while not load.done():
        await asyncio.sleep(1)
        totals.add(tally.flush())  # what a real run does once a second
    if totals.bad:
        raise SystemExit(f"{totals.bad} bad answers: {totals.samples}")


asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
