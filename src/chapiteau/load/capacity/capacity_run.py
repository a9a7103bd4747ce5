"""Carries out the search for a service's capacity, step by step."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from chapiteau.core.clock import Clock
from chapiteau.core.errors import UsageError
from chapiteau.load.capacity.calibration import calibrate
from chapiteau.load.capacity.capacity_verdict import capacity_section, capacity_verdict, step_line
from chapiteau.load.capacity.search import search
from chapiteau.load.capacity.steps import (
    SearchInterrupted,
    SearchResult,
    Step,
    StepObservation,
    observe_step,
    search_plan,
)
from chapiteau.load.errors import HostLostError, ScenarioError
from chapiteau.load.execution.control import all_marks, stopped_by
from chapiteau.load.execution.job import (
    Job,
    RunObserver,
    Workers,
    exporter_for,
    run_facts,
    workers_for,
)
from chapiteau.load.execution.run_test import prometheus_series, stop_on_signal
from chapiteau.load.execution.storage import live_state
from chapiteau.load.report.document import document
from chapiteau.load.report.live import LivePoints
from chapiteau.load.report.resources import resources
from chapiteau.load.report.result import LoadResult
from chapiteau.load.scenario.shape import constant_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.telemetry.exporter import Exporter
from chapiteau.load.telemetry.prometheus_query import scarce_resource
from chapiteau.load.telemetry.supervisor_monitor import SupervisorMonitor
from chapiteau.load.verdict.objectives import (
    Objective,
    evaluate_objectives,
    parse_objectives,
    watched_names,
    with_error_objective,
)
from chapiteau.load.verdict.run_verdict import Verdict
from chapiteau.load.verdict.saturation import Sample, describe_saturation
from chapiteau.load.verdict.step_guard import (
    StepGuard,
)
from chapiteau.load.workers.messages import LoadStep

__all__ = ["find_capacity"]

_REST: Final = 0.5  # seconds between two steps
_MOSTLY: Final = 0.5  # share of errors after which it is looked whether it still answers
_MOST_REST: Final = 15.0  # seconds to wait for an overloaded service to come back


async def find_capacity(
    job: Job,
    clock: Clock,
    watch: RunObserver,
    say: Callable[[str], None],
    supervised: SupervisorMonitor | None = None,
) -> LoadResult:
    """Find the capacity; its result. `say` gets a line for each step.

    With a supervisor at hand, the report says what gave out at the rate that was kept.
    """
    objectives = _objectives(job, say)
    started, zero = clock.wall(), clock.now()
    calibration = await calibrate(job)
    if calibration.cost:
        say(f"generator: {calibration.ceiling:.0f} requests/s for each process at most")
    exports = exporter_for(job, started)
    async with exports, workers_for(job) as team:
        run = _CapacityRun(job, team, objectives, watch, say, clock, exports, supervised, started)
        with stop_on_signal(team, watch.leaving) as interrupted:
            answer = await run.search(interrupted)
    hold = run.shown(answer)
    series, unanswered = await prometheus_series(job, hold.started, hold.started + hold.seconds)
    place = await asyncio.to_thread(supervised.place, job.target) if supervised else None
    own = describe_saturation(hold.samples, run.missed_samples(answer), place)
    told = scarce_resource(series, 0.0, hold.seconds)
    said = watch.live.messages() if watch.live is not None else []
    result = document(
        run_facts(job, "capacity", started, hold.seconds, None, is_open=True),
        hold.totals,
        _verdict(answer, job, interrupted, stopped_by(said)),
        evaluate_objectives(objectives, hold.totals, hold.seconds),
        notes=[*unanswered, *team.problems, *exports.problems],
    )
    return replace(
        result,
        asked=series,
        resources=resources(hold.samples, hold.started, hold.seconds),
        marks=all_marks(said, started),
        capacity=capacity_section(
            answer,
            ceiling=calibration.ceiling,
            searched=clock.now() - zero,
            saturated="; Prometheus says: ".join(filter(None, (own, told))),
        ),
    )


def _objectives(job: Job, say: Callable[[str], None]) -> tuple[Objective, ...]:
    given = parse_objectives(job.test.objective)
    if not given:
        raise UsageError(
            "a capacity is the highest rate that keeps an objective; none is given",
            hint='for example --objective "p99 < 200ms, errors < 0.1%"',
        )
    objectives = with_error_objective(given)
    if len(objectives) > len(given):
        say("errors < 1% must hold, too, since no objective is about errors")
    return objectives


def _verdict(answer: SearchResult, job: Job, interrupted: list[int], who: str) -> Verdict:
    verdict = capacity_verdict(answer, job.test)
    if not interrupted:
        return verdict
    line = f"{verdict.line} (stopped early by {who})" if who else verdict.line
    return replace(verdict, exit_code=128 + interrupted[0], line=line)


@dataclass(frozen=True, slots=True)
class _Hold:
    """What a hold has brought; that of the rate that was kept is the report's main part."""

    totals: Totals
    seconds: float
    samples: Sequence[Sample]
    started: float = 0.0  # seconds since 1970


