"""Look at load tests from outside: stored results, and those that are running now.

`folder` is the project's run folder (`.chapiteau`), wherever the caller has found it.
"""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from chapiteau.core.errors import ChapiteauError, NotFoundError, RefusedError
from chapiteau.io.clock import SystemClock
from chapiteau.io.files import is_alive
from chapiteau.load.errors import NoSuchResultError
from chapiteau.load.execution.control import (
    MAX_MARK_LENGTH,
    NO_ROOM,
    AddedLoadEntry,
    ControlMessage,
    Headroom,
    LiveState,
    all_marks,
    check_added_load,
    format_message,
    read_messages,
    stopped_by,
)
from chapiteau.load.report.result import LoadResult, Mark
from chapiteau.load.report.stored_results import BASELINES, DATABASE, LIVE, Baselines, ResultSummary

__all__ = [
    "ResultSummary",
    "add",
    "baselines",
    "follow",
    "live",
    "load_result",
    "log_of",
    "mark",
    "newest",
    "report_path",
    "result",
    "results",
    "set_baseline",
    "start",
    "stop",
    "summary",
]

_BEGIN: Final = 90.0  # seconds until the first numbers must have come
_LOOK: Final = 0.1
_AFTER: Final = 15.0  # seconds that judging, storing and telling may take after the last numbers
_ANSWER: Final = 15.0  # seconds until a test has said what became of an order
_COLUMNS: Final = ResultSummary.__struct_fields__


def results(folder: Path, *, last: int = 100) -> list[ResultSummary]:
    """Stored results, newest first; none when nothing has been stored yet."""
    with _open(folder) as database:
        if database is None:
            return []
        return _summaries(database, "ORDER BY id DESC LIMIT ?", last)


def newest(folder: Path) -> int:
    """The number of the result stored last. Raises NoSuchResultError when there is none."""
    found = results(folder, last=1)
    if not found:
        raise NoSuchResultError(
            "no load test has been stored here", hint="run one: chapiteau load run URL"
        )
    return found[0].id


def result(folder: Path, number: int) -> dict[str, Any]:
    """The whole document of a result (docs/reference/load-result.md). Raises NoSuchResultError."""
    with _open(folder) as database:
        row = (
            database
            and database.execute("SELECT document FROM result WHERE id = ?", (number,)).fetchone()
        )
        if not row:
            raise _missing(number)
        document: dict[str, Any] = json.loads(zlib.decompress(row[0]))
        return {**document, "id": number}


def load_result(folder: Path, number: int) -> LoadResult:
    """The same, typed. Raises NoSuchResultError."""
    return msgspec.convert(result(folder, number), LoadResult)


def baselines(folder: Path) -> Baselines:
    """The result of each test that others of it are held against."""
    with _open(folder) as database:
        if database is None:
            return {}
        try:
            rows = database.execute("SELECT kind, name, result FROM baseline")
            return {(kind, name): number for kind, name, number in rows}
        except sqlite3.OperationalError:  # none has ever been set here
            return {}


def set_baseline(folder: Path, number: int, *, who: str = "", on: bool = True) -> ResultSummary:
    """Hold later results of its test against this one, instead of the one before; or no longer.

    Raises NoSuchResultError, and RefusedError for one without requests.
    """
    found = summary(folder, number)
    if on and not found.requests:
        raise RefusedError(f"result {number} has no requests: nothing can be held against it")
    time = SystemClock().wall()
    with contextlib.closing(sqlite3.connect(folder / DATABASE, timeout=10)) as database, database:
        database.execute(BASELINES)
        if on:
            row = (*found.test, number, who or _me(), time)
            database.execute("INSERT OR REPLACE INTO baseline VALUES (?, ?, ?, ?, ?)", row)
        else:
            database.execute("DELETE FROM baseline WHERE result = ?", (number,))
    return found


def summary(folder: Path, number: int) -> ResultSummary:
    """One stored result, in short. Raises NoSuchResultError."""
    with _open(folder) as database:
        found = _summaries(database, "WHERE id = ?", number) if database is not None else []
        if not found:
            raise _missing(number)
        return found[0]


def _summaries(database: sqlite3.Connection, which: str, value: int) -> list[ResultSummary]:
    """Also of a database that an earlier version has made, without the newest columns."""
    there = {row[1] for row in database.execute("PRAGMA table_info(result)")}
    columns = [name for name in _COLUMNS if name in there]
    rows = database.execute(f"SELECT {', '.join(columns)} FROM result {which}", (value,))  # noqa: S608
    return [ResultSummary(**dict(zip(columns, row, strict=True))) for row in rows]


def _missing(number: int) -> NoSuchResultError:
    return NoSuchResultError(f"no load test result {number}", hint="see `chapiteau load list`")


def report_path(folder: Path, number: int) -> Path | None:
    """Where the HTML report of a result lies; None when it has been deleted or never was."""
    for summary in results(folder, last=1_000_000):
        if summary.id == number and summary.report and Path(summary.report).is_file():
            return Path(summary.report)
    return None


def live(folder: Path) -> list[LiveState]:
    """The state of each test that runs now, as of its last second."""
    found = []
    for path in sorted((folder / LIVE).glob("*.json")):
        try:
            state: LiveState = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if is_alive(int(state.get("pid", 0))):
            said = read_messages(path.with_suffix(".said"))
            started, added = float(state.get("started", 0.0)), state.get("added", [])
            more = [Mark(one["t"], one["who"], one["text"]) for one in added]
            state["marks"] = [asdict(mark) for mark in all_marks(said, started, more=more)]
            state["ended_by"] = stopped_by(said)
            found.append(state)
        else:
            # Killed before it could clean up.
            with contextlib.suppress(OSError):
                path.unlink()
    return found


