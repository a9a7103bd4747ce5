"""Chapiteau's generator, open loop, evenly spaced: prints lateness and latency as JSON.

URL SECONDS RATE TICK-MS
"""

import asyncio
import json
import sys
import time

from chapiteau.load.engine.backend import choose_backend
from chapiteau.load.engine.client import HttpClient
from chapiteau.load.scenario import arrivals
from chapiteau.load.scenario.shape import constant_shape
from chapiteau.load.scenario.suite import Scenario, Suite
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from chapiteau.load.workers.user_pool import RunContext, UserPool


async def main(url: str, seconds: float, rate: float, tick: float) -> None:
    recorder, totals, frames = Recorder(), Totals(), []
    client = HttpClient(choose_backend().reactor(asyncio.get_running_loop()), recorder, base=url)

    async def get(session):
        await session.get("/")

    crowd = UserPool(
        client,
        Suite((Scenario("get", get),)),
        recorder,
        RunContext(0, 1, {}),
        seed="1",
        most=10_000,
    )
    recorder.zero = time.monotonic() + 0.1
    cpu = time.process_time()
    moments = arrivals.round_to_tick(
        arrivals.even_arrivals(constant_shape(rate, seconds), 0, 1), tick
    )
    load = asyncio.create_task(crowd.arrivals(moments, asyncio.Event()))
    while not load.done():
        await asyncio.sleep(1)
        frames.append(recorder.flush())  # as a load process does; adding up is its parent's work
    await crowd.drain(2.0)
    core = (time.process_time() - cpu) / seconds
    for frame in (*frames, recorder.flush()):
        totals.add(frame)
    whole = totals.whole()
    print(json.dumps({
        "requests": totals.requests,
        "bad": totals.bad,
        "lag_p50": totals.lag.quantile(0.5),
        "lag_p99": totals.lag.quantile(0.99),
        "mean": whole.latency.mean,
        "p99": whole.latency.quantile(0.99),
        "p999": whole.latency.quantile(0.999),
        "max": whole.latency.high,
        "core": core,
    }))  # fmt: skip


asyncio.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]) / 1e3))
