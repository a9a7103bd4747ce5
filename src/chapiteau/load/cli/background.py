"""`chapiteau load attach | stop | mark | add`, and how a test gets into the background."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chapiteau.core.exit_codes import exit_codes_of
from chapiteau.load.cli.options import config_flag, folder_of

if TYPE_CHECKING:
    from chapiteau.load.cli.output import ProgressLine
    from chapiteau.load.execution.control import LiveState

__all__ = ["add", "attach", "mark", "run_in_background", "stop"]


def run_in_background(folder: Path, *, keep: bool) -> int:
    """Run this very command in the background; 0 as soon as the load has begun."""
    from chapiteau.core.errors import UsageError
    from chapiteau.io.clock import SystemClock
    from chapiteau.load.client import start

    if not keep:
        raise UsageError(
            "--detach can't be given together with --no-store", hint="its result would be lost"
        )
    words = [word for word in sys.argv[1:] if word != "--detach"]
    run = start(words, folder, SystemClock())
    click.echo(run)
    click.echo(
        f"test {run} runs in the background; follow it: chapiteau load attach {run}", err=True
    )
    click.echo(f"stop it: chapiteau load stop {run}", err=True)
    return 0


def _the_one(run: str, found: Sequence["LiveState"]) -> str:
    from chapiteau.core.errors import NotFoundError, UsageError

    runs = [str(state["run"]) for state in found]
    if run:
        return run
    if not runs:
        raise NotFoundError("no load test runs here", hint="see `chapiteau load list`")
    if len(runs) > 1:
        raise UsageError(f"several run: {', '.join(runs)}", hint="name one of them")
    return runs[0]


@click.command(epilog=exit_codes_of("load attach"))
@click.argument("run", required=False, default="")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per second, then the result."
)
@config_flag
def attach(*, run: str, as_json: bool, config: str | None) -> int:
    """Follow a running test to its end. Ctrl-C leaves it running."""
    from chapiteau.io.clock import SystemClock
    from chapiteau.load.cli.output import ProgressLine, print_result
    from chapiteau.load.client import follow, live, load_result

    folder = folder_of(config)
    run = _the_one(run, live(folder))
    line = ProgressLine(quiet=as_json)
    number = 0
    try:
        for state in follow(folder, run, SystemClock()):
            _shown(state, line, as_json=as_json)
            number = int(state.get("result", 0))
    except KeyboardInterrupt:
        line.clear()
        click.echo(f"test {run} keeps running; stop it: chapiteau load stop {run}", err=True)
        return 130
    line.clear()
    return print_result(load_result(folder, number), folder, as_json=as_json)


def _shown(state: Mapping[str, Any], line: "ProgressLine", *, as_json: bool) -> None:
    import msgspec

    from chapiteau.io.console import print_json
    from chapiteau.load.report.result import TimelinePoint

    points = state.get("timeline") or []
    if "result" in state or not points:
        return
    if as_json:
        print_json({"run": state["run"], **points[-1]})
        return
    head = f"{state['phase']:>8} {state['rate']:8.4g}/s " if "phase" in state else ""
    point = msgspec.convert(points[-1], TimelinePoint)
    line.show(point, point.t + 1, state["seconds"], head)


@click.command()
@click.argument("run", required=False, default="")
@config_flag
def stop(*, run: str, config: str | None) -> int:
    """Stop a running test; it still judges and stores what it has measured."""
    from chapiteau.core.errors import NotFoundError
    from chapiteau.io.clock import SystemClock
    from chapiteau.load.client import follow, live
    from chapiteau.load.client import stop as end

    folder = folder_of(config)
    run = _the_one(run, live(folder))
    if not end(folder, run):
        raise NotFoundError(f"no load test {run} runs here", hint="see `chapiteau load list`")
    number = None
    for state in follow(folder, run, SystemClock(), known=True):
        number = state.get("result")
    click.echo(f"ended; its result: chapiteau load show {number}", err=True)
    return 0


@click.command()
@click.argument("text")
@click.argument("run", required=False, default="")
@config_flag
def mark(*, text: str, run: str, config: str | None) -> int:
    """Mark this moment in a running test; its charts and its result show it.

    \b
    chapiteau load mark "cache emptied"
    """
    from chapiteau.core.errors import NotFoundError
    from chapiteau.load.client import live
    from chapiteau.load.client import mark as note

    folder = folder_of(config)
    run = _the_one(run, live(folder))
    if not note(folder, run, text):
        raise NotFoundError(f"no load test {run} runs here", hint="see `chapiteau load list`")
    click.echo(f"marked in test {run}", err=True)
    return 0


@click.command()
@click.argument("run", required=False, default="")
@click.option(
    "--users", "-u", type=int, default=0, metavar="N", help="Add this many users (closed model)."
)
@click.option(
    "--rate",
    "-r",
    default="",
    metavar="RATE",
    help="Add this many sessions per second, e.g. 100/s.",
)
@config_flag
def add(*, run: str, users: int, rate: str, config: str | None) -> int:
    """Add users, or sessions per second, to a running test, until its end.

    \b
    chapiteau load add --users 50
    chapiteau load add --rate 100/s
    """
    from chapiteau.load.client import add as more
    from chapiteau.load.client import live

    asked = _rate(rate) if rate else 0.0
    folder = folder_of(config)
    run = _the_one(run, live(folder))
    found = more(folder, run, users=users, rate=asked)
    now = f"{found['level']:g}{' users' if users else '/s'}"
    click.echo(f"{found['text']} in test {run}: {now} from {found['t']:g} s on", err=True)
    return 0


def _rate(text: str) -> float:
    from chapiteau.core.errors import UsageError
    from chapiteau.core.units import parse_rate

    with contextlib.suppress(ValueError):
        return float(text)  # a bare number is per second, as for `load run`
    try:
        return parse_rate(text)
    except ValueError as exc:
        raise UsageError(f"--rate: {exc}") from None
