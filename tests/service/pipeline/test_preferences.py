"""Dates, preferences, parts of files, long work, streams: in both paths."""

from __future__ import annotations

import queue
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from chapiteau.io.clock import SystemClock
from chapiteau.service import (
    Answer,
    Event,
    EventStream,
    File,
    MemoryJobs,
    Precondition,
    ProblemError,
    Service,
    SqliteJobs,
)
from chapiteau.service.addons.jobs import Jobs
from chapiteau.service.pipeline.reply import Reply
from chapiteau.service.protocol.headers import wait_preference
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from chapiteau.service.testing import Client

    Build = Callable[..., Client]

WHEN = datetime(2026, 11, 25, 10, 0, 0, 5000, UTC)
DATE = "Wed, 25 Nov 2026 10:00:00 GMT"


class Note(msgspec.Struct):
    text: str
    changed: datetime = WHEN


@pytest.fixture
def notes() -> Service:
    service = Service("notes", "/notes", modified=lambda note: note.changed)

    @service.get()
    def get() -> Note:
        """Read."""
        return Note("a")

    @service.put(minimal=True)
    def put(note: Note, precondition: Precondition) -> Note:
        """Change."""
        precondition.check(None, modified=WHEN)
        return note

    @service.post(status=201, minimal=True)
    def post(note: Note) -> Answer[Note]:
        """Write."""
        return Answer(note, headers={"Location": "/notes/1"}, etag="1")

    return service


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": "Wednesday, 25-Nov-26 10:00:01 GMT"}, 304),
        ({"If-Modified-Since": "Wed Nov 25 10:00:00 2026"}, 304),
        ({"If-Modified-Since": "Wed, 25 Nov 2026 09:59:59 GMT"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": DATE, "If-None-Match": '"x"'}, 200),  # the tag alone counts
    ],
)
def test_what_has_not_changed_since_is_304(
    build: Build, notes: Service, headers: dict[str, str], status: int
) -> None:
    answer = build(notes).get("/notes", headers=headers)
    assert (answer.status, answer.headers["last-modified"]) == (status, DATE)
    assert (answer.body == b"") == (status == 304)


