"""`chapiteau load capacity`"""

import sys
from typing import Any

import click

from chapiteau.load.cli.options import JSON_HELP, settings_flags, settings_from_flags

__all__ = ["capacity"]


@click.command()
@click.argument("target", required=False, default="")
@settings_flags(capacity=True)
@click.option("--report", metavar="FILE", help="Write the HTML report here.")
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
@click.option("--no-store", is_flag=True, help="Keep the result out of `chapiteau load list`.")
@click.option("--detach", is_flag=True, help="Run on in the background: see `load attach`.")
@click.option("--web", is_flag=True, help="Say where the dashboard shows it live.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.option("--config", metavar="FILE", help="chapiteau.toml, or its folder.")
def capacity(  # noqa: PLR0913 — flags
    *,
    target: str,
    report: str | None,
    as_json: bool,
    no_store: bool,
    detach: bool,
    web: bool,
    quiet: bool,
    config: str | None,
    **options: Any,
) -> int:
    """Find the highest rate at which TARGET keeps the objective.

    Exit codes: 0 found (and at least --min-capacity), 1 not met, 2 unsure (time was too short),
    3 the generator was the limit, 4 the scenario is broken or the target is not allowed.
    """
    import asyncio
    import contextlib

    from chapiteau.io.clock import SystemClock
    from chapiteau.load.capacity.capacity_run import find_capacity
    from chapiteau.load.capacity.scaling_run import measure_scaling
    from chapiteau.load.cli.output import ProgressLine, print_dashboard_url, save_and_print, warn
    from chapiteau.load.cli.stored_results import against_baseline, baseline_for
    from chapiteau.load.execution.jobs import find_job, project_or_none, run_folder
    from chapiteau.load.execution.run_test import RunObserver
    from chapiteau.load.execution.storage import LiveFile
    from chapiteau.load.report.redaction import redact_arguments
    from chapiteau.load.telemetry.supervisor_monitor import SupervisorMonitor

    project = project_or_none(config)
    job = find_job(
        target,
        settings_from_flags(options),
        project,
        ("chapiteau", *redact_arguments(sys.argv[1:])),
    )
    warn(job.problems)
    folder = run_folder(project)
    if web:
        print_dashboard_url(folder)
    if detach:
        from chapiteau.load.cli.background import run_in_background

        return run_in_background(folder, keep=not no_store)
    line = ProgressLine(quiet=quiet, as_json=as_json)
    live = LiveFile(folder)

    def show(point: dict[str, Any], elapsed: float, total: float) -> None:
        line.show(point, elapsed, total, f"{point['phase']:>8} {point['target_rate']:8.4g}/s ")

    baseline = baseline_for(job.test.baseline, folder, ("capacity", job.name))
    supervised = SupervisorMonitor.find(folder)
    search = measure_scaling if job.test.vary else find_capacity
    try:
        with supervised or contextlib.nullcontext():
            watch = RunObserver(line=show, live=live)
            document = asyncio.run(search(job, SystemClock(), watch, line.say, supervised))
    finally:
        live.remove()
        line.clear()
    if baseline is not None:
        document = against_baseline(document, baseline)
    return save_and_print(
        document,
        folder,
        report=report,
        as_json=as_json,
        keep=not no_store,
        observers=job.test.notify,
    )