def _running(folder: Path, run: str) -> LiveState | None:
    return next((state for state in live(folder) if state["run"] == run), None)


def _not_running(run: str) -> NotFoundError:
    return NotFoundError(f"no load test {run[:40]!r} runs here", hint="see `chapiteau load list`")


def stop(folder: Path, run: str, who: str = "", clock: SystemClock | None = None) -> bool:
    """Ask a running test to end; it still judges and stores what it has. False when it is gone.

    Asking again does not hurry it: a second signal would lose what it has. Its verdict names `who`.
    """
    state = _running(folder, run)
    if state is not None and not state["ended_by"]:
        now = (clock or SystemClock()).wall()
        _send(folder, run, ControlMessage(time=now, what="stop", who=who or _me()))
        os.kill(int(state["pid"]), signal.SIGINT)
    return state is not None


def mark(folder: Path, run: str, text: str, *, who: str = "", time: float = 0.0) -> bool:
    """Mark this moment (or `time`, seconds since 1970) in a running test's result.

    False when it is gone.
    """
    now = time or SystemClock().wall()
    state = _running(folder, run)
    if state is not None:
        text = " ".join(text.split())[:MAX_MARK_LENGTH]
        at = max(float(state["started"]), now)
        _send(folder, run, ControlMessage(time=at, what="mark", who=who or _me(), text=text))
    return state is not None


def add(
    folder: Path,
    run: str,
    *,
    users: int = 0,
    rate: float = 0.0,
    who: str = "",
    clock: SystemClock | None = None,
) -> AddedLoadEntry:
    """Add users (closed model) or sessions a second (open model) to a running test, to its end.

    What it says of it: `t`, seconds after its start, and `level`, what there is then. Raises
    NotFoundError when it is gone, RefusedError when it can't be or must not be.
    """
    clock = clock or SystemClock()
    state = _running(folder, run)
    if state is None:
        raise _not_running(run)
    room = msgspec.convert(state["room"], Headroom) if state.get("room") else NO_ROOM
    problem = check_added_load(room, users=users, rate=rate)
    if problem is not None:
        raise RefusedError(f"nothing was added: {problem.what}", hint=problem.hint)
    asked, end = clock.wall(), clock.now() + _ANSWER
    order = ControlMessage(time=asked, what="add", who=who or _me(), users=users, rate=rate)
    _send(folder, run, order)
    while state is not None and clock.now() < end:
        for one in state.get("added", []):
            if one["asked"] == asked:
                if one["refused"]:
                    raise RefusedError(f"nothing was added: {one['refused']}")
                return one
        clock.sleep(_LOOK)
        state = _running(folder, run)
    raise RefusedError(f"nothing was added: load test {run} has ended, or does not answer")


def _me() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _send(folder: Path, run: str, message: ControlMessage) -> None:
    path = folder / LIVE / f"{run}.said"
    with path.open("a", encoding="utf-8") as file:  # one write of one line: nobody's is torn
        file.write(format_message(message))


def start(words: Sequence[str], folder: Path, clock: SystemClock) -> str:
    """Run `chapiteau WORDS…` apart from this terminal; what the test is called.

    Comes back when the load has begun. Raises ChapiteauError with what the test said when it
    ended before.
    """
    (folder / LIVE).mkdir(parents=True, exist_ok=True)
    draft = folder / LIVE / "starting.log"
    with draft.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "chapiteau", *words],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    run = str(process.pid)
    draft.replace(log_of(folder, run))
    end = clock.now() + _BEGIN
    while clock.now() < end:
        if _running(folder, run) is not None:
            return run
        if process.poll() is not None:
            said = log_of(folder, run).read_text(errors="replace").strip()
            what = f"the test ended with {process.returncode}: {said[-2000:]}"
            raise ChapiteauError(what, exit_code=process.returncode or 1)
        clock.sleep(_LOOK)
    raise ChapiteauError(f"test {run} shows no numbers", hint=f"see {log_of(folder, run)}")


def log_of(folder: Path, run: str) -> Path:
    """Where a test in the background writes."""
    return folder / LIVE / f"{run}.log"


def follow(
    folder: Path, run: str, clock: SystemClock, *, known: bool = False
) -> Iterator[LiveState]:
    """Its state, each time it has changed; at last {"run", "result": the stored number}.

    `known` says that it was there a moment ago. Raises NotFoundError when there is no such test,
    or when it left no result.
    """
    before: LiveState | None = None
    gone: float | None = None
    while True:
        done = _done(folder, run)
        if done is not None:
            yield {"run": run, "result": done}
            return
        state = _running(folder, run)
        if state is None:
            gone = gone or clock.now()
            if not (known or before) or clock.now() - gone > _AFTER:
                raise _not_running(run)
        elif state != before:
            before = state
            yield state
        clock.sleep(_LOOK)


def _done(folder: Path, run: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(json.loads((folder / LIVE / f"{run}.done").read_text())["result"])
    return None


@contextlib.contextmanager
def _open(folder: Path) -> Iterator[sqlite3.Connection | None]:
    path = folder / DATABASE
    if not path.is_file():
        yield None
        return
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        yield database
