"""A result in the forms that other programs read: CSV, JUnit XML, Markdown."""

import csv
from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from chapiteau.load.report.result import EndpointRow, LoadResult, TotalsSection
from chapiteau.load.report.text import (
    finding_mark,
    format_seconds,
    unsound_lines,
    verdict_mark,
)

__all__ = ["as_csv", "as_junit", "as_markdown"]

_COLUMNS: Final = (
    "name", "requests", "rate", "bad", "errors", "mean", "p50", "p90", "p95", "p99", "p999", "max",
    "received",
)  # fmt: skip


class _Lines:
    """What csv.writer writes to, without a file."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, text: str) -> None:
        self.parts.append(text)


def as_csv(document: LoadResult) -> str:
    """A row for each name, and one for all; times in seconds."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_text(row.name), *_numbers(row)] for row in document.rows)
    writer.writerow(["(all)", *_numbers(document.totals)])
    return "".join(lines.parts)


def _text(name: str) -> str:
    """A name that a spreadsheet would take for a formula is shown as text."""
    return f"'{name}" if name[:1] in "=+-@" else name


def _numbers(row: EndpointRow | TotalsSection) -> list[float | None]:
    return [getattr(row, column) for column in _COLUMNS[1:]]


def as_junit(document: LoadResult) -> str:
    """A test case for each objective and each check; a run without any has one for its verdict."""
    cases = list(_cases(document))
    failed = sum(1 for _, text, _ in cases if text)
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuite name={quoteattr("load: " + document.name)} tests="{len(cases)}" '
        f'failures="{failed}" errors="0" time="{document.seconds:.3f}">\n'
    )
    return head + "".join(_case(document, *case) for case in cases) + "</testsuite>\n"


def _cases(document: LoadResult) -> Iterator[tuple[str, str, str]]:
    verdict = document.verdict
    yield "verdict", "" if verdict.exit_code == 0 else verdict.line, verdict.word
    for finding in verdict.findings:
        text = "" if finding.met else f"{finding.objective}: {finding.shown}"
        yield finding.objective, text, "objective missed"
    for check in document.checks:
        every = check.passed + check.failed
        text = f"{check.failed} of {every} failed" if check.failed else ""
        yield f"check: {check.label}", text, "check failed"


def _case(document: LoadResult, name: str, text: str, kind: str) -> str:
    start = f"  <testcase classname={quoteattr(document.name)} name={quoteattr(name)}"
    if not text:
        return start + "/>\n"
    return (
        f"{start}>\n    <failure type={quoteattr(kind)} message={quoteattr(text)}>"
        f"{escape(text)}</failure>\n  </testcase>\n"
    )


def as_markdown(document: LoadResult) -> str:
    """A comment for a merge request."""
    verdict, totals = document.verdict, document.totals
    lines = [
        *(f"**{_plain(line)}**\n" for line in unsound_lines(document)),
        f"### {verdict_mark(verdict.word)} {_plain(verdict.line)}",
        "",
        (
            f"`{document.target}`: {totals.requests} requests, {totals.rate:.4g}/s, "
            f"{totals.errors * 100:.3g}% errors"
        ),
        "",
    ]
    if verdict.findings:
        lines += ["| objective | measured | |", "|---|---|---|"]
        lines += [
            f"| {_plain(f.objective)} | {f.shown} | {finding_mark(f)} |" for f in verdict.findings
        ]
        lines.append("")
    lines += [
        "| request | n | /s | errors | p50 | p90 | p99 | max |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in document.rows[:20]:
        times = " | ".join(map(format_seconds, (row.p50, row.p90, row.p99, row.max)))
        lines.append(
            f"| {_plain(row.name)} | {row.requests} | {row.rate:.4g} | "
            f"{row.errors * 100:.3g}% | {times} |"
        )
    lines += [f"\n⚠ {note}" for note in document.soundness.notes]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text that stays itself inside a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