@dataclass(slots=True)
class _CapacityRun:
    """Carries out the steps that one search asks for."""

    job: Job
    team: Workers
    objectives: tuple[Objective, ...]
    watch: RunObserver
    say: Callable[[str], None]
    clock: Clock
    exports: Exporter
    supervised: SupervisorMonitor | None
    started: float  # seconds since 1970
    normal: float | None = None  # median latency of the probe, seconds
    number: int = 0
    holds: dict[float, _Hold] = field(default_factory=dict)  # by rate, and the first step
    samples: dict[float, Sequence[Sample]] = field(default_factory=dict)  # by rate

    def shown(self, answer: SearchResult) -> _Hold:
        """The hold that the report is about: the one of the rate that was kept, or the latest."""
        nothing = _Hold(Totals(watched_names(self.objectives)), 0.0, [])
        # The probe has the rate 0, and an answer without a rate that was kept, too.
        kept = self.holds.get(answer.held) if answer.held else None
        return kept or [nothing, *self.holds.values()][-1]

    def missed_samples(self, answer: SearchResult) -> Sequence[Sample]:
        """The supervisor's messages at the nearest rate above that was missed."""
        return self.samples.get(answer.failed or 0.0, [])

    async def search(self, interrupted: list[int]) -> SearchResult:
        test = self.job.test
        steps = search(search_plan(test.confidence, test.budget, test.max_rate or test.ceiling))
        try:
            step = next(steps)
            while True:
                observed = await self.step(step)
                step = steps.throw(SearchInterrupted()) if interrupted else steps.send(observed)
        except StopIteration as end:
            answer: SearchResult = end.value
            return answer

    # ── one step ──────────────────────────────────────────────────────────────────────────────
    async def step(self, step: Step) -> StepObservation:
        self.number += 1
        totals = Totals(watched_names(self.objectives))
        holding = int(step.warm) if step.phase == "hold" else 0
        guard = StepGuard(self.objectives, step.rate, hold=holding)
        order = LoadStep(
            shape=constant_shape(step.rate or 1.0, step.seconds),
            open=step.rate > 0,
            arrivals=self.job.test.arrivals,
            drain=min(self.job.test.timeout, guard.patience + 1.0),
            step=self.number,
        )

        live = LivePoints()

        def on_second(second: int, _totals: Totals) -> bool:
            self.show(step, live, totals, second)
            self.exports.second(second, totals, self.clock.wall())
            return guard.second(second, totals)

        began = self.clock.wall()
        took = await self.team.run(order, totals, on_second)
        # What the others carry is not the rate that was asked for: its capacity would be a lie.
        for name, why in self.team.lost.items():
            raise HostLostError(f"{name} was lost: {why}", hint="begin again without it")
        if not totals.requests:
            what = next(iter(totals.crashes), "no request was sent")
            raise ScenarioError(
                f"the scenario does not work: {what}", hint=totals.samples.get(what, "").strip()
            )
        observed = observe_step(step, totals, guard, self.normal)
        observed = dataclasses.replace(observed, seconds=took)
        if step.phase == "probe":
            self.refuse_dead(totals)
            self.normal = observed.p50
        samples = self.supervised.taken() if self.supervised is not None else []
        if step.phase == "hold" or not self.holds:
            self.holds[step.rate] = _Hold(totals, step.seconds, samples, began)
        if step.phase in {"climb", "bisect", "hold"}:
            self.samples[step.rate] = samples
        self.say(step_line(step, observed))
        down = bool(observed.overloaded) or observed.errors > _MOSTLY
        rested, gone = await self.rest(overloaded=down)
        return dataclasses.replace(observed, rested=rested, gone=gone)

    def refuse_dead(self, totals: Totals) -> None:
        """A scenario or service that answers nothing good at rest is no matter of capacity."""
        if _answers(totals):
            return
        what = next(iter(totals.samples), "no answer")
        raise ScenarioError(
            f"the service gives no good answer even to one user: {what}",
            hint=totals.samples.get(what, "").strip()[:300],
        )

    async def rest(self, *, overloaded: bool) -> tuple[float, str]:
        """Wait until the service has worked off what the step left behind: the seconds, and why
        it answered nothing well in all that time."""
        await asyncio.sleep(_REST)
        waited = _REST
        if not overloaded or self.normal is None:
            return waited, ""
        good, why = False, ""
        while waited < _MOST_REST:
            totals = Totals()
            order = LoadStep(shape=constant_shape(1, 1.0), open=False, drain=5.0, sessions=5)
            waited += 0.5 + await self.team.run(order, totals)
            whole = totals.whole()
            good = good or _answers(totals)
            if good and whole.latency.quantile(0.5) / 1e6 < 3 * self.normal + 0.005:
                return waited, ""
            why = next(iter(totals.samples), why)
            await asyncio.sleep(0.5)
        return waited, "" if good else why or "no answer"

    def show(self, step: Step, live: LivePoints, totals: Totals, second: int) -> None:
        point = live.current(totals, second)
        if point is None:
            return
        point = replace(point, phase=step.phase, target_rate=step.rate)
        self.watch.line(point, second + 1, step.seconds)
        if self.watch.live is not None:
            names = self.job.names("capacity")
            points = live.points(totals)
            state = live_state(names, self.job.test, self.started, step.seconds, totals, points)
            self.watch.live.write({**state, "phase": step.phase, "rate": step.rate})


def _answers(totals: Totals) -> bool:
    """Whether anything was answered well."""
    return any(int(s) < 400 for row in totals.rows.values() for s in row.statuses)
