"""One load test from its settings to its stored result."""

import asyncio
import math
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.core.problems import Problem
from chapiteau.load.cluster.distributed_workers import DistributedWorkers
from chapiteau.load.engine.backend import choose_backend
from chapiteau.load.engine.connection import ConnectionSettings
from chapiteau.load.errors import ScenarioError
from chapiteau.load.execution.added_load import LoadController, added_load_marks, added_load_section
from chapiteau.load.execution.control import marks_section, stopped_by
from chapiteau.load.execution.storage import LiveFile, live_state
from chapiteau.load.execution.workers_factory import create_workers
from chapiteau.load.protocols import urls
from chapiteau.load.report.document import Facts, document
from chapiteau.load.report.live import LivePoints
from chapiteau.load.report.redaction import redact_url
from chapiteau.load.report.resources import resources
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.settings import LoadTest, load_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.telemetry.exporter import Exporter
from chapiteau.load.telemetry.prometheus_query import query_prometheus
from chapiteau.load.telemetry.supervisor_monitor import SupervisorMonitor
from chapiteau.load.verdict.objectives import (
    Finding,
    Objective,
    evaluate_objectives,
    parse_objectives,
    watched_names,
    with_error_objective,
)
from chapiteau.load.verdict.run_verdict import (
    host_lost_verdict,
    interrupted_verdict,
    rejected_verdict,
    run_verdict,
)
from chapiteau.load.verdict.warmup import detect_warmup, parse_warmup
from chapiteau.load.workers.documents import source_digest
from chapiteau.load.workers.local_workers import LocalWorkers
from chapiteau.load.workers.messages import LoadStep
from chapiteau.load.workers.plan import DocumentSource, Plan, Source

__all__ = [
    "Job",
    "RunObserver",
    "add_prometheus_data",
    "exporter_for",
    "machine_info",
    "process_count",
    "run_facts",
    "run_test",
    "stop_on_signal",
    "workers_for",
]

