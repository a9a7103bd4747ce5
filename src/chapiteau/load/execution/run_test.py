"""One load test from its settings to its stored result."""

import asyncio
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from msgspec.structs import replace

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.load.errors import ScenarioError
from chapiteau.load.execution.control import (
    AddedLoad,
    ControlMessage,
    Headroom,
    added_load_marks,
    added_load_section,
    all_marks,
    check_added_load,
    headroom,
    stopped_by,
)
from chapiteau.load.execution.job import (
    Job,
    RunObserver,
    Workers,
    exporter_for,
    run_facts,
    workers_for,
)
from chapiteau.load.execution.storage import live_state
from chapiteau.load.report.document import document
from chapiteau.load.report.live import LivePoints
from chapiteau.load.report.resources import resources
from chapiteau.load.report.result import LoadResult, PrometheusSeries
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.settings import LoadTest, load_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.telemetry.prometheus_query import query_prometheus
from chapiteau.load.verdict.objectives import (
    Finding,
    evaluate_objectives,
    parse_objectives,
    require_samples,
    watched_names,
    with_error_objective,
)
from chapiteau.load.verdict.run_verdict import (
    Verdict,
    detect_warmup,
    host_lost_verdict,
    interrupted_verdict,
    parse_warmup,
    rejected_verdict,
    run_verdict,
)
from chapiteau.load.workers.messages import LoadStep

__all__ = ["LoadController", "prometheus_series", "run_test", "stop_on_signal"]

_NOTHING_TRIED: Final = 3  # seconds without a single good session that make a scenario broken


class LoadController:
    """The shape of a run as it is, with all that was added so far, and what is missing of it."""

    def __init__(self, job: Job, shape: Shape, watch: RunObserver, *, is_open: bool) -> None:
        self.shape = shape
        self.added: list[AddedLoad] = []
        self._lost: set[str] = set()  # machines of whose loss was said
        self._job = job
        self._is_open = is_open
        self._live = watch.live
        self._say = watch.say

    def room(self, at: float) -> Headroom:
        """What can be added `at` seconds after the start."""
        job = self._job
        return headroom(job.test, self.shape, at, is_open=self._is_open, replay=job.is_replay)

    def outline(self) -> list[str]:
        """The load over time in words, a line for each stage."""
        return self.shape.outline("/s" if self._is_open else " users")

    def carry_out(self, workers: Workers) -> None:
        """Do what has been asked for since the last time."""
        orders = self._orders()
        if not orders:
            return
        # Load processes hear of it a little later: before that, nothing may change.
        at = round(time.monotonic() - workers.zero + workers.ahead, 1)
        shape = self.shape
        for order in orders:
            self._add(order, at)
        if self.shape != shape:
            workers.reshape(self.shape)

    def say_losses(self, workers: Workers) -> None:
        """Which share of it is missing, once for each machine that is gone."""
        for name, what in workers.losses().items():
            if name not in self._lost:
                self._lost.add(name)
                self._say(f"{name} was lost: {what}")

    def _orders(self) -> Sequence[ControlMessage]:
        """Those that have not been answered yet."""
        if self._live is None:
            return ()
        said = self._live.messages()
        return [message for message in said if message.what == "add"][len(self.added) :]

    def _add(self, order: ControlMessage, at: float) -> None:
        problem = check_added_load(self.room(at), users=order.users, rate=order.rate)
        if problem is None:
            self.shape = self.shape.raised(at, order.users or order.rate)
        made = AddedLoad(
            asked=order.time,
            t=at,
            who=order.who,
            users=order.users,
            rate=order.rate,
            level=self.shape.level(at),
            refused="" if problem is None else problem.what,
        )
        self.added.append(made)
        self._say(f"{made.text} by {made.who}, {at:g} s after the start")


