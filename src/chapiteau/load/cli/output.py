"""Progress while a test runs, and where its result goes afterwards."""

import json
import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec.structs import replace

from chapiteau.core.errors import NotFoundError, UnreachableError, UsageError
from chapiteau.core.problems import Problem
from chapiteau.io.console import print_json, use_colour
from chapiteau.load.client import baselines, load_result
from chapiteau.load.execution.storage import mark_done, save_result
from chapiteau.load.report.comparison import apply_baseline, compare_results, comparison_text
from chapiteau.load.report.html import as_html
from chapiteau.load.report.result import FORMAT, LoadResult, TimelinePoint
from chapiteau.load.report.text import as_text, progress

__all__ = [
    "ProgressLine",
    "against_baseline",
    "baseline_for",
    "print_dashboard_url",
    "print_result",
    "save_and_print",
    "stored_result",
    "warn",
]

_MARGIN: Final = 0.05  # differences from a baseline below this are none


class ProgressLine:
    """One line that is written over on a terminal; every fifth second a line elsewhere.

    With `as_json` each second is also a JSON object on standard output, for programs that watch.
    """

    def __init__(self, *, quiet: bool, as_json: bool = False) -> None:
        self._quiet = quiet
        self._as_json = as_json and not quiet
        self._tty = sys.stderr.isatty()
        self._count = 0
        self._open = False

    def show(self, point: TimelinePoint, elapsed: float, total: float, head: str = "") -> None:
        """A second has passed."""
        self._count += 1
        if self._as_json:
            print_json({"elapsed": elapsed, "of": total, **msgspec.to_builtins(point)})
        if self._quiet or (not self._tty and self._count % 5 != 1):
            return
        text = progress(point, elapsed, total, head)
        if self._tty:
            sys.stderr.write(f"\r\x1b[K{text}")
            self._open = True
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self.clear()
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._open:
            sys.stderr.write("\r\x1b[K")
            self._open = False


def print_dashboard_url(folder: Path) -> None:
    """Say where the dashboard shows running tests. Raises UnreachableError when none runs."""
    try:
        told = json.loads((folder / "dash.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UnreachableError(
            "no dashboard runs for this folder, so nobody could look",
            hint="start one: chapiteau dash serve, or set [dash] enable = true",
        ) from None
    # Without the key that logs in: what is printed here ends up in logs.
    click.echo(f"live at {told['base'].rstrip('/')}/load (to log in: chapiteau dash url)", err=True)


def warn(problems: Iterable[Problem], *, most: int = 10) -> None:
    """What a test does without, on stderr: the first few, and how many more."""
    told = list(problems)
    for problem in told[:most]:
        click.echo(f"warning: {problem}", err=True)
    if len(told) > most:
        click.echo(f"warning: … and {len(told) - most} more", err=True)


def save_and_print(
    document: LoadResult,
    folder: Path,
    *,
    report: str | None,
    as_json: bool,
    keep: bool = True,
    observers: Sequence[str] = (),
) -> int:
    """Store and print a result, tell those who want to know; its exit code."""
    html = as_html(document)
    where = ""
    if keep:
        number = save_result(folder, document, html, Path(report) if report else None)
        document = replace(document, id=number)
        where = str(Path(report) if report else folder / "load" / f"{number}.html")
        mark_done(folder, number)
    elif report:
        Path(report).write_text(html, encoding="utf-8")
        where = report
    if observers:
        from chapiteau.load.telemetry.notify import notify

        for line in notify(observers, document):
            click.echo(f"warning: {line}", err=True)
    return _print(document, where, as_json=as_json)


def print_result(document: LoadResult, folder: Path, *, as_json: bool) -> int:
    """Print a stored result as it was printed when its test ended; its exit code."""
    where = folder / "load" / f"{document.id}.html"
    return _print(document, str(where) if where.is_file() else "", as_json=as_json)


def _print(document: LoadResult, where: str, *, as_json: bool) -> int:
    if as_json:
        print_json(msgspec.to_builtins(document))
    else:
        text = as_text(document)
        first, _, rest = text.partition("\n")
        word = document.verdict.word
        colour = {"met": "green", "none": None, "not met": "red", "broken": "red"}.get(
            word, "yellow"
        )
        click.echo(click.style(first, fg=colour, bold=True) if use_colour() else first)
        click.echo(rest)
        if found := document.comparison:
            click.echo("\n" + comparison_text(found))
        if where:
            click.echo(f"\nreport: {where}")
    return document.verdict.exit_code


# A result that the user names: by the number it is stored under, or by a JSON file.


def stored_result(text: str, folder: Path, test: tuple[str, str] | None = None) -> LoadResult:
    """The result; "baseline" is the one that was set for this test (its kind and name).

    Raises NoSuchResultError, NotFoundError, UsageError.
    """
    if text == "baseline" and test is not None:
        return load_result(folder, _baseline_of(test, folder))
    if text.isdigit():
        return load_result(folder, int(text))
    try:
        document = msgspec.json.decode(Path(text).read_bytes(), type=LoadResult)
    except FileNotFoundError:
        raise NotFoundError(f"{text}: no such file, and no number of a result") from None
    except (ValueError, OSError) as exc:
        raise UsageError(f"{text}: not a result: {exc}") from None
    if document.format != FORMAT:
        raise UsageError(f"{text}: not a result of the format {FORMAT}")
    return document


def baseline_for(text: str, folder: Path, test: tuple[str, str]) -> LoadResult | None:
    """What a test of this kind and name is to be held against; None without a `text`."""
    return stored_result(text, folder, test) if text else None


def _baseline_of(test: tuple[str, str], folder: Path) -> int:
    number = baselines(folder).get(test)
    if number is None:
        hint = "set one: chapiteau load baseline NUMBER (see `chapiteau load list`)"
        raise NotFoundError(f"no baseline is set for {test[1]} ({test[0]})", hint=hint)
    return number


def against_baseline(document: LoadResult, baseline: LoadResult) -> LoadResult:
    """The document with its comparison; slower than the baseline is not met."""
    found = compare_results(baseline, document, _MARGIN, random.Random("baseline"))  # noqa: S311
    return apply_baseline(document, found)
