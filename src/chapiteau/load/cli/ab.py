"""`chapiteau load ab`"""

import sys
from typing import Any

import click

from chapiteau.load.cli.options import JSON_HELP, settings_flags, settings_from_flags

__all__ = ["ab"]


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--scenario", metavar="FILE", help="Load both with this; A and B are base URLs then.")
@click.option("--margin", default="5%", show_default=True, help="Differences below this are none.")
@settings_flags(capacity=False)
@click.option("--report", metavar="FILE", help="Write the HTML report here.")
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
@click.option("--no-store", is_flag=True, help="Keep the result out of `chapiteau load list`.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.option("--config", metavar="FILE", help="chapiteau.toml, or its folder.")
def ab(  # noqa: PLR0913 — flags
    *,
    a: str,
    b: str,
    scenario: str | None,
    margin: str,
    report: str | None,
    as_json: bool,
    no_store: bool,
    quiet: bool,
    config: str | None,
    **options: Any,
) -> int:
    """Is B faster or slower than A? Both get the same load in short turns: A B, B A, …

    Exit codes: 0 faster or the same, 1 slower, 2 cannot tell, 4 one of them does not answer.
    """
    import asyncio

    from chapiteau.io.clock import SystemClock
    from chapiteau.load.cli.output import ProgressLine, save_and_print, warn
    from chapiteau.load.cli.results import parse_margin
    from chapiteau.load.execution.ab_test import run_ab_test
    from chapiteau.load.execution.jobs import find_job, project_or_none, run_folder
    from chapiteau.load.execution.run_test import RunObserver
    from chapiteau.load.report.redaction import redact_arguments

    share = parse_margin(margin)
    project = project_or_none(config)
    settings = {"duration": 60.0, "rate": 20.0, **settings_from_flags(options)}
    if {"users", "shape"} & set(settings_from_flags(options)):
        settings.pop("rate")
    command = ("chapiteau", *redact_arguments(sys.argv[1:]))

    def job(side: str) -> Any:
        if scenario:
            return find_job(scenario, {**settings, "base": side}, project, command)
        return find_job(side, settings, project, command)

    jobs = (job(a), job(b))
    warn((*jobs[0].problems, *jobs[1].problems))
    line = ProgressLine(quiet=quiet, as_json=as_json)

    def show(point: dict[str, Any], elapsed: float, total: float) -> None:
        line.show(point, elapsed, total, f"{'AB'[point['side']]}  ")

    try:
        document = asyncio.run(run_ab_test(jobs, SystemClock(), RunObserver(line=show), share))
    finally:
        line.clear()
    folder = run_folder(project)
    return save_and_print(
        document,
        folder,
        report=report,
        as_json=as_json,
        keep=not no_store,
        observers=jobs[0].test.notify,
    )