# Settings that may hold secrets: a report goes from hand to hand.
_UNSHOWN: Final = frozenset(
    {
        "headers",
        "options",
        "client_key",
        "bearer",
        "basic",
        "api_keys",
        "variables",
        "export",
        "export_headers",
        "notify",
        "prometheus",
    }
)
_NOTHING_TRIED: Final = 3  # seconds without a single good session that make a scenario broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A test with everything looked up: settings, where requests come from, whereto."""

    test: LoadTest
    name: str
    source: Source
    base: str
    target: str
    command: tuple[str, ...] = ()
    folder: Path = Path(".chapiteau")  # the project's run folder
    problems: tuple[Problem, ...] = ()  # of the document: what it does without

    def names(self, kind: str) -> dict[str, str]:
        """What watchers and results call it."""
        return {"kind": kind, "name": self.name, "target": self.target}

    @property
    def is_replay(self) -> bool:
        """Whether requests go out at an access log's own moments."""
        return isinstance(self.source, DocumentSource) and self.source.is_replay

    @property
    def openapi(self) -> str:
        """The OpenAPI document that requests are made from; "" without one."""
        source = self.source
        if isinstance(source, DocumentSource) and source.kind == "openapi":
            return source.text
        return ""

    def plan(self) -> Plan:
        """What the load processes are told."""
        test = self.test
        return Plan(
            source=self.source,
            base=self.base,
            scenarios=test.scenarios,
            seed=test.seed,
            tick=test.tick,
            pace=test.pace,
            most_users=test.most_users,
            timeout=test.timeout,
            headers=test.headers,
            allow=test.allow,
            options=test.options,
            asked={
                "users": test.users,
                "seconds": load_shape(test)[0].seconds,
                "sessions": test.iterations,
            },
            connection=ConnectionSettings(
                http2=test.http2,
                streams=test.streams,
                connect_timeout=test.connect_timeout,
                first_byte_timeout=test.first_byte_timeout,
                verify=test.verify,
                ca_file=test.ca_file,
                client_certificate=test.client_certificate,
                client_key=test.client_key,
                resolve=tuple(test.resolve.items()),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunObserver:
    """Who wants to see the test while it runs."""

    line: Callable[[dict[str, Any], float, float], None] = lambda _p, _e, _t: None
    live: LiveFile | None = None
    supervised: SupervisorMonitor | None = (
        None  # who runs the service: its numbers go into the report
    )
    say: Callable[[str], None] = lambda _text: None  # what people have to know at once
    leaving: Callable[[], None] | None = None  # done even when a second Ctrl-C ends everything


def process_count(test: LoadTest, target: str) -> int:
    """How many load processes: as many as asked for, or half of this machine when the service
    runs on it too, or all of it."""
    if test.processes:
        return test.processes
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    local = bool(target) and urls.is_loopback(urls.parse(target).host)
    wanted = max(1, cores // 2) if local else cores
    # A number of users or sessions smaller than that needs no more processes.
    fewest = test.users if test.users is not None else test.iterations
    return min(wanted, fewest) if fewest else wanted


async def run_test(job: Job, clock: Clock, watch: RunObserver) -> dict[str, Any]:
    """Run the test; its result document. Raises ScenarioError when the scenario is broken."""
    test = job.test
    shape, is_open = load_shape(test)
    objectives, limits = parse_objectives(test.objective), parse_objectives(test.abort)
    totals = Totals(watched_names([*objectives, *limits]))
    started = clock.wall()
    adding = LoadController(test, shape, watch, is_open=is_open, replay=job.is_replay)
    aborted: list[Finding] = []
    live = LivePoints()
    exports = exporter_for(job, started)
    async with exports, workers_for(job) as team:
        if watch.supervised is not None:
            watch.supervised.taken()  # of before

        def on_second(second: int, _totals: Totals) -> bool:
            nonlocal started
            # Set-ups have taken their time. Once: what stands on the page must not move.
            started = started if second else clock.wall() - (time.monotonic() - team.zero)
            adding.carry_out(team)
            _show(job, watch, live, totals, second, adding, started)
            exports.second(second, totals, clock.wall())
            aborted.extend(_breaches(limits, totals, second))
            return bool(aborted) or _is_broken(totals, second)

        with stop_on_signal(team) as interrupted:
            took = await team.run(_order(test, shape, is_open=is_open), totals, on_second)
        exports.rest(totals, clock.wall())
    _refuse_broken(totals)
    shape = adding.shape
    # Neither draining nor a quiet end is the load's length: it is the shape's, unless ended early.
    early = bool(aborted or interrupted or test.iterations or totals.used_up or team.gone)
    lasted = min(shape.seconds, took) if early else shape.seconds
    warm = detect_warmup(totals, shape, parse_warmup(test.warmup))
    findings = evaluate_objectives(objectives, totals, lasted, warm)
    verdict = _with_the_teams(run_verdict(findings, aborted, totals, lasted), team, totals)
    said = watch.live.remarks() if watch.live is not None else []
    if interrupted:
        verdict = interrupted_verdict(
            verdict, lasted, shape.seconds, interrupted[0], stopped_by(said)
        )
    facts = run_facts(job, "run", started, lasted, shape, is_open=is_open)
    made = document(facts, totals, verdict, findings)
    made["soundness"]["notes"] += (
        team.problems + exports.problems + _unjudged(objectives, verdict["word"], totals)
    )
    marked = marks_section(said, started, team.lost_at, added_load_marks(adding.added))
    made |= {"warmup": warm, **marked, **added_load_section(adding.added)}
    made |= _resources(watch, started, lasted)
    await add_prometheus_data(made, job, started, clock.wall())
    return made


def _order(test: LoadTest, shape: Shape, *, is_open: bool) -> LoadStep:
    return LoadStep(
        shape=shape,
        open=is_open,
        arrivals=test.arrivals,
        drain=min(test.drain, test.timeout),
        sessions=test.iterations,
    )


def _resources(watch: RunObserver, started: float, lasted: float) -> dict[str, Any]:
    if watch.supervised is None:
        return {}
    return {"resources": resources(watch.supervised.taken(), started, lasted)}


async def add_prometheus_data(made: dict[str, Any], job: Job, started: float, ended: float) -> None:
    """Put what Prometheus says of the time of the test into the document."""
    if job.test.prometheus:
        asked, problems = await asyncio.to_thread(
            query_prometheus, job.test.prometheus, job.test.queries, started, ended
        )
        made["asked"] = asked
        made["soundness"]["notes"] += problems


def _with_the_teams(
    verdict: dict[str, Any], team: LocalWorkers | DistributedWorkers, totals: Totals
) -> dict[str, Any]:
    """The verdict after what the team has to say: machines lost, a file that judges by itself."""
    totals.lost = dict(team.lost)
    if team.gone:
        return host_lost_verdict(totals.lost)
    return rejected_verdict(verdict, team.refused) if team.refused else verdict


def _unjudged(objectives: Sequence[Objective], word: str, totals: Totals) -> list[str]:
    """A note on failures that no objective is about, though the verdict is "met"."""
    failed = totals.bad / totals.requests if totals.requests else 0.0
    if word != "met" or failed <= 0.01 or len(with_error_objective(objectives)) == len(objectives):
        return []
    return [f"{failed:.1%} of the requests failed, and no objective is about errors"]


def exporter_for(job: Job, started: float) -> Exporter:
    """Who is told numbers while the test runs."""
    labels = (("target", job.target), ("test", job.name))
    return Exporter(job.test.export, job.test.export_headers, labels, started)


def workers_for(job: Job) -> LocalWorkers | DistributedWorkers:
    """Who puts the load on, not started yet."""
    return create_workers(job.test, job.plan(), process_count(job.test, job.base), job.folder)


def run_facts(
    job: Job, kind: str, started: float, seconds: float, shape: Shape | None, *, is_open: bool
) -> Facts:
    """What the document says beside the counts."""
    plan: dict[str, Any] = {
        key: redact_url(value) if isinstance(value, str) else value
        for key, value in asdict(job.test).items()
        if value not in (None, "", (), {}) and key not in _UNSHOWN
    }
    plan["model"] = "open" if is_open else "closed"
    if digest := source_digest(job.source):
        plan["sha256"] = digest
    if shape is not None:
        plan["load"] = shape.outline("/s" if is_open else " users")
    return Facts(
        kind=kind,
        name=job.name,
        target=job.target,
        started=started,
        seconds=seconds,
        plan=plan,
        command=job.command,
        machine=machine_info(),
        version=version("chapiteau"),
    )


def machine_info() -> dict[str, Any]:
    """What the load came from."""
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "engine": choose_backend().name,
    }


def _show(
    job: Job,
    watch: RunObserver,
    live: LivePoints,
    totals: Totals,
    second: int,
    adding: LoadController,
    started: float,
) -> None:
    points = live.points(totals)
    if not points:
        return
    seconds = adding.shape.seconds
    # The newest second may still get answers; the one before it is nearly whole.
    point = dict(next((p for p in points if p["t"] == second), points[-1]))
    point["running"] = totals.running.get(second, 0)
    watch.line(point, second + 1, seconds)
    if watch.live is not None:
        state = live_state(job.names("run"), job.test, started, seconds, totals, points)
        watch.live.write(
            {
                **state,
                "room": adding.room(second + 1.0).to_dict(),
                "load": adding.outline(),
                "added": [one.to_dict() for one in adding.added],
            }
        )


def _breaches(limits: Sequence[Any], totals: Totals, second: int) -> Iterator[Finding]:
    """Abort limits that the last whole second misses; checks and sessions count from the start."""
    last = Totals(watched_names(limits))
    last.rows, last.checks, last.iterations = totals.rows, totals.checks, totals.iterations
    for key in last.series:
        part = totals.series[key].get(second - 1)
        if part is None:
            return
        last.series[key][second - 1] = part
    for finding in evaluate_objectives(limits, last, 1.0):
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
    team: LocalWorkers | DistributedWorkers, leaving: Callable[[], None] | None = None
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
        team.stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, interrupted, number)
    try:
        yield seen
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
