"""One load process: takes orders as JSON lines on a socket, runs sessions, reports every second.

    orders   setup · prepare · go · shape · stop · end
    reports  shared · ready · second · over · bye · broken

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
from dataclasses import fields
from pathlib import Path
from typing import Any

from chapiteau.core.errors import ChapiteauError
from chapiteau.core.histogram import Histogram
from chapiteau.io.json_lines import LineReader, encode_line
from chapiteau.load.engine.backend import choose_backend
from chapiteau.load.engine.client import HttpClient
from chapiteau.load.engine.origin import ConnectionSettings, ssl_context
from chapiteau.load.errors import ScenarioError
from chapiteau.load.inputs.access_log import ReplayFlow
from chapiteau.load.protocols.urls import is_allowed
from chapiteau.load.scenario import arrivals
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.scenario.suite import Suite
from chapiteau.load.stats.recorder import Frame, Recorder, encode_histogram
from chapiteau.load.workers.documents import read_source, replay_of
from chapiteau.load.workers.external import external_suite
from chapiteau.load.workers.stall_detector import StallDetector
from chapiteau.load.workers.suite_loader import suite_from_file, suite_from_flow, suite_from_url
from chapiteau.load.workers.user_pool import RunContext, UserPool, call_fixture

__all__ = ["Worker", "main"]


class Worker:
    """Carries out the parent's orders."""

    def __init__(self, channel: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._reactor = choose_backend().reactor(loop)
        self._tally = Recorder()
        self._stop = asyncio.Event()
        self._turn = 0  # the step at hand, counted
        self._ended = 0  # the last step that was told to end
        self._cpu = time.process_time()
        self._plan: dict[str, Any] = {}
        self._play = Suite(())
        self._replay: ReplayFlow | None = None
        self._stage = RunContext(0, 1, {})
        self._stalls = StallDetector(loop, time.monotonic)
        self._client: HttpClient | None = None
        self._crowd: UserPool | None = None
        self._change: Callable[[Shape], None] = lambda _shape: None  # what the step does with one

    # ── orders ────────────────────────────────────────────────────────────────────────────────
    async def setup(self, order: dict[str, Any]) -> None:
        """Read the scenario; in the first worker, run the run's set-up."""
        plan = self._plan = order["plan"]
        self._replay = _replay(plan)
        self._play = _play(plan, self._replay).only(plan.get("scenarios", ()))
        self._stage = RunContext(
            plan["worker"], plan["workers"], plan.get("options", {}), asked=plan.get("asked", {})
        )
        self._stage.base = plan.get("base", "")
        self._client = self._make_client(plan)
        shared: Any = None
        if self._first():
            shared = await self._fixtures("setup", "run")
        try:
            json.dumps(shared)
        except TypeError:
            raise ScenarioError(
                "what the run's set-up returned can't be given to the workers as JSON",
                hint="return numbers, strings, lists and dicts",
            ) from None
        self.say({"is": "shared", "shared": shared})

    async def prepare(self, order: dict[str, Any]) -> None:
        """Run the worker's set-up and make the crowd."""
        self._stage.shared = order["shared"]
        await self._fixtures("setup", "worker")
        if self._client is None:
            raise ScenarioError("prepare before setup")
        self._crowd = UserPool(
            self._client,
            self._play,
            self._tally,
            self._stage,
            seed=self._plan["seed"],
            most=self._plan["most_users"],
            pace=self._plan.get("pace", 0.0),
        )
        self._stalls.start()
        self.say({"is": "ready"})

    async def go(self, order: dict[str, Any]) -> None:
        """Put a shape of load on the service, reporting every second."""
        crowd = self._crowd
        if crowd is None:
            raise ScenarioError("go before prepare")
        self._begin(order["turn"])
        self._tally.restart(order["zero"])
        self._cpu = time.process_time()
        reports = self._loop.create_task(self._report(order["zero"]))
        self._stalls.flush()  # set-ups may take their time
        shape = Shape.from_list(order["shape"])
        try:
            if order["model"] == "open":
                await crowd.arrivals(self._moments(shape, order, crowd), self._stop)
            else:
                await crowd.keep(
                    self._users(shape, order), shape.seconds, self._stop, order.get("sessions")
                )
            self._tally.stopping = self._stop.is_set()
            cut = await crowd.drain(0.0 if self._stop.is_set() else order["drain"])
        finally:
            self._change = lambda _shape: None
            reports.cancel()
        if crowd.broken is not None:
            raise crowd.broken
        self.say({"is": "over", "cut": cut, "used_up": crowd.used_up, **self._frame()})

    async def end(self, _order: dict[str, Any]) -> None:
        """Tear down and leave."""
        problems: list[str] = []
        self._stalls.stop()
        if self._crowd is not None:
            await self._crowd.close()
            problems += await self._tear_down("worker")
        if self._first():
            problems += await self._tear_down("run")
        if self._client is not None:
            self._client.close()
        self.say({"is": "bye", "refused": self._stage.refused, "problems": problems})
        self._reactor.close()

    def stop(self, turn: int) -> None:
        """End that step. Another one that is at hand goes on; one that has not begun will not."""
        self._ended = max(self._ended, turn)
        if turn >= self._turn:
            self._stop.set()

    def reshape(self, order: dict[str, Any]) -> None:
        """Go on along another shape, if the step it is meant for is still at hand."""
        if order["turn"] == self._turn:
            self._change(Shape.from_list(order["shape"]))

    def _begin(self, turn: int) -> None:
        self._turn = turn
        self._stop.clear()
        if self._ended >= turn:
            self._stop.set()

    def _first(self) -> bool:
        """Whether the run's own set-up and tear-down happen here; on many machines they don't."""
        return self._plan.get("worker") == 0 and not self._plan.get("conducted")

    # ── parts ─────────────────────────────────────────────────────────────────────────────────
    def _make_client(self, plan: dict[str, Any]) -> HttpClient:
        allowed = frozenset(plan.get("allow", ()))
        wiring = dict(plan.get("wiring", {}))
        known = {f.name for f in fields(ConnectionSettings)}
        if "resolve" in wiring:
            wiring["resolve"] = tuple((host, address) for host, address in wiring["resolve"])
        chosen_wiring = ConnectionSettings(**{k: v for k, v in wiring.items() if k in known})
        ssl_context(chosen_wiring)  # files that are no good are told before anything is sent
        return HttpClient(
            self._reactor,
            self._tally,
            base=plan.get("base", ""),
            headers=plan.get("headers", {}),
            timeout=plan["timeout"],
            wiring=chosen_wiring,
            divert=plan.get("divert", ""),
            allowed=lambda host: is_allowed(host, allowed),
        )

    def _users(self, shape: Shape, order: dict[str, Any]) -> Callable[[float], int]:
        """How many users this process keeps at each moment."""
        now, part, parts = shape, order["part"], order["parts"]

        def change(other: Shape) -> None:
            nonlocal now
            now = other

        self._change = change
        return lambda at: arrivals.share(round(now.level(at)), part, parts)

    def _moments(self, shape: Shape, order: dict[str, Any], crowd: UserPool) -> Iterator[float]:
        """When this process's sessions begin."""
        tick = self._plan.get("tick", 0.0)
        if self._replay is not None:
            return arrivals.round_to_tick(self._replay.moments, tick)
        worker, workers = self._plan["worker"], self._plan["workers"]
        if order["arrivals"] == "even":
            course, part = arrivals.even_arrivals(shape, worker, workers, tick=tick), 1.0
        else:
            seed = f"{self._plan['seed']}/{order.get('step', 0)}/{worker}"
            part = 1 / workers
            course = arrivals.poisson_arrivals(shape.scaled(part), random.Random(seed), tick=tick)  # noqa: S311
        self._change = lambda other: crowd.retime(course.change(other.scaled(part)))
        return iter(course)

    async def _tear_down(self, level: Any) -> list[str]:
        """Every tear-down, also after one that failed; what went wrong."""
        problems = []
        for fixture in self._play.at("teardown", level):
            try:
                await call_fixture(fixture.run, self._stage)
            except Exception as exc:  # noqa: BLE001 — the load has been put on: its result counts
                what = f"{type(exc).__name__}: {exc}"
                name = getattr(fixture.run, "__name__", "a function")
                problems.append(f"the {level}'s teardown, {name}, failed: {what}")
        return problems

    async def _fixtures(self, when: Any, level: Any) -> Any:
        result: Any = None
        for fixture in self._play.at(when, level):
            try:
                made = await call_fixture(fixture.run, self._stage)
            except Exception as exc:
                raise ScenarioError(
                    f"the {level}'s {when}, {fixture.run.__name__}, failed: "
                    f"{type(exc).__name__}: {exc}"
                ) from exc
            if made is not None:
                result = {**result, **made} if isinstance(result, dict) else made
        return result

    async def _report(self, zero: float) -> None:
        second = 0
        while True:
            second += 1
            await asyncio.sleep(max(0.0, zero + second - time.monotonic()))
            self.say({"is": "second", "second": second - 1, **self._frame()})
            if self._crowd is not None and self._crowd.broken is not None:
                self._stop.set()

    def _frame(self) -> Frame:
        frame = self._tally.flush()
        cpu = time.process_time()
        frame["unread"] = encode_histogram(Histogram.from_bytes(self._reactor.lay.flush()))
        frame |= self._stalls.flush()
        frame["cpu"], self._cpu = round(cpu - self._cpu, 6), cpu
        if self._crowd is not None and self._client is not None:
            frame["running"] = self._crowd.running
            frame["users"] = self._crowd.users
            frame["connections"] = self._client.connections
        return frame

    def say(self, report: dict[str, Any]) -> None:
        """Tell the parent; a parent that is gone is found out by the reader."""
        with contextlib.suppress(OSError):
            self._channel.sendall(encode_line(report))


def _replay(plan: dict[str, Any]) -> ReplayFlow | None:
    return replay_of(plan["source"], plan["worker"], plan["workers"])


def _play(plan: dict[str, Any], replay: ReplayFlow | None) -> Suite:
    source = plan["source"]
    if replay is not None:
        return suite_from_flow(replay)
    if source["kind"] == "file":
        return suite_from_file(Path(source["path"]), plan.get("options", {}))
    if source["kind"] == "command":
        return external_suite(source["command"], plan.get("base", ""))
    if source["kind"] == "url":
        return suite_from_url(source["url"])
    return suite_from_flow(read_source(source).flow)


async def _obey(channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    worker = Worker(channel, loop)
    orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    reader = LineReader(1 << 30)  # a whole document may come with an order

    def arrived() -> None:
        try:
            data = channel.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if not data:
            os._exit(0)  # the parent is gone: stop at once, whatever the scenario is doing
        for order in reader.feed(data):
            if order["do"] == "stop":
                worker.stop(order["turn"])
            elif order["do"] == "shape":
                worker.reshape(order)
            else:
                orders.put_nowait(order)

    loop.add_reader(channel, arrived)
    while True:
        order = await orders.get()
        try:
            await {
                "setup": worker.setup,
                "prepare": worker.prepare,
                "go": worker.go,
                "end": worker.end,
            }[order["do"]](order)
        except ChapiteauError as exc:
            kind = type(exc).__name__
            worker.say({"is": "broken", "kind": kind, "what": exc.what, "hint": exc.hint})
        if order["do"] == "end":
            loop.remove_reader(channel)
            return


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
