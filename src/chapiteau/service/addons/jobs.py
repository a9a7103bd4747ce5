"""Long work: 202 at once, a status resource, the answer later."""

import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from chapiteau.core.clock import Clock
from chapiteau.service.addons.stores import LockedMap, SqliteTable
from chapiteau.service.declare.service import Service
from chapiteau.service.declare.signature import Answer, Job, JobState, Link
from chapiteau.service.pipeline.error_views import problem_from
from chapiteau.service.pipeline.reply import Reply, problem_reply, request_id
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.problem import ProblemError

__all__ = [
    "JobNotDoneError",
    "JobRecord",
    "JobStore",
    "Jobs",
    "MemoryJobs",
    "NoSuchJobError",
    "SqliteJobs",
    "TooBusyError",
    "job_services",
]

_MOST: Final = 1_000


class NoSuchJobError(ProblemError):
    """There is no such job, or not any more (404)."""

    status = 404
    code = "no-such-job"
    title = "There is no such job"


class JobNotDoneError(ProblemError):
    """The job has no answer yet (409)."""

    status = 409
    code = "job-not-done"
    title = "The job is still running"


class TooBusyError(ProblemError):
    """Too many jobs wait already (503)."""

    status = 503
    code = "too-busy"
    title = "Too many jobs are waiting"


class JobRecord(msgspec.Struct, array_like=True, frozen=True):
    """What a store keeps of a job: times in seconds since 1970, whose process, and the answer."""

    since: float
    holder: int
    until: float = 0.0
    status: str = ""
    headers: list[tuple[str, str]] = []
    body: bytes = b""


class JobStore(Protocol):
    """Keeps jobs by their ids."""

    def put(self, job_id: str, record: JobRecord) -> None:
        """Keep a job, or what has become of it."""
        ...

    def get(self, job_id: str) -> JobRecord | None:
        """The job, or None."""
        ...


class MemoryJobs(LockedMap[JobRecord]):
    """For one process; the oldest jobs go first."""

    def __init__(self, *, most: int = 10_000) -> None:
        super().__init__(most=most)

    def put(self, job_id: str, record: JobRecord) -> None:
        """See JobStore."""
        with self._lock:
            self._put(job_id, record)

    def get(self, job_id: str) -> JobRecord | None:
        """See JobStore."""
        return self._kept.get(job_id)


