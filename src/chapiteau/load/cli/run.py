"""`chapiteau load run`"""

import sys
from typing import Any

import click

from chapiteau.load.cli.options import JSON_HELP, settings_flags, settings_from_flags

__all__ = ["run"]


@click.command()
@click.argument("target", required=False, default="")
@settings_flags(capacity=False)
@click.option("--report", metavar="FILE", help="Write the HTML report here.")
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show and draw what would be done, send nothing; with --json as data.",
)
@click.option("--no-store", is_flag=True, help="Keep the result out of `chapiteau load list`.")
@click.option("--detach", is_flag=True, help="Run on in the background: see `load attach`.")
@click.option("--web", is_flag=True, help="Say where the dashboard shows it live.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.option("--config", metavar="FILE", help="chapiteau.toml, or its folder.")
def run(  # noqa: PLR0913 — flags
    *,
    target: str,
    report: str | None,
    as_json: bool,
    dry_run: bool,
    no_store: bool,
    detach: bool,
    web: bool,
    quiet: bool,
    config: str | None,
    **options: Any,
) -> int:
    """Put a given load on TARGET: a URL, a scenario file, or the name of a [load.NAME].

    Exit codes: 0 objective met (or none given), 1 not met, 2 unsure, 3 the generator was the
    limit, 4 the scenario is broken or the target is not allowed.
    """
    import asyncio
    import contextlib

    from chapiteau.io.clock import SystemClock
    from chapiteau.load.cli.output import ProgressLine, print_dashboard_url, save_and_print, warn
    from chapiteau.load.cli.stored_results import against_baseline, baseline_for
    from chapiteau.load.execution.jobs import find_job, project_or_none, request_outline, run_folder
    from chapiteau.load.execution.run_test import RunObserver, run_test
    from chapiteau.load.execution.storage import LiveFile
    from chapiteau.load.report.redaction import redact_arguments
    from chapiteau.load.telemetry.supervisor_monitor import SupervisorMonitor, service_version

    project = project_or_none(config)
    job = find_job(
        target,
        settings_from_flags(options),
        project,
        ("chapiteau", *redact_arguments(sys.argv[1:])),
    )
    warn(job.problems)
    if dry_run:
        _show_plan(job, request_outline(job), as_json=as_json)
        return 0
    folder = run_folder(project)
    if web:
        print_dashboard_url(folder)
    if detach:
        from chapiteau.load.cli.background import run_in_background

        return run_in_background(folder, keep=not no_store)
    line = ProgressLine(quiet=quiet, as_json=as_json)
    baseline = baseline_for(job.test.baseline, folder, ("run", job.name))
    live = LiveFile(folder)
    supervised = SupervisorMonitor.find(folder)
    try:
        with supervised or contextlib.nullcontext():
            watch = RunObserver(line=line.show, say=line.say, live=live, supervised=supervised)
            version = service_version(job.openapi, job.target, supervised)
            document = asyncio.run(run_test(job, SystemClock(), watch))
    finally:
        live.remove()
        line.clear()
    document["target_version"] = version
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


def _show_plan(job: Any, requests: list[str], *, as_json: bool) -> None:
    from chapiteau.io.console import print_json
    from chapiteau.load.report.load_plan import draw_levels, load_levels, plan_document
    from chapiteau.load.settings import load_shape
    from chapiteau.load.workers.documents import replay_of

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
