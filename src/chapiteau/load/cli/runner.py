"""What the commands that put load on have in common: their job, progress, and the result's way."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import click

from chapiteau.io.clock import SystemClock
from chapiteau.io.console import print_json
from chapiteau.load.cli.background import run_in_background
from chapiteau.load.cli.output import (
    ProgressLine,
    against_baseline,
    baseline_for,
    print_dashboard_url,
    save_and_print,
    warn,
)
from chapiteau.load.engine.backend import engine_problems
from chapiteau.load.execution.job import Job
from chapiteau.load.execution.jobs import find_job, project_or_none, request_outline, run_folder
from chapiteau.load.execution.storage import LiveFile
from chapiteau.load.report.load_plan import draw_levels, load_levels, plan_document
from chapiteau.load.report.redaction import redact_arguments
from chapiteau.load.report.result import LoadResult
from chapiteau.load.settings import load_shape
from chapiteau.load.telemetry.supervisor_monitor import SupervisorMonitor
from chapiteau.load.workers.documents import replay_of

__all__ = ["Runner", "print_plan"]

Execute = Callable[[LiveFile, SupervisorMonitor | None], Awaitable[LoadResult]]


class Runner:
    """One command. `options` are its flags as click gives them."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.as_json: bool = options["as_json"]
        self.line = ProgressLine(quiet=options["quiet"], as_json=self.as_json)
        self.clock = SystemClock()
        self._report: str | None = options["report"]
        self._keep = not options["no_store"]
        self._detach = options.get("detach", False)
        self._web = options.get("web", False)
        self._project = project_or_none(options["config"])
        self._folder = run_folder(self._project)

    def job(self, target: str, settings: Mapping[str, Any]) -> Job:
        """The job for a target; says what it does without."""
        command = ("chapiteau", *redact_arguments(sys.argv[1:]))
        job = find_job(target, settings, self._project, command)
        warn((*engine_problems(), *job.problems))
        return job

    def run(self, job: Job, kind: str, execute: Execute) -> int:
        """Carry it out here or in the background; the exit code."""
        folder = self._folder
        if self._web:
            print_dashboard_url(folder)
        if self._detach:
            return run_in_background(folder, keep=self._keep)
        baseline = baseline_for(job.test.baseline, folder, (kind, job.name))
        live = LiveFile(folder)
        supervised = SupervisorMonitor.find(folder)

        async def executed() -> LoadResult:
            return await execute(live, supervised)

        try:
            with supervised or contextlib.nullcontext():
                document = asyncio.run(executed())
        finally:
            live.remove()
            self.line.clear()
        if baseline is not None:
            document = against_baseline(document, baseline)
        return self.save_and_print(document, job)

    def save_and_print(self, document: LoadResult, job: Job) -> int:
        """Store and print the result; its exit code."""
        return save_and_print(
            document,
            self._folder,
            report=self._report,
            as_json=self.as_json,
            keep=self._keep,
            observers=job.test.notify,
        )


def print_plan(job: Job, *, as_json: bool) -> None:
    """What would be sent, and when."""
    requests = request_outline(job)
    shape, is_open = load_shape(job.test)
    replay = replay_of(job.source)
    moments = replay.moments if replay is not None else ()
    if as_json:
        print_json(plan_document(job.target, shape, requests, is_open=is_open, moments=moments))
        return
    unit = "/s" if is_open else " users"
    click.echo(f"target   {job.target}")
    for stage in shape.outline(unit):
        click.echo(f"load     {stage}")
    if is_open:
        how = "at the log's own moments" if moments else job.test.arrivals
        click.echo(f"in all   {shape.total:.6g} sessions, {how}")
    for line in draw_levels(load_levels(shape, moments=moments), shape.seconds, unit):
        click.echo(f"  {line}")
    for text in requests:
        click.echo(f"request  {text}")
    click.echo("nothing was sent")
