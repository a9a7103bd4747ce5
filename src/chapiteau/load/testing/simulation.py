"""A load test in no time: a model of a service, arrivals by chance, and a clock of numbers.

Runs the whole decision logic of `chapiteau load capacity` against a model whose truth is known,
some thousand times as fast as real load would. The engine's part (guard, drain, seconds) is done
as the engine does it.
"""

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from chapiteau.load.capacity.search import search
from chapiteau.load.capacity.steps import (
    SearchPlan,
    SearchResult,
    Step,
    StepObservation,
    observe_step,
)
from chapiteau.load.report.document import document
from chapiteau.load.report.result import Facts, LoadResult
from chapiteau.load.stats.totals import SecondStats, Totals
from chapiteau.load.testing.models import Model
from chapiteau.load.verdict.objectives import Objective
from chapiteau.load.verdict.run_verdict import Verdict
from chapiteau.load.verdict.step_guard import StepGuard

__all__ = ["Simulation", "simulated_batches", "simulated_search"]

_PAUSE = 0.5


def simulated_search(
    model: Model, objectives: Sequence[Objective], plan: SearchPlan, seed: int
) -> SearchResult:
    """What the search finds for this model."""
    simulation = Simulation(model, objectives, seed)
    steps = search(plan)
    try:
        step = next(steps)
        while True:
            step = steps.send(simulation.step(step))
    except StopIteration as end:
        answer: SearchResult = end.value
        return answer


class Simulation:
    """Time passes only in here."""

    def __init__(self, model: Model, objectives: Sequence[Objective], seed: int) -> None:
        self._model = model
        self._objectives = tuple(objectives)
        self._chance = random.Random(seed)  # noqa: S311 — repeatable, not secret
        self._now = 0.0
        self._normal: float | None = None

    def step(self, step: Step) -> StepObservation:
        """Carry out a step of the search."""
        totals = Totals()
        guard = StepGuard(
            self._objectives, step.rate, hold=int(step.warm) if step.phase == "hold" else 0
        )
        sessions = self._open(step, totals, guard) if step.rate else self._closed(step, totals)
        return self._observed(step, totals, guard, sessions)

    def _closed(self, step: Step, totals: Totals) -> float:
        """One user, one request after the other."""
        at, values = 0.0, []
        while at < step.seconds:
            end = self._model.admit(self._now + at) - self._now
            values.append((at, end))
            at = end
        _count(totals, values)
        self._now += max(at, step.seconds) + _PAUSE
        return len(values) / step.seconds

    def _open(self, step: Step, totals: Totals, guard: StepGuard) -> float:
        moments = _poisson(step.rate, step.seconds, self._chance.random)
        due = next(moments, None)
        inside: list[tuple[float, float]] = []
        arrived, second, last = 0, 0, 0.0
        while True:
            tick = second + 1.0
            while due is not None and due < tick:
                end = self._model.admit(self._now + due) - self._now
                heapq.heappush(inside, (end, due))
                last = max(last, end)
                arrived += 1
                due = next(moments, None)
            gone = []
            while inside and inside[0][0] <= tick:
                end, asked = heapq.heappop(inside)
                gone.append((asked, end))
            _count(totals, gone)
            totals.running[second] = len(inside)
            if tick >= step.seconds or guard.second(second, totals):
                break
            second += 1
        stopped = float(guard.ended) if guard.ended is not None else step.seconds
        cut = stopped if guard.ended is not None else stopped + guard.patience + 1.0
        for end, asked in inside:
            if end > cut and guard.ended is None:
                totals.series[""].setdefault(int(asked), SecondStats()).merge(SecondStats(bad=1))
        _count(totals, [(asked, min(end, cut)) for end, asked in inside])
        # The engine waits until an overloaded service has worked off what it was given.
        self._now += max(stopped, last) + _PAUSE
        return arrived / stopped

    def _observed(
        self, step: Step, totals: Totals, guard: StepGuard, sessions: float
    ) -> StepObservation:
        observed = observe_step(step, totals, guard, self._normal)
        if step.phase == "probe":
            self._normal = observed.p50
        return replace(observed, sessions=sessions, seconds=float(guard.ended or step.seconds))


def simulated_batches(model: Model, rate: float, seconds: int, seed: int) -> LoadResult:
    """A result for `load compare`: a steady load on a model."""
    chance = random.Random(seed)  # noqa: S311 — repeatable, not secret
    totals = Totals()
    moments = _poisson(rate, float(seconds), chance.random)
    _count(totals, [(due, model.admit(due)) for due in moments])
    facts = Facts(
        kind="run",
        name="simulated",
        target="simulated",
        started=0.0,
        seconds=seconds,
        plan={},
        command=[],
        machine={},
        version="",
    )
    return document(facts, totals, Verdict("none", ""))


def _poisson(rate: float, seconds: float, chance: Callable[[], float]) -> Iterator[float]:
    """Moments of arrivals at a steady rate."""
    at, log = 0.0, math.log
    while (at := at - log(1.0 - chance()) / rate) < seconds:
        yield at


def _count(totals: Totals, requests: Sequence[tuple[float, float]]) -> None:
    """(asked, ended) of requests into the seconds in which they were asked."""
    seconds: dict[int, list[int]] = {}
    for asked, end in requests:
        seconds.setdefault(int(asked), []).append(int((end - asked) * 1e6))
    for second, values in seconds.items():
        part = totals.series[""].setdefault(second, SecondStats())
        part.latency.record_counts(Counter(values))
