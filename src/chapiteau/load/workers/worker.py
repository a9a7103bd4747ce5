"""One load process: takes orders on a socket, runs sessions, reports every second.

Started as `python -m chapiteau.load.workers.worker FD`. It ends when the socket does, so a dead
parent leaves no load behind.
"""

import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chapiteau.core.histogram import Histogram
from chapiteau.load.engine.backend import choose_backend
from chapiteau.load.engine.client import HttpClient
from chapiteau.load.engine.origin import ssl_context
from chapiteau.load.errors import ScenarioError
from chapiteau.load.inputs.access_log import ReplayFlow
from chapiteau.load.protocols.urls import is_allowed
from chapiteau.load.scenario import arrivals
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.scenario.suite import Level, Suite
from chapiteau.load.stats.frames import Counts, Frame, encode_frame
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.workers.documents import read_source, replay_of
from chapiteau.load.workers.external import external_suite
from chapiteau.load.workers.messages import (
    Bye,
    Go,
    Over,
    Prepare,
    Ready,
    Report,
    Second,
    Setup,
    Shared,
    encode_message,
    order_reader,
)
from chapiteau.load.workers.order_executor import OrderExecutor
from chapiteau.load.workers.plan import CommandSource, FileSource, Plan, UrlSource
from chapiteau.load.workers.stall_detector import StallDetector
from chapiteau.load.workers.suite_loader import suite_from_file, suite_from_flow, suite_from_url
from chapiteau.load.workers.user_pool import RunContext, UserPool, call_fixture

__all__ = ["Worker", "main"]


