"""`chapiteau load run`"""

import sys
from typing import Any

import click

from chapiteau.load.commands.options import JSON_HELP, given, settings_flags

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

    from chapiteau.load.commands.showing import ProgressLine, deliver, tell_page, warn
    from chapiteau.load.commands.stored import against_baseline, baseline_for
    from chapiteau.load.engine.conduct import Watch, conduct
    from chapiteau.load.engine.lookup import find_job, outline, project_or_none, run_folder
    from chapiteau.load.engine.store import LiveFile
    from chapiteau.load.engine.telling.supervised import Supervised
    from chapiteau.load.engine.telling.versions import version_of
    from chapiteau.load.logic.inputs.masking import masked
    from chapiteau.plumbing.clock import SystemClock

    project = project_or_none(config)
    job = find_job(target, given(options), project, ("chapiteau", *masked(sys.argv[1:])))
    warn(job.problems)
    if dry_run:
        _show_plan(job, outline(job), as_json=as_json)
        return 0
    folder = run_folder(project)
    if web:
        tell_page(folder)
    if detach:
        from chapiteau.load.commands.detached import send_away

        return send_away(folder, keep=not no_store)
    line = ProgressLine(quiet=quiet, as_json=as_json)
    baseline = baseline_for(job.test.baseline, folder, ("run", job.name))
    live = LiveFile(folder)
    supervised = Supervised.find(folder)
    try:
        with supervised or contextlib.nullcontext():
            watch = Watch(line=line.show, say=line.say, live=live, supervised=supervised)
            version = version_of(job.source, job.target, supervised)
            document = asyncio.run(conduct(job, SystemClock(), watch))
    finally:
        live.remove()
        line.clear()
    document["target_version"] = version
    if baseline is not None:
        document = against_baseline(document, baseline)
    return deliver(
        document,
        folder,
        report=report,
        as_json=as_json,
        keep=not no_store,
        observers=job.test.notify,
    )


def _show_plan(job: Any, requests: list[str], *, as_json: bool) -> None:
    from chapiteau.load.engine.documents import replay_of
    from chapiteau.load.logic.report.drawing import drawn, levels_of, planned
    from chapiteau.load.logic.settings import shape_of
    from chapiteau.plumbing.console import print_json

    shape, is_open = shape_of(job.test)
    replay = replay_of(job.source)
    moments = replay.moments if replay is not None else ()
    if as_json:
        print_json(planned(job.target, shape, requests, is_open=is_open, moments=moments))
        return
    unit = "/s" if is_open else " users"
    click.echo(f"target   {job.target}")
    for stage in shape.outline(unit):
        click.echo(f"load     {stage}")
    if is_open:
        how = "at the log's own moments" if moments else job.test.arrivals
        click.echo(f"in all   {shape.total:.6g} sessions, {how}")
    for line in drawn(levels_of(shape, moments=moments), shape.seconds, unit):
        click.echo(f"  {line}")
    for text in requests:
        click.echo(f"request  {text}")
    click.echo("nothing was sent")
