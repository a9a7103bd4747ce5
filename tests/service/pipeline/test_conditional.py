"""ETags and preconditions over a whole request, in both paths."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from chapiteau.service import Precondition, Service

if TYPE_CHECKING:
    pass

Build = "Callable[..., Any]"


class Note(msgspec.Struct):
    text: str
    version: int


@pytest.fixture
def notes() -> Service:
    kept = Note("a", 1)
    service = Service("note", "/note", etag=lambda note: note.version)

    @service.get()
    def read() -> Note:
        return kept

    @service.put()
    def write(text: str, precondition: Precondition) -> Note:
        precondition.check(str(kept.version))
        kept.text, kept.version = text, kept.version + 1
        return kept

    return service


def test_a_version_that_the_client_has_is_304(build: Build, notes: Service) -> None:
    client = build(notes)
    first = client.get("/note")
    assert first.headers["etag"] == '"1"'
    for value in ('"1"', 'W/"1"', '"0", "1"', "*"):
        again = client.get("/note", headers={"If-None-Match": value})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", '"1"')
        assert "content-type" not in again.headers
    assert client.get("/note", headers={"If-None-Match": '"2"'}).status == 200


def test_no_work_is_overwritten(build: Build, notes: Service) -> None:
    client = build(notes)
    assert client.put("/note?text=x").status == 428
    changed = client.put("/note?text=x", headers={"If-Match": '"1"'})
    assert (changed.status, changed.headers["etag"]) == (200, '"2"')
    late = client.put("/note?text=y", headers={"If-Match": '"1"'})
    assert (late.status, late.headers["etag"]) == (412, '"2"')
    weak = client.put("/note?text=y", headers={"If-Match": 'W/"2"'})
    assert weak.status == 412
    assert client.put("/note?text=y", headers={"If-Match": "*"}).status == 200


def test_a_tag_of_the_content_changes_with_it(build: Build) -> None:
    value = [1]
    service = Service("list", "/list")
    service.add("GET", lambda: value, etag="content")
    client = build(service)
    first = client.get("/list").headers["etag"]
    assert client.get("/list").headers["etag"] == first
    value.append(2)
    assert client.get("/list").headers["etag"] != first


def test_reading_too_may_be_meant_for_one_version(build: Build, notes: Service) -> None:
    """RFC 9110 §13.2.2: If-Match comes first, and a GET must not answer when it fails."""
    client = build(notes)
    assert client.get("/note", headers={"If-Match": '"1"'}).status == 200
    assert client.get("/note", headers={"If-Match": "*", "If-None-Match": '"1"'}).status == 304
    failed = client.get("/note", headers={"If-Match": '"9"', "If-None-Match": '"1"'})
    assert (failed.status, failed.headers["etag"]) == (412, '"1"')
    assert "412" in client.get("/openapi.json").json()["paths"]["/note"]["get"]["responses"]


def test_reading_what_has_changed_since_is_412(build: Build) -> None:
    service = Service("one", "/one")
    service.add("GET", lambda: 1, modified=lambda _: datetime(2026, 5, 1, 12, tzinfo=UTC))
    client = build(service)
    for date, status in (("01 May 2026 12:00:00", 200), ("01 May 2020 12:00:00", 412)):
        headers = {"If-Unmodified-Since": f"Fri, {date} GMT"}
        assert client.get("/one", headers=headers).status == status