class Worker(OrderExecutor):
    """Carries out the parent's orders."""

    def __init__(self, channel: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._channel = channel
        self._loop = loop
        self._reactor = choose_backend().reactor(loop)
        self._recorder = Recorder()
        self._stop = asyncio.Event()
        self._cpu = time.process_time()
        self._job: Setup | None = None
        self._suite = Suite(())
        self._replay: ReplayFlow | None = None
        self._context = RunContext(0, 1, {})
        self._stalls = StallDetector(loop, time.monotonic)
        self._client: HttpClient | None = None
        self._pool: UserPool | None = None
        self._change: Callable[[Shape], None] = lambda _shape: None  # what the step does with one

    # ── orders ────────────────────────────────────────────────────────────────────────────────
    async def setup(self, order: Setup) -> None:
        """Read the scenario; in the first worker, run the run's set-up."""
        self._job, plan = order, order.plan
        self._replay = replay_of(plan.source, order.first, order.total)
        self._suite = _suite(plan, self._replay).only(plan.scenarios)
        self._context = RunContext(
            order.first, order.total, dict(plan.options), base=plan.base, asked=dict(plan.asked)
        )
        self._client = self._make_client(plan)
        shared: Any = None
        if self._is_first():
            shared = await self._set_up("run")
        try:
            json.dumps(shared)
        except TypeError:
            raise ScenarioError(
                "what the run's set-up returned can't be given to the workers as JSON",
                hint="return numbers, strings, lists and dicts",
            ) from None
        self.report(Shared(shared))

    async def prepare(self, order: Prepare) -> None:
        """Run the worker's set-up and make the users' pool."""
        self._context.share(order.shared)
        await self._set_up("worker")
        if self._client is None or self._job is None:
            raise ScenarioError("prepare before setup")
        plan = self._job.plan
        self._pool = UserPool(
            self._client,
            self._suite,
            self._recorder,
            self._context,
            seed=plan.seed,
            most=plan.most_users,
            pace=plan.pace,
        )
        self._stalls.start()
        self.report(Ready())

    async def go(self, order: Go, *, stopped: bool) -> None:
        """Put a shape of load on the service, reporting every second."""
        pool, step = self._pool, order.step
        if pool is None or self._job is None:
            raise ScenarioError("go before prepare")
        number, total = self._job.first, self._job.total
        self._stop.clear()
        if stopped:
            self._stop.set()
        self._recorder.restart(order.zero)
        self._cpu = time.process_time()
        reports = self._loop.create_task(self._report_seconds(order.zero))
        self._stalls.flush()  # set-ups may take their time
        try:
            if step.open:
                await pool.arrivals(self._moments(self._job, order, pool), self._stop)
            else:
                sessions = step.sessions
                if sessions is not None:
                    sessions = arrivals.share(sessions, number, total)
                users = self._users(step.shape, number, total)
                await pool.keep(users, step.shape.seconds, self._stop, sessions)
            if self._stop.is_set():
                self._recorder.end_early()
            cut = await pool.drain(0.0 if self._stop.is_set() else step.drain)
        finally:
            self._change = lambda _shape: None
            reports.cancel()
        if pool.broken is not None:
            raise pool.broken
        last = self._frame(Counts(cut=cut, used_up=pool.used_up, workers=1))
        self.report(Over(encode_frame(last)))

    async def end(self) -> None:
        """Tear down and leave."""
        problems: list[str] = []
        self._stalls.stop()
        if self._pool is not None:
            await self._pool.close()
            problems += await self._tear_down("worker")
        if self._is_first():
            problems += await self._tear_down("run")
        if self._client is not None:
            self._client.close()
        self.report(Bye(self._context.refused, problems))
        self._reactor.close()

    def stop_step(self) -> None:
        """End the step under way."""
        self._stop.set()

    def reshape(self, shape: Shape) -> None:
        """Go on along another shape."""
        self._change(shape)

    def _is_first(self) -> bool:
        """Whether the run's own set-up and tear-down happen here; on many machines they don't."""
        return self._job is not None and self._job.first == 0 and not self._job.coordinated

    # ── parts ─────────────────────────────────────────────────────────────────────────────────
    def _make_client(self, plan: Plan) -> HttpClient:
        ssl_context(plan.connection)  # files that are no good are told before anything is sent
        return HttpClient(
            self._reactor,
            self._recorder,
            base=plan.base,
            headers=plan.headers,
            timeout=plan.timeout,
            settings=plan.connection,
            divert=plan.divert,
            allowed=lambda host: is_allowed(host, plan.allow),
        )

    def _users(self, shape: Shape, number: int, total: int) -> Callable[[float], int]:
        """How many users this process keeps at each moment."""
        now = shape

        def change(other: Shape) -> None:
            nonlocal now
            now = other

        self._change = change
        return lambda at: arrivals.share(round(now.level(at)), number, total)

    def _moments(self, job: Setup, order: Go, pool: UserPool) -> Iterator[float]:
        """When this process's sessions begin."""
        tick, shape = job.plan.tick, order.step.shape
        if self._replay is not None:
            return arrivals.round_to_tick(self._replay.moments, tick)
        if order.step.arrivals == "even":
            course, part = arrivals.even_arrivals(shape, job.first, job.total, tick=tick), 1.0
        else:
            seed = f"{job.plan.seed}/{order.step.step}/{job.first}"
            part = 1 / job.total
            course = arrivals.poisson_arrivals(shape.scaled(part), random.Random(seed), tick=tick)  # noqa: S311
        self._change = lambda other: pool.retime(course.change(other.scaled(part)))
        return iter(course)

    async def _tear_down(self, level: Level) -> list[str]:
        """Every tear-down, also after one that failed; what went wrong."""
        problems = []
        for fixture in self._suite.at("teardown", level):
            try:
                await call_fixture(fixture.run, self._context)
            except Exception as exc:  # noqa: BLE001 — the load has been put on: its result counts
                what = f"{type(exc).__name__}: {exc}"
                name = getattr(fixture.run, "__name__", "a function")
                problems.append(f"the {level}'s teardown, {name}, failed: {what}")
        return problems

    async def _set_up(self, level: Level) -> Any:
        result: Any = None
        for fixture in self._suite.at("setup", level):
            try:
                made = await call_fixture(fixture.run, self._context)
            except Exception as exc:
                raise ScenarioError(
                    f"the {level}'s setup, {fixture.run.__name__}, failed: "
                    f"{type(exc).__name__}: {exc}"
                ) from exc
            if made is not None:
                result = {**result, **made} if isinstance(result, dict) else made
        return result

    async def _report_seconds(self, zero: float) -> None:
        second = 0
        while True:
            await asyncio.sleep(max(0.0, zero + second + 1 - time.monotonic()))
            cpu = time.process_time()
            used, self._cpu = round(cpu - self._cpu, 6), cpu
            running = self._pool.running if self._pool is not None else 0
            frame = self._frame(Counts(running={second: running}, cpu={second: [used]}))
            self.report(Second(second, encode_frame(frame)))
            if self._pool is not None and self._pool.broken is not None:
                self._stop.set()
            second += 1

    def _frame(self, more: Counts) -> Frame:
        frame = self._recorder.flush()
        frame.merge(more)
        frame.merge(self._stalls.flush())
        unread = Histogram.from_bytes(self._reactor.receive_delay.flush())
        frame.merge(Counts(unread=unread, users=self._pool.users if self._pool is not None else 0))
        return frame

    def report(self, report: Report) -> None:
        """Tell the parent; a parent that is gone is found out by the reader."""
        with contextlib.suppress(OSError):
            self._channel.sendall(encode_message(report))


def _suite(plan: Plan, replay: ReplayFlow | None) -> Suite:
    if replay is not None:
        return suite_from_flow(replay)
    match plan.source:
        case FileSource():
            return suite_from_file(Path(plan.source.path), dict(plan.options))
        case CommandSource():
            return external_suite(list(plan.source.command), plan.base)
        case UrlSource():
            return suite_from_url(plan.source.url)
        case document:
            return suite_from_flow(read_source(document).flow)


async def _obey(channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    worker = Worker(channel, loop)
    reader = order_reader()

    def arrived() -> None:
        try:
            data = channel.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if not data:
            os._exit(0)  # the parent is gone: stop at once, whatever the scenario is doing
        for order in reader.feed(data):
            worker.take(order)

    loop.add_reader(channel, arrived)
    await worker.carry_out()
    loop.remove_reader(channel)


def main() -> None:
    """Take orders from the descriptor that the command line names."""
    # Ctrl-C goes to the whole group of the terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a scenario prints is for people; standard output belongs to the command's own data.
    os.dup2(2, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        asyncio.run(_obey(channel))


if __name__ == "__main__":
    main()
