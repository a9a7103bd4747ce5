"""`chapiteau load run | capacity | ab`"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from chapiteau.core.exit_codes import exit_codes_of
from chapiteau.load.cli.options import JSON_HELP, config_flag, settings_flags, settings_from_flags

if TYPE_CHECKING:
    from chapiteau.load.report.result import LoadResult, TimelinePoint

__all__ = ["ab", "capacity", "run"]

Command = Callable[..., Any]


def _output_flags(command: Command) -> Command:
    """Flags of every command that puts load on."""
    for flag in (
        config_flag,
        click.option("--quiet", "-q", is_flag=True, help="Show no progress."),
        click.option("--no-store", is_flag=True, help="Do not store the result."),
        click.option("--json", "as_json", is_flag=True, help=JSON_HELP),
        click.option("--report", metavar="FILE", help="Write the HTML report to this file."),
    ):
        command = flag(command)
    return command


_detach = click.option(
    "--detach", is_flag=True, help="Run in the background; follow it with `load attach`."
)
_web = click.option("--web", is_flag=True, help="Print where the dashboard shows it live.")
_dry_run = click.option(
    "--dry-run",
    is_flag=True,
    help="Show the planned load and send nothing.",
)


@click.command(epilog=exit_codes_of("load run"))
@click.argument("target", required=False, default="")
@settings_flags(capacity=False)
@_dry_run
@_detach
@_web
@_output_flags
def run(*, target: str, dry_run: bool, **options: Any) -> int:
    """Put load on TARGET: a URL, a scenario file, or the name of a [load.NAME] section."""
    from msgspec.structs import replace

    from chapiteau.load.cli.runner import Runner, print_plan
    from chapiteau.load.execution.job import RunObserver
    from chapiteau.load.execution.run_test import run_test
    from chapiteau.load.telemetry.supervisor_monitor import service_version

    runner = Runner(options)
    job = runner.job(target, settings_from_flags(options))
    if dry_run:
        print_plan(job, as_json=runner.as_json)
        return 0

    async def execute(live: Any, supervised: Any) -> "LoadResult":
        watch = RunObserver(
            line=runner.line.show, say=runner.line.say, live=live, supervised=supervised
        )
        version = service_version(job.openapi, job.target, supervised)
        return replace(await run_test(job, runner.clock, watch), target_version=version)

    return runner.run(job, "run", execute)


@click.command(epilog=exit_codes_of("load capacity"))
@click.argument("target", required=False, default="")
@settings_flags(capacity=True)
@_detach
@_web
@_output_flags
def capacity(*, target: str, **options: Any) -> int:
    """Find the highest rate at which TARGET meets the objective."""
    from chapiteau.load.capacity.capacity_run import find_capacity
    from chapiteau.load.capacity.scaling import measure_scaling
    from chapiteau.load.cli.runner import Runner
    from chapiteau.load.execution.job import RunObserver

    runner = Runner(options)
    job = runner.job(target, settings_from_flags(options))
    search = measure_scaling if job.test.vary else find_capacity

    def show(point: "TimelinePoint", elapsed: float, total: float) -> None:
        head = f"{point.phase:>8} {point.target_rate:8.4g}/s "
        runner.line.show(point, elapsed, total, head)

    async def execute(live: Any, supervised: Any) -> "LoadResult":
        watch = RunObserver(line=show, live=live)
        return await search(job, runner.clock, watch, runner.line.say, supervised)

    return runner.run(job, "capacity", execute)


@click.command(epilog=exit_codes_of("load ab"))
@click.argument("a")
@click.argument("b")
@click.option(
    "--scenario", metavar="FILE", help="Run this against both; A and B are base URLs then."
)
@click.option("--margin", default="5%", show_default=True, help="Ignore differences below this.")
@settings_flags(capacity=False)
@_output_flags
def ab(*, a: str, b: str, scenario: str | None, margin: str, **options: Any) -> int:
    """Compare A and B: both get the same load in short turns (A B, B A, …)."""
    import asyncio

    from chapiteau.load.cli.results import parse_margin
    from chapiteau.load.cli.runner import Runner
    from chapiteau.load.execution.ab_test import run_ab_test
    from chapiteau.load.execution.job import RunObserver

    share = parse_margin(margin)
    runner = Runner(options)
    given = settings_from_flags(options)
    rate = {} if {"users", "shape"} & given.keys() else {"rate": 20.0}
    settings = {"duration": 60.0, **rate, **given}
    jobs = tuple(
        runner.job(scenario, {**settings, "base": side}) if scenario else runner.job(side, settings)
        for side in (a, b)
    )

    def show(point: "TimelinePoint", elapsed: float, total: float) -> None:
        runner.line.show(point, elapsed, total, f"{'AB'[point.side or 0]}  ")

    try:
        document = asyncio.run(
            run_ab_test((jobs[0], jobs[1]), runner.clock, RunObserver(line=show), share)
        )
    finally:
        runner.line.clear()
    return runner.save_and_print(document, jobs[0])
