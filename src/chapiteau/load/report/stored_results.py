"""Stored results: what a list of them shows, and where they lie below a project's run folder."""

from typing import Final

from msgspec import Struct

from chapiteau.load.report.result import LoadResult

__all__ = [
    "BASELINES",
    "DATABASE",
    "LIVE",
    "REPORTS",
    "SCHEMA",
    "VERSION",
    "Baselines",
    "ResultSummary",
    "p99_change",
    "summarize_result",
]

DATABASE: Final = "load.sqlite3"
REPORTS: Final = "load"  # folder of the HTML reports
LIVE: Final = "load/live"  # folder of one state file for each running test
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS result (
    id INTEGER PRIMARY KEY,
    started REAL NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    verdict TEXT NOT NULL,
    line TEXT NOT NULL,
    seconds REAL NOT NULL,
    requests INTEGER NOT NULL,
    rate REAL NOT NULL,
    p99 REAL,
    errors REAL NOT NULL,
    report TEXT NOT NULL DEFAULT '',
    version TEXT NOT NULL DEFAULT '',
    document BLOB NOT NULL
) STRICT
"""
# Of databases that were made before it.
VERSION: Final = "ALTER TABLE result ADD COLUMN version TEXT NOT NULL DEFAULT ''"
# The result that others of the same test are held against.
BASELINES: Final = """
CREATE TABLE IF NOT EXISTS baseline (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    result INTEGER NOT NULL,
    who TEXT NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT
"""
Baselines = dict[tuple[str, str], int]  # (kind, name) of a test → number of its baseline


class ResultSummary(Struct, frozen=True, kw_only=True):
    """One stored result. Times in seconds, `started` since 1970, `errors` a share (0..1)."""

    id: int
    started: float
    kind: str  # run or capacity
    name: str
    target: str
    verdict: str  # met, not met, unsure, generator-limited, broken, none
    line: str  # the verdict as one sentence
    seconds: float
    requests: int
    rate: float  # requests a second
    p99: float | None
    errors: float
    report: str  # path of the HTML report, "" when there is none
    version: str = ""  # of the service under load, "" when nobody said one

    @property
    def test(self) -> tuple[str, str]:
        """Results of the same test have the same."""
        return self.kind, self.name


def summarize_result(number: int, document: LoadResult, report: str) -> ResultSummary:
    """The summary of a result document."""
    totals, verdict = document.totals, document.verdict
    return ResultSummary(
        id=number,
        started=document.started,
        kind=document.kind,
        name=document.name,
        target=document.target,
        verdict=verdict.word,
        line=verdict.line,
        seconds=document.seconds,
        requests=totals.requests,
        rate=totals.rate,
        p99=totals.p99,
        errors=totals.errors,
        report=report,
        version=document.target_version,
    )


def p99_change(one: ResultSummary, other: ResultSummary | None) -> float | None:
    """By which share its p99 is above (or below 0) another's; None where that says nothing.

    Whether such a difference is real is for a comparison to tell.
    """
    if other is None or other.id == one.id or not one.p99 or not other.p99:
        return None
    return one.p99 / other.p99 - 1
