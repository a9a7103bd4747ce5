"""`chapiteau load ab`"""

import sys
from typing import Any

import click

from chapiteau.load.commands.options import JSON_HELP, given, settings_flags

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

    from chapiteau.load.commands.results import margin_of
    from chapiteau.load.commands.showing import ProgressLine, deliver, warn
    from chapiteau.load.engine.conduct import Watch
    from chapiteau.load.engine.lookup import find_job, project_or_none, run_folder
    from chapiteau.load.engine.search.interleave import interleave
    from chapiteau.load.logic.inputs.masking import masked
    from chapiteau.plumbing.clock import SystemClock

    share = margin_of(margin)
    project = project_or_none(config)
    settings = {"duration": 60.0, "rate": 20.0, **given(options)}
    if {"users", "shape"} & set(given(options)):
        settings.pop("rate")
    command = ("chapiteau", *masked(sys.argv[1:]))

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
        document = asyncio.run(interleave(jobs, SystemClock(), Watch(line=show), share))
    finally:
        line.clear()
    folder = run_folder(project)
    return deliver(
        document,
        folder,
        report=report,
        as_json=as_json,
        keep=not no_store,
        observers=jobs[0].test.notify,
    )
