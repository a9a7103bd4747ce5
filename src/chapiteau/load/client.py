"""Look at load tests from outside: stored results, and those that are running now.

`folder` is the project's run folder (`.chapiteau`), wherever the caller has found it.
"""

import contextlib
import json
import os
import signal
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from chapiteau.load.errors import NoSuchResultError
from chapiteau.load.logic.results import DATABASE, LIVE, ResultSummary

__all__ = ["ResultSummary", "live", "report_path", "result", "results", "stop"]

_COLUMNS: Final = tuple(ResultSummary.__dataclass_fields__)
_NEWEST: Final = f"SELECT {', '.join(_COLUMNS)} FROM result ORDER BY id DESC LIMIT ?"  # noqa: S608


def results(folder: Path, *, last: int = 100) -> list[ResultSummary]:
    """Stored results, newest first; none when nothing has been stored yet."""
    with _open(folder) as database:
        if database is None:
            return []
        rows = database.execute(_NEWEST, (last,))
        return [ResultSummary(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def result(folder: Path, number: int) -> dict[str, Any]:
    """The whole document of a result (docs/reference/load-result.md). Raises NoSuchResultError."""
    with _open(folder) as database:
        row = (
            database
            and database.execute("SELECT document FROM result WHERE id = ?", (number,)).fetchone()
        )
        if not row:
            raise NoSuchResultError(
                f"no load test result {number}", hint="see `chapiteau load list`"
            )
        document: dict[str, Any] = json.loads(zlib.decompress(row[0]))
        return {**document, "id": number}


def report_path(folder: Path, number: int) -> Path | None:
    """Where the HTML report of a result lies; None when it has been deleted or never was."""
    for summary in results(folder, last=1_000_000):
        if summary.id == number and summary.report and Path(summary.report).is_file():
            return Path(summary.report)
    return None


def live(folder: Path) -> list[dict[str, Any]]:
    """The state of each test that runs now, as of its last second."""
    found = []
    for path in sorted((folder / LIVE).glob("*.json")):
        try:
            state = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if _alive(int(state.get("pid", 0))):
            found.append(state)
        else:
            # Killed before it could clean up.
            with contextlib.suppress(OSError):
                path.unlink()
    return found


def stop(folder: Path, run: str) -> bool:
    """Ask a running test to end; it still judges and stores what it has. False when it is gone."""
    for state in live(folder):
        if state["run"] == run:
            os.kill(int(state["pid"]), signal.SIGINT)
            return True
    return False


@contextlib.contextmanager
def _open(folder: Path) -> Iterator[sqlite3.Connection | None]:
    path = folder / DATABASE
    if not path.is_file():
        yield None
        return
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        yield database


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
