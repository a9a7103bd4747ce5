"""`chapiteau load list | show | report | compare | baseline`"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chapiteau.core.exit_codes import NOT_MET, UNSURE, exit_codes_of
from chapiteau.load.cli.options import config_flag, folder_of

if TYPE_CHECKING:
    from chapiteau.load.report.stored_results import Baselines, ResultSummary

__all__ = ["baseline", "compare", "list_results", "parse_margin", "report", "show"]


def parse_margin(text: str) -> float:
    """A share from "5%". Raises UsageError."""
    from chapiteau.core.errors import UsageError

    try:
        share = float(text.rstrip("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise UsageError(f"--margin {text!r} is no percentage above 0", hint="for example 5%")
    return share


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


_HEAD = ("id", "when (UTC)", "kind", "test", "rate", "errors", "p99", "baseline", "verdict")


def _held(one: "ResultSummary", held: "Baselines", folder: Path) -> str:
    """What a result is to the baseline of its test."""
    from chapiteau.core.errors import NotFoundError
    from chapiteau.load.client import summary
    from chapiteau.load.report.stored_results import p99_change

    number = held.get(one.test)
    if number is None:
        return ""
    if number == one.id:
        return "this one"
    try:
        change = p99_change(one, summary(folder, number))
    except NotFoundError:
        return ""
    return "–" if change is None else f"{change * 100:+.1f}% of #{number}"


@click.command("list")
@click.option("--last", type=int, default=20, show_default=True, help="Number of results.")
@_json
@config_flag
def list_results(*, last: int, as_json: bool, config: str | None) -> int:
    """List stored results, newest first."""
    from datetime import UTC, datetime

    from msgspec.structs import asdict

    from chapiteau.core.text import format_table
    from chapiteau.io.console import print_json
    from chapiteau.load.client import baselines, live, results
    from chapiteau.load.report.text import format_seconds, verdict_mark

    folder = folder_of(config)
    found, held = results(folder, last=last), baselines(folder)
    for state in [] if as_json else live(folder):
        click.echo(f"running: {state['run']}  {state['kind']}  {state['name'][-60:]}", err=True)
    if as_json:
        print_json([asdict(one) | {"baseline": held.get(one.test)} for one in found])
        return 0
    if not found:
        click.echo("no load test has been run here", err=True)
        return 0
    rows = [
        (
            one.id,
            f"{datetime.fromtimestamp(one.started, UTC):%Y-%m-%d %H:%M}",
            one.kind,
            one.name[-40:],
            f"{one.rate:.4g}/s",
            f"{one.errors * 100:.3g}%",
            format_seconds(one.p99),
            _held(one, held, folder),
            f"{verdict_mark(one.verdict)} {one.line[:60]}",
        )
        for one in found
    ]
    click.echo(format_table(rows, _HEAD))
    return 0


@click.command(epilog=exit_codes_of("load show"))
@click.argument("number", type=int, required=False)
@_json
@config_flag
def show(*, number: int | None, as_json: bool, config: str | None) -> int:
    """Show one stored result, as it was printed: the newest, or that NUMBER."""
    from chapiteau.io.console import print_json
    from chapiteau.load.client import load_result, newest, report_path, result
    from chapiteau.load.report.text import as_text

    folder = folder_of(config)
    number = newest(folder) if number is None else number
    if as_json:
        print_json(result(folder, number))
        return 0
    click.echo(as_text(load_result(folder, number)))
    if path := report_path(folder, number):
        click.echo(f"\nreport: {path}")
    return 0


@click.command()
@click.argument("number", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "json", "csv", "junit", "markdown", "md"]),
    default="html",
    show_default=True,
)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False), help="Output file. Default: standard output."
)
@config_flag
def report(*, number: str | None, form: str, output: str | None, config: str | None) -> int:
    """Render a stored result (the newest, or by its number) or a JSON file in another format."""
    from chapiteau.load.cli.output import stored_result
    from chapiteau.load.client import newest
    from chapiteau.load.report import render

    folder = folder_of(config)
    text = render(stored_result(number or str(newest(folder)), folder), form)
    if output:
        Path(output).write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=not text.endswith("\n"))
    return 0


@click.command(epilog=exit_codes_of("load compare"))
@click.argument("a")
@click.argument("b", required=False)
@click.option("--margin", default="5%", show_default=True, help="Ignore differences below this.")
@_json
@config_flag
def compare(*, a: str, b: str | None, margin: str, as_json: bool, config: str | None) -> int:
    """Compare two results: each is a number or a JSON file.

    "baseline" as A is the one set for B's test; a single argument is B.
    """
    import random

    import msgspec

    from chapiteau.io.console import print_json
    from chapiteau.load.cli.output import stored_result
    from chapiteau.load.report.comparison import compare_results, comparison_text

    share = parse_margin(margin)
    folder = folder_of(config)
    first, second = ("baseline", a) if b is None else (a, b)
    after = stored_result(second, folder)
    before = stored_result(first, folder, (after.kind, after.name))
    found = compare_results(before, after, share, random.Random("compare"))  # noqa: S311
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        click.echo(comparison_text(found))
    return {"slower": NOT_MET, "cannot tell": UNSURE}.get(found.word, 0)


@click.command()
@click.argument("number", type=int, required=False)
@click.option("--clear", is_flag=True, help="Remove the baseline.")
@_json
@config_flag
def baseline(*, number: int | None, clear: bool, as_json: bool, config: str | None) -> int:
    """Compare later results of a test with result NUMBER; without one, show what is set.

    \b
    chapiteau load baseline 7
    chapiteau load run visits --baseline baseline
    chapiteau load compare baseline 9
    """
    from chapiteau.core.errors import UsageError
    from chapiteau.core.text import format_table
    from chapiteau.io.console import print_json
    from chapiteau.load.client import baselines, set_baseline

    folder = folder_of(config)
    if number is not None:
        found = set_baseline(folder, number, on=not clear)
        word = "no longer the" if clear else "now the"
        click.echo(f"result {number} is {word} baseline of {found.name} ({found.kind})", err=True)
        return 0
    if clear:
        raise UsageError("--clear needs a number", hint="see `chapiteau load baseline`")
    held = sorted((name, kind, one) for (kind, name), one in baselines(folder).items())
    if as_json:
        print_json([{"kind": kind, "name": name, "result": one} for name, kind, one in held])
    elif held:
        click.echo(
            format_table([(one, kind, name) for name, kind, one in held], ("id", "kind", "test"))
        )
    else:
        click.echo("no baseline is set", err=True)
    return 0