class SqliteJobs(SqliteTable):
    """For all processes of one machine: a SQLite file; jobs are kept for `days`."""

    schema = (
        "CREATE TABLE IF NOT EXISTS jobs"
        " (id TEXT PRIMARY KEY, since REAL NOT NULL, record BLOB NOT NULL) WITHOUT ROWID"
    )

    def __init__(self, path: Path, *, days: float = 1.0) -> None:
        super().__init__(path)
        self._seconds = days * 86_400

    def put(self, job_id: str, record: JobRecord) -> None:
        """See JobStore."""
        kept = (job_id, record.since, msgspec.msgpack.encode(record))
        self._db.execute("DELETE FROM jobs WHERE since < ?", (record.since - self._seconds,))
        self._db.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?)", kept)

    def get(self, job_id: str) -> JobRecord | None:
        """See JobStore."""
        row = self._db.execute("SELECT record FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=JobRecord)


class Jobs:
    """Runs handlers in threads of this process after their requests have been answered.

    The interpreter waits for them before it ends, so a drained worker leaves nothing half done;
    what a kill interrupts is told as failed.
    """

    def __init__(self, store: JobStore, clock: Clock, *, threads: int, path: str) -> None:
        self.store = store
        self._clock = clock
        self._threads = threads
        self._path = path
        self._lock = threading.Lock()
        self._waiting = 0
        self._pool: ThreadPoolExecutor | None = None

    def begin(
        self, run: Callable[[], Any], environ: Environ, patience: float = 0.0
    ) -> Answer[Job] | Reply:
        """Accept work; the answer says where its status is.

        With `patience`, seconds, it is the answer itself when the work is done by then. Raises
        TooBusyError.
        """
        with self._lock:
            if self._waiting >= _MOST:
                raise TooBusyError(headers={"Retry-After": "10"})
            self._waiting += 1
            if self._pool is None:  # not before a fork
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="job")
        job_id = secrets.token_urlsafe(18)  # who knows it may ask: it must not be guessed
        record = JobRecord(self._clock.wall(), os.getpid())
        self.store.put(job_id, record)
        work: Future[Reply] = self._pool.submit(self._run, job_id, record, run, environ)
        if patience and wait_for([work], patience).done and work.exception() is None:
            return work.result()
        where = self.where(job_id, environ)
        return Answer(self.told(job_id, environ), status=202, headers={"Location": where})

    def where(self, job_id: str, environ: Environ) -> str:
        """The path of a job's status."""
        return f"{environ.get('SCRIPT_NAME', '')}{self._path}/{job_id}"

    def _run(
        self, job_id: str, record: JobRecord, run: Callable[[], Any], environ: Environ
    ) -> Reply:
        try:
            try:
                made = run()
            except Exception as exc:  # noqa: BLE001 — whatever it is becomes the job's answer
                made = problem_reply(problem_from(exc, environ), environ)
            if not isinstance(made, Reply):
                kind = TypeError("a job's handler must return a value: streams can't be kept")
                made = problem_reply(problem_from(kind, environ), environ)
            kept = [(n, v) for n, v in made.headers if n not in ("X-Request-ID", "Vary")]
            done = JobRecord(
                record.since, record.holder, self._clock.wall(), made.status, kept, made.body
            )
            self.store.put(job_id, done)
            return made
        finally:
            with self._lock:
                self._waiting -= 1

    def told(self, job_id: str, environ: Environ) -> Job:
        """What the status resource says. Raises NoSuchJobError."""
        record = self.store.get(job_id)
        if record is None:
            raise NoSuchJobError("jobs are kept for a while only")
        if not record.status:
            alive = _alive(record.holder)
            return Job(id=job_id, state="running" if alive else "failed", since=record.since)
        state: JobState = "failed" if record.status[0] in "45" else "done"
        answer = self.where(job_id, environ) + "/answer"
        return Job(id=job_id, state=state, since=record.since, until=record.until, answer=answer)


def _alive(holder: int) -> bool:
    try:
        os.kill(holder, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def job_services(path: str, jobs: Jobs) -> tuple[Service, Service]:
    """The services for the status of a job, and for its answer."""
    status = Service("job", path + "/{job_id}", description="Work that goes on after a 202.")
    answer = Service("job_answer", path + "/{job_id}/answer", description="What came of it.")

    def get_job(request: Any, job_id: str) -> Answer[Job]:
        """How far a job is.

        While it runs, `Retry-After` says when to ask again; once it is done, `answer` says where
        its answer is.
        """
        job = jobs.told(job_id, request.environ)
        headers = {"Cache-Control": "no-store"}
        return Answer(
            job, headers=headers if job.state != "running" else {**headers, "Retry-After": "1"}
        )

    def get_job_answer(request: Any, job_id: str) -> Reply:
        """The answer of a job, as the request would have got it."""
        record = jobs.store.get(job_id)
        if record is None:
            raise NoSuchJobError("jobs are kept for a while only")
        if not record.status:
            raise JobNotDoneError("ask for its status first", headers={"Retry-After": "1"})
        own = [("X-Request-ID", request_id(request.environ)), ("Cache-Control", "no-store")]
        return Reply(record.status, [*record.headers, *own], record.body)

    raises = (NoSuchJobError,)
    links = {"answer": Link(get_job_answer, job_id="$response.body#/id")}
    status.add("GET", get_job, tags=("jobs",), raises=raises, unknown_query="ignore", links=links)
    answer.add(
        "GET", get_job_answer, tags=("jobs",), raises=(*raises, JobNotDoneError),
        unknown_query="ignore",
    )  # fmt: skip
    return status, answer