def test_a_change_may_name_a_date(build: Build, notes: Service) -> None:
    client = build(notes)

    def put(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.put("/notes", json={"text": "b"}, headers=named).status

    assert put(If_Unmodified_Since=DATE) == 200
    assert put(If_Unmodified_Since="Wed, 25 Nov 2026 09:00:00 GMT") == 412
    assert put(If_Unmodified_Since="never") == put() == 428
    assert put(If_Unmodified_Since=DATE, If_Match='"x"') == 412


def test_a_client_that_wants_no_body_gets_none(build: Build, notes: Service) -> None:
    client = build(notes)

    def send(method: str, prefer: str) -> Any:
        headers = {"Prefer": prefer, "If-Unmodified-Since": DATE}
        return client.request(method, "/notes", json={"text": "b"}, headers=headers)

    made = send("POST", "return=minimal")
    assert (made.status, made.body, made.headers["location"]) == (201, b"", "/notes/1")
    assert made.headers["preference-applied"] == "return=minimal"
    assert (made.headers["etag"], made.headers["vary"]) == ('"1"', "Prefer")
    changed = send("PUT", 'foo; bar=1, Return="minimal"')
    assert (changed.status, changed.body) == (204, b"")
    assert "content-type" not in changed.headers
    assert changed.headers["last-modified"] == DATE
    whole = send("PUT", "return=representation, return=minimal")
    assert (whole.json()["text"], whole.status) == ("b", 200)
    assert whole.headers["preference-applied"] == "return=representation"
    for odd in ("return=nothing", "minimal", "", ",,;;=,"):
        assert "preference-applied" not in send("PUT", odd).headers
    assert client.post("/notes", json={}, headers={"Prefer": "return=minimal"}).status == 422
    got = client.get("/notes", headers={"Prefer": "return=minimal"})
    assert (got.status, "preference-applied" in got.headers) == (200, False)


# ── files ────────────────────────────────────────────────────────────────────────────────────────
DATA = bytes(range(256)) * 4


_FILES: dict[str, Client] = {}


@pytest.fixture
def files(build: Build, lane: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    if lane not in _FILES:
        _FILES[lane] = make_files(build, tmp_path_factory.mktemp("files"))
    return _FILES[lane]


def make_files(build: Build, tmp_path: Path) -> Client:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.bin").write_bytes(DATA)
    (folder / "empty.txt").write_bytes(b"")
    (folder / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("secret")
    service = Service("files", r"/files/{name:.*}")

    @service.get()
    def get(name: str, save: bool = False) -> File:
        """A file."""
        return File(folder / name, inside=folder, download=name if save else "")

    return build(service)


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=1000-", 206, slice(1000, 1024)),
        ("bytes=-5", 206, slice(1019, 1024)),
        ("bytes=-5000", 206, slice(0, 1024)),
        ("BYTES = 5 - 5000", 206, slice(5, 1024)),
        ("bytes=1024-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=9999999999999999999-", 416, None),
        ("bytes=5-1", 200, slice(None)),
        ("bytes=0-1,5-6", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=²-3", 200, slice(None)),
    ],
)
def test_parts_of_a_file(files: Client, asked: str, status: int, part: slice | None) -> None:
    answer = files.get("/files/a.bin", headers={"Range": asked})
    assert answer.status == status
    if part is None:
        assert answer.headers["content-range"] == "bytes */1024"
        assert answer.json()["status"] == 416
        return
    assert answer.body == DATA[part]
    assert answer.headers["content-length"] == str(len(answer.body))
    if status == 206:
        first, last, _ = part.indices(1024)
        assert answer.headers["content-range"] == f"bytes {first}-{last - 1}/1024"


def test_versions_of_a_file(files: Client) -> None:
    whole = files.get("/files/a.bin")
    tag, date = whole.headers["etag"], whole.headers["last-modified"]
    assert (whole.body, whole.headers["accept-ranges"]) == (DATA, "bytes")
    assert whole.headers["content-type"] == "application/octet-stream"

    def get(**headers: str) -> Any:
        return files.get(
            "/files/a.bin", headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    assert (get(If_None_Match=tag).status, get(If_Modified_Since=date).status) == (304, 304)
    assert (get(If_Match='"x"').status, get(If_Match=tag).status) == (412, 200)
    assert get(Range="bytes=0-0", If_Range=tag).status == 206
    assert get(Range="bytes=0-0", If_Range=date).status == 206
    assert get(Range="bytes=0-0", If_Range='"x"').status == 200
    assert get(Range="bytes=0-0", If_Range="Wed, 25 Nov 1999 10:00:00 GMT").status == 200
    head = files.head("/files/a.bin")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "1024")
    assert files.head("/files/a.bin", headers={"Range": "bytes=0-0"}).status == 200
    empty = files.get("/files/empty.txt?save=true")
    assert (empty.status, empty.body, empty.headers["content-type"]) == (200, b"", "text/plain")
    assert "filename*=UTF-8''empty.txt" in empty.headers["content-disposition"]
    assert files.get("/files/empty.txt", headers={"Range": "bytes=0-"}).status == 416
    for accept in ("image/png", "text/event-stream", "*/*"):
        assert get(Accept=accept).status == 200
    answers = files.get("/openapi.json").json()["paths"]["/files/{name}"]["get"]["responses"]
    assert {"200", "206", "304", "404", "416"} <= set(answers)
    assert "406" not in answers


@pytest.mark.parametrize(
    "name", ["none", "out", "%2e%2e%2fsecret", "a.bin/x", "", "%00", "/etc/passwd", "x" * 300]
)
def test_nothing_outside_the_folder_is_a_file(files: Client, name: str) -> None:
    answer = files.get(f"/files/{name}")
    assert answer.status in (400, 404)
    assert answer.json()["status"] == answer.status


# ── long work ────────────────────────────────────────────────────────────────────────────────────
class BrokenError(ProblemError):
    """Broken."""

    status = 409
    code = "broken"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryJobs() if request.param == "memory" else SqliteJobs(tmp_path / "jobs.sqlite3")


def test_long_work_is_accepted_and_told_of(build: Build, store: Any) -> None:
    go = Flag()
    service = Service("reports", "/reports")

    @service.post(status=201, later=True)
    def report(text: str) -> Answer[Note]:
        """Make a report."""
        assert go.wait(60)
        if text == "broken":
            raise BrokenError("it broke")
        return Answer(Note(text), headers={"Location": "/reports/1"})

    @service.put(later="always")
    def put(text: str) -> Note:
        """Always later."""
        return Note(text)

    def more(config: Any) -> None:
        config.add_jobs("/jobs", store=store, threads=1)
        config.add_service(service)

    client = build(more=more)
    wish = {"Prefer": "respond-async"}
    begun = client.post("/reports?text=a", headers=wish)
    assert (begun.status, begun.headers["preference-applied"]) == (202, "respond-async")
    where, job = begun.headers["location"], begun.json()
    assert where == f"/jobs/{job['id']}"
    running = client.get(where)
    assert (running.json()["state"], running.headers["retry-after"]) == ("running", "1")
    early = client.get(where + "/answer")
    assert (early.status, early.json()["code"]) == (409, "job-not-done")
    failing = client.post("/reports?text=broken", headers=wish).headers["location"]
    assert client.post("/reports", headers=wish).status == 422  # before anything is accepted
    go.set()
    wait_for(lambda: client.get(failing).json()["state"] == "failed")
    done = client.get(where).json()
    assert (done["state"], done["answer"], done["until"] >= done["since"]) == (
        "done", where + "/answer", True,
    )  # fmt: skip
    answer = client.get(done["answer"])
    assert (answer.status, answer.headers["location"]) == (201, "/reports/1")
    assert len([name for name, _ in answer.header_list if name == "X-Request-ID"]) == 1
    assert answer.json()["text"] == "a"
    assert client.get(failing + "/answer").json()["code"] == "broken"
    assert client.post("/reports?text=b").status == 201  # who doesn't ask for it waits
    always = client.put("/reports?text=c").headers["location"]
    wait_for(lambda: client.get(always).json()["state"] == "done")
    assert client.get("/jobs/none").json()["code"] == "no-such-job"
    assert client.get("/jobs/none/answer").status == 404


def test_a_client_may_wait_a_while_before_it_is_told_to_come_back(build: Build) -> None:
    """RFC 7240 §4.3: the answer itself when it is there in time, else 202."""
    go = Flag()
    service = Service("reports", "/reports")

    @service.post(later=True, status=201)
    def make(text: str) -> Answer[str]:
        if text == "slow":
            assert go.wait(60)
        if text == "broken":
            raise BrokenError
        return Answer(text, headers={"Location": "/reports/1"})

    def more(config: Any) -> None:
        config.add_jobs()
        config.add_service(service)

    client = build(more=more)
    soon = client.post("/reports?text=quick", headers={"Prefer": "respond-async, wait=20"})
    assert (soon.status, soon.json(), soon.headers["location"]) == (201, "quick", "/reports/1")
    assert soon.headers["preference-applied"] == "wait=20"
    broken = client.post("/reports?text=broken", headers={"Prefer": "wait=20, respond-async"})
    assert (broken.status, broken.json()["code"]) == (409, "broken")
    for wait in ("0", "x", "-5", "1e3", ""):
        late = client.post("/reports?text=slow", headers={"Prefer": f"respond-async, wait={wait}"})
        assert (late.status, late.headers["preference-applied"]) == (202, "respond-async")
    jobs = Jobs(MemoryJobs(), SystemClock(), threads=1, path="/jobs")
    begun = jobs.begin(lambda: go.wait(60) and Reply("200 OK", [], b"x"), {}, 0.01)
    assert isinstance(begun, Answer)
    assert begun.value.state == "running"
    go.set()
    where = late.headers["location"]
    wait_for(lambda: client.get(where).json()["state"] == "done")
    assert wait_preference(f"wait={'9' * 8}") == 60


def test_a_job_whose_process_has_died_has_failed(build: Build, store: Any) -> None:
    from chapiteau.service.addons.jobs import JobRecord

    client = build(more=lambda config: config.add_jobs("/jobs", store=store))
    store.put("lost", JobRecord(1.0, 2**22 + 1))  # no process has this number
    assert client.get("/jobs/lost").json() == {"id": "lost", "state": "failed", "since": 1.0}


# ── streams ──────────────────────────────────────────────────────────────────────────────────────
def test_a_silent_stream_shows_that_it_lives(build: Build) -> None:
    source: queue.Queue[Any] = queue.Queue()
    service = Service("events", "/events")

    @service.get()
    def events() -> EventStream:
        """What happens."""
        return EventStream.from_queue(source, heartbeat=0.001)

    stream = iter(EventStream.from_queue(source, heartbeat=0.001).pieces())
    assert next(stream) == b":\n\n"
    for item in (Event(data=1, id="7\n"), EventStream.END):
        source.put(item)
    assert b"".join(stream).endswith(b"id: 7 \ndata: 1\n\n")
    source.put(EventStream.END)
    answer = build(service).get("/events", headers={"Accept": "text/event-stream"})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")


def test_a_stream_is_406_for_who_wants_something_else(build: Build) -> None:
    service = Service("events", "/events")

    def events() -> EventStream:
        return EventStream([1])

    service.add("GET", events)
    assert build(service).get("/events", headers={"Accept": "image/png"}).status == 406


def test_bytes_go_out_as_they_are(build: Build) -> None:
    service = Service("dots", "/dot", produces=["image/gif", "application/json"])

    @service.get()
    def dot() -> bytes:
        """A dot."""
        return b"GIF89a"

    client = build(service)
    assert client.get("/dot").body == b"GIF89a"
    coded = client.get("/dot", headers={"Accept": "application/json"})
    assert coded.json() == "R0lGODlh"
    content = client.get("/openapi.json").json()["paths"]["/dot"]["get"]["responses"]["200"][
        "content"
    ]
    assert content["image/gif"]["schema"] == {"type": "string", "format": "binary"}
    assert content["application/json"]["schema"]["contentEncoding"] == "base64"


def test_head_and_options_answer_everywhere(build: Build, files: Client, notes: Service) -> None:
    for client, paths in (
        (files, ["/files/a.bin", "/openapi.json", "/openapi.yaml", "/live", "/ready"]),
        (build(notes), ["/notes"]),
    ):
        for path in paths:
            got, head = client.get(path), client.head(path)
            assert (head.status, head.body) == (got.status, b"")
            names = ("content-type", "content-length", "etag", "vary")
            assert [head.headers.get(n) for n in names] == [got.headers.get(n) for n in names]
            asked = client.options(path)
            assert (asked.status, "HEAD" in asked.headers["allow"]) == (204, True)
    assert build(notes).options("/nothing").status == 404
