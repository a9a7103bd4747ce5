"""Writes results into SQLite, and the state of a running test into a small file."""

import contextlib
import json
import os
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from chapiteau.load.execution.control import ControlMessage, LiveState, read_messages
from chapiteau.load.report.document import failures_of, soundness
from chapiteau.load.report.live import busiest_endpoints, live_samples
from chapiteau.load.report.result import LoadResult, TimelinePoint
from chapiteau.load.report.stored_results import (
    DATABASE,
    LIVE,
    REPORTS,
    SCHEMA,
    VERSION,
    summarize_result,
)
from chapiteau.load.settings import LoadTest
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.objectives import (
    JudgedObjective,
    evaluate_objectives,
    parse_objectives,
    require_samples,
    with_error_objective,
)

__all__ = ["LiveFile", "live_state", "mark_done", "save_result"]

_DAY: Final = 86400.0


def save_result(folder: Path, document: LoadResult, html: str, report: Path | None = None) -> int:
    """Keep a result and its report; the number it can be found under."""
    folder.mkdir(parents=True, exist_ok=True)
    body = zlib.compress(msgspec.json.encode(document), 6)
    with contextlib.closing(sqlite3.connect(folder / DATABASE, timeout=10)) as database, database:
        database.execute(SCHEMA)
        if not any(row[1] == "version" for row in database.execute("PRAGMA table_info(result)")):
            database.execute(VERSION)
        row = msgspec.structs.asdict(summarize_result(0, document, ""))
        del row["id"]
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        number = database.execute(
            f"INSERT INTO result ({names}, document) VALUES ({marks}, :document)",  # noqa: S608
            {**row, "document": body},
        ).lastrowid
        assert number is not None  # noqa: S101 — an INSERT always has one
        path = report or folder / REPORTS / f"{number}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
        database.execute("UPDATE result SET report = ? WHERE id = ?", (str(path.resolve()), number))
    return number


class LiveFile:
    """The state of this test for whoever watches; gone when the test is."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LIVE / f"{os.getpid()}.json"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._said = self._path.with_suffix(".said")
        self._said.unlink(missing_ok=True)  # of an earlier process of this number

    @property
    def run(self) -> str:
        """What the watchers call this test."""
        return self._path.stem

    def write(self, state: LiveState) -> None:
        """Replace the state; a full disk costs the watchers a second, never the test."""
        draft = self._path.with_suffix(".tmp")
        with contextlib.suppress(OSError):
            draft.write_bytes(msgspec.json.encode({"run": self.run, "pid": os.getpid(), **state}))
            draft.replace(self._path)

    def messages(self) -> list[ControlMessage]:
        """What people have said to this test."""
        return read_messages(self._said)

    def remove(self) -> None:
        """The test is over."""
        self._path.unlink(missing_ok=True)
        self._said.unlink(missing_ok=True)


def mark_done(folder: Path, number: int) -> None:
    """Tell who follows this process's test where its result is; forget what is a day old."""
    here = folder / LIVE
    here.mkdir(parents=True, exist_ok=True)
    draft = here / f"{os.getpid()}.tmp"
    draft.write_text(json.dumps({"result": number}))
    draft.replace(here / f"{os.getpid()}.done")
    for old in (*here.glob("*.done"), *here.glob("*.log")):
        with contextlib.suppress(OSError):
            if old.stat().st_mtime < (here / f"{os.getpid()}.done").stat().st_mtime - _DAY:
                old.unlink()


# What watchers of a running test see: its newest seconds, and how it stands.


def live_state(
    names: Mapping[str, str],
    test: LoadTest,
    started: float,
    seconds: float,
    totals: Totals,
    points: Sequence[TimelinePoint],
) -> LiveState:
    """The last five minutes and the totals so far. `names`: its kind, name and target."""
    latency = totals.latency
    return {
        "kind": names["kind"],
        "name": names["name"],
        "target": names["target"],
        "objective": test.objective,
        "started": started,
        "seconds": seconds,
        "requests": totals.requests,
        "errors": totals.bad / totals.requests if totals.requests else 0.0,
        "p50": latency.quantile(0.5) / 1e6 if latency.count else None,
        "p99": latency.quantile(0.99) / 1e6 if latency.count else None,
        "dropped": totals.dropped,
        "soundness": soundness(totals, objectives=parse_objectives(test.objective)),
        "so_far": _so_far(test.objective, names["kind"], totals, points),
        "rows": busiest_endpoints(totals),
        "failures": live_samples(failures_of(totals)),
        "timeline": list(points),
    }


def _so_far(
    objective: str, kind: str, totals: Totals, points: Sequence[TimelinePoint]
) -> list[JudgedObjective]:
    """Each limit of the objective, as if the test ended now. A search judges its steps itself."""
    if kind != "run" or not points:
        return []
    lasted = float(points[-1].t + 1)
    objectives = with_error_objective(parse_objectives(objective))
    findings = evaluate_objectives(objectives, totals, lasted)
    return [one.judged() for one in require_samples(findings, totals)]