async def run_test(job: Job, clock: Clock, watch: RunObserver) -> LoadResult:
    """Run the test; its result. Raises ScenarioError when the scenario is broken."""
    test = job.test
    shape, is_open = load_shape(test)
    objectives = with_error_objective(parse_objectives(test.objective))
    limits = parse_objectives(test.abort)
    totals = Totals(watched_names([*objectives, *limits]))
    started = clock.wall()
    adding = LoadController(job, shape, watch, is_open=is_open)
    aborted: list[Finding] = []
    live = LivePoints()
    exports = exporter_for(job, started)
    async with exports, workers_for(job) as workers:
        if watch.supervised is not None:
            watch.supervised.taken()  # of before

        def on_second(second: int, _totals: Totals) -> bool:
            nonlocal started
            # Set-ups have taken their time. Once: what stands on the page must not move.
            started = started if second else clock.wall() - (time.monotonic() - workers.zero)
            adding.carry_out(workers)
            adding.say_losses(workers)
            _show(job, watch, live, totals, second, adding, started)
            exports.second(second, totals, clock.wall())
            aborted.extend(_breaches(limits, totals, second))
            return bool(aborted) or _is_broken(totals, second)

        with stop_on_signal(workers) as interrupted:
            took = await workers.run(_order(test, shape, is_open=is_open), totals, on_second)
        exports.rest(totals, clock.wall())
    _refuse_broken(totals)
    shape = adding.shape
    # Neither draining nor a quiet end is the load's length: it is the shape's, unless ended early.
    early = bool(aborted or interrupted or test.iterations or totals.used_up or workers.gone)
    lasted = min(shape.seconds, took) if early else shape.seconds
    warm = detect_warmup(totals, shape, parse_warmup(test.warmup))
    judged = evaluate_objectives(objectives, totals, lasted, warm)
    findings = require_samples(judged, totals, warm)
    verdict = _with_the_workers(run_verdict(findings, aborted, totals, lasted), workers, totals)
    said = watch.live.messages() if watch.live is not None else []
    if interrupted:
        verdict = interrupted_verdict(
            verdict, lasted, shape.seconds, interrupted[0], stopped_by(said)
        )
    facts = run_facts(job, "run", started, lasted, shape, is_open=is_open)
    series, unanswered = await prometheus_series(job, started, clock.wall())
    notes = [*workers.problems, *exports.problems, *unanswered]
    samples = watch.supervised.taken() if watch.supervised is not None else []
    return replace(
        document(facts, totals, verdict, findings, notes),
        warmup=warm,
        marks=all_marks(said, started, workers.lost_at, added_load_marks(adding.added)),
        added=added_load_section(adding.added),
        resources=resources(samples, started, lasted),
        asked=series,
    )


def _order(test: LoadTest, shape: Shape, *, is_open: bool) -> LoadStep:
    return LoadStep(
        shape=shape,
        open=is_open,
        arrivals=test.arrivals,
        drain=min(test.drain, test.timeout),
        sessions=test.iterations,
    )


async def prometheus_series(
    job: Job, started: float, ended: float
) -> tuple[list[PrometheusSeries], list[str]]:
    """What Prometheus says of the time of the test, and a line for each query without an answer."""
    if not job.test.prometheus:
        return [], []
    return await asyncio.to_thread(
        query_prometheus, job.test.prometheus, job.test.queries, started, ended
    )


def _with_the_workers(verdict: Verdict, workers: Workers, totals: Totals) -> Verdict:
    """The verdict with what the workers report: lost machines, a file that judges by itself."""
    totals.note_lost(workers.losses())
    if workers.gone:
        return host_lost_verdict(totals.lost)
    return rejected_verdict(verdict, workers.refused) if workers.refused else verdict


def _show(
    job: Job,
    watch: RunObserver,
    live: LivePoints,
    totals: Totals,
    second: int,
    adding: LoadController,
    started: float,
) -> None:
    point = live.current(totals, second)
    if point is None:
        return
    seconds = adding.shape.seconds
    watch.line(point, second + 1, seconds)
    if watch.live is not None:
        points = live.points(totals)
        state = live_state(job.names("run"), job.test, started, seconds, totals, points)
        room, added = adding.room(second + 1.0), added_load_section(adding.added)
        watch.live.write({**state, "room": room, "load": adding.outline(), "added": added})


def _breaches(limits: Sequence[Any], totals: Totals, second: int) -> Iterator[Finding]:
    """Abort limits that the last whole second misses; checks and sessions count from the start."""
    last = totals.only_second(second - 1, watched_names(limits))
    for finding in evaluate_objectives(limits, last, 1.0) if last is not None else ():
        if not finding.met and not math.isnan(finding.value):
            yield finding


def _is_broken(totals: Totals, second: int) -> bool:
    """Sessions fail, and the service is not even asked: nothing to measure."""
    tried = sum(good + bad for good, bad in totals.iterations.values())
    passed = sum(good for good, _ in totals.iterations.values())
    return second + 1 >= _NOTHING_TRIED and tried > 0 and not passed and not totals.requests


def _refuse_broken(totals: Totals) -> None:
    if totals.requests or not totals.iterations:
        return
    if any(good for good, _ in totals.iterations.values()):
        raise ScenarioError("the scenario ran, but sent no request at all")
    what = max(totals.crashes, key=lambda w: totals.crashes[w], default="it failed")
    sample = totals.samples.get(what, "").strip()
    raise ScenarioError(f"no session came as far as sending a request: {what}", hint=sample)


@contextmanager
def stop_on_signal(
    workers: Workers, leaving: Callable[[], None] | None = None
) -> Iterator[list[int]]:
    """SIGINT and SIGTERM end the step and let the rest go on; a second one ends everything.

    `leaving` is what must be done even then.
    """
    loop = asyncio.get_running_loop()
    seen: list[int] = []

    def interrupted(number: int) -> None:
        seen.append(number)
        if len(seen) > 1:
            sys.stderr.write("\nstopped at once\n")
            if leaving is not None:
                with suppress(OSError, ChapiteauError):
                    leaving()
            os._exit(130)
        workers.stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, interrupted, number)
    try:
        yield seen
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
