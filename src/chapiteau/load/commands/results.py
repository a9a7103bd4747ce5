"""`chapiteau load list | show | report | compare`"""

from pathlib import Path

import click

__all__ = ["compare", "list_results", "margin_of", "report", "show"]


def _folder(config: str | None) -> Path:
    from chapiteau.load.engine.lookup import project_or_none, run_folder

    return run_folder(project_or_none(config))


def margin_of(text: str) -> float:
    """A share from "5%". Raises UsageError."""
    from chapiteau.core.errors import UsageError

    try:
        share = float(text.rstrip("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise UsageError(f"--margin {text!r} is no percentage above 0", hint="for example 5%")
    return share


_config = click.option("--config", metavar="FILE", help="chapiteau.toml, or its folder.")
_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.command("list")
@click.option("--last", type=int, default=20, show_default=True, help="This many.")
@_json
@_config
def list_results(*, last: int, as_json: bool, config: str | None) -> int:
    """Stored results, newest first."""
    from datetime import UTC, datetime

    from chapiteau.core.text import table
    from chapiteau.load.client import live, results
    from chapiteau.load.logic.report.text import mark, seconds
    from chapiteau.plumbing.console import print_json

    folder = _folder(config)
    found = results(folder, last=last)
    for state in [] if as_json else live(folder):
        click.echo(f"running: {state['run']}  {state['kind']}  {state['name'][-60:]}", err=True)
    if as_json:
        print_json([one.to_dict() for one in found])
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
            seconds(one.p99),
            f"{mark(one.verdict)} {one.line[:60]}",
        )
        for one in found
    ]
    click.echo(
        table(rows, ("id", "when (UTC)", "kind", "test", "rate", "errors", "p99", "verdict"))
    )
    return 0


@click.command()
@click.argument("number", type=int)
@_json
@_config
def show(*, number: int, as_json: bool, config: str | None) -> int:
    """One stored result, as it was printed."""
    from chapiteau.load.client import report_path, result
    from chapiteau.load.logic.report.text import as_text
    from chapiteau.plumbing.console import print_json

    folder = _folder(config)
    document = result(folder, number)
    if as_json:
        print_json(document)
        return 0
    click.echo(as_text(document))
    if path := report_path(folder, number):
        click.echo(f"\nreport: {path}")
    return 0


@click.command()
@click.argument("number")
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "json", "csv", "junit", "markdown", "md"]),
    default="html",
    show_default=True,
)
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="File; default: stdout.")
@_config
def report(*, number: str, form: str, output: str | None, config: str | None) -> int:
    """Make a report anew from a stored result (by its number) or a JSON file."""
    from chapiteau.load.commands.stored import stored_result
    from chapiteau.load.logic.report import rendered

    text = rendered(stored_result(number, _folder(config)), form)
    if output:
        Path(output).write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=not text.endswith("\n"))
    return 0


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--margin", default="5%", show_default=True, help="Differences below this are none.")
@_json
@_config
def compare(*, a: str, b: str, margin: str, as_json: bool, config: str | None) -> int:
    """Is B faster or slower than A? Each is a result's number or a JSON file.

    Exit codes: 0 faster or the same, 1 slower, 2 cannot tell.
    """
    import random

    from chapiteau.load.commands.stored import stored_result
    from chapiteau.load.logic.comparing import compared, comparison_text
    from chapiteau.plumbing.console import print_json

    share = margin_of(margin)
    folder = _folder(config)
    found = compared(
        stored_result(a, folder),
        stored_result(b, folder),
        share,
        random.Random("compare"),  # noqa: S311
    )
    if as_json:
        print_json(found)
    else:
        click.echo(comparison_text(found))
    return {"slower": 1, "cannot tell": 2}.get(found["word"], 0)
