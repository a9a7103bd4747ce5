"""One service with everything in it, to hold its document and its answers against each other.

`make()` is served; `colander_app()` is the same idea made of Cornice services with colander.
"""

# No `from __future__ import annotations`: types inside functions must be found at once.

import itertools
import threading
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from pydantic import BaseModel, ConfigDict, Field
from pyramid.config import Configurator

from chapiteau.service import (
    Answer,
    ApiKeyAuth,
    BearerAuth,
    Body,
    Callback,
    Cookie,
    CorsPolicy,
    Event,
    EventStream,
    File,
    Header,
    JsonLines,
    Link,
    NoSuchPageError,
    Precondition,
    ProblemError,
    Query,
    RateLimit,
    Service,
    Upload,
    Versions,
    decode_cursor,
    encode_cursor,
    link_header,
    with_query,
)

TEXT = Meta(min_length=1, max_length=50, description="Some words.")
NUMBER = Annotated[int, Meta(ge=1, le=1_000_000, description="Its number.")]
START = datetime(2026, 1, 1, tzinfo=UTC)


class Colour(Enum):
    """Which colour."""

    RED = "red"
    BLUE = "blue"


class Cat(msgspec.Struct, tag="cat", forbid_unknown_fields=True):
    """A cat."""

    lives: Annotated[int, Meta(ge=1, le=9)]


class Dog(msgspec.Struct, tag="dog", forbid_unknown_fields=True):
    """A dog."""

    name: Annotated[str, TEXT]


class NewNote(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """What to write."""

    text: Annotated[str, Meta(min_length=1, max_length=200, examples=["milk"])]
    colour: Colour | None = None
    pets: Annotated[list[Cat | Dog], Meta(max_length=3)] = []
    due_on: date | None = None
    weights: dict[str, float] = {}
    reply_to: int | None = None


class Note(NewNote, rename="camel", kw_only=True):
    """A note."""

    id: NUMBER
    version: int = 1
    changed: datetime = START


@dataclass
class Point:
    """A point."""

    x: Annotated[float, Meta(ge=-180, le=180)]
    y: Annotated[float, Meta(ge=-90, le=90)] = 0.0


class Part(BaseModel):
    """A part."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=20)
    count: int = Field(1, ge=1, le=99, alias="howMany")
    kind: Literal["new", "old"] = "new"


class Filters(msgspec.Struct, kw_only=True):
    """Which notes."""

    q: Annotated[str, Meta(max_length=20, description="Part of the text.")] = ""
    colours: Annotated[list[Colour], Meta(max_length=2, description="Of these colours.")] = []
    cursor: Annotated[str, Meta(max_length=200, description="Go on behind this.")] = ""
    limit: Annotated[int, Meta(ge=1, le=20, description="Maximum number of items.")] = 10


class Photo(msgspec.Struct):
    """A picture."""

    title: Annotated[str, TEXT]
    picture: Upload


class Login(msgspec.Struct):
    """A form."""

    name: Annotated[str, TEXT]
    age: Annotated[int, Meta(ge=0, le=200)]


class NoSuchNoteError(ProblemError):
    """No such note."""

    status = 404
    code = "no-such-note"
    title = "There is no such note"


class Notes:
    """The notes, in memory."""

    def __init__(self) -> None:
        self.kept: dict[int, Note] = {}
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()

    def find(self, number: int) -> Note:
        if number not in self.kept:
            raise NoSuchNoteError(f"no note has the number {number}")
        return self.kept[number]


def written(note: Note, x_signature: Annotated[str, Header]) -> None:
    """A note was written."""


def _notes() -> list[Service]:
    store = Notes()
    many = Service("notes", "/notes", description="All notes.", cors=CorsPolicy(max_age=60))
    one = Service(
        "note", "/notes/{number}", description="One note.", raises=[NoSuchNoteError],
        etag=lambda note: note.version, modified=lambda note: note.changed,
    )  # fmt: skip

    @many.get(
        etag="content", headers={"Link": "The next page."}, raises=[NoSuchPageError],
        produces=["application/json", "text/csv", "application/x-ndjson", "application/msgpack"],
    )  # fmt: skip
    def list_notes(filters: Annotated[Filters, Query]) -> Answer[list[Note]]:
        """List notes."""
        after = decode_cursor(filters.cursor, int) if filters.cursor else 0
        found = [
            note
            for note in sorted(store.kept.values(), key=lambda n: n.id)
            if note.id > after and filters.q in note.text
            if not filters.colours or note.colour in filters.colours
        ]
        page = found[: filters.limit]
        more = None
        if len(found) > len(page):
            more = with_query("/notes", {"cursor": encode_cursor(page[-1].id)})
        links = link_header({"next": more})
        return Answer(page, headers={"Link": links} if links else None)

    @many.post(
        status=201, minimal=True,
        consumes=["application/json", "application/msgpack", "application/cbor"],
        produces=["application/json", "application/cbor"],
        links={"note": Link("get_note", "The new note.", number="$response.body#/id"),
               "change": Link("change_note", number="$response.body#/id")},
        callbacks={"written": Callback("{$request.query.tell}", written)},
    )  # fmt: skip
    def write_note(
        new: Annotated[NewNote, Body(example=NewNote("milk"))],
        tell: Annotated[str, Query(example="https://example.org/told", description="Whom.")] = "",
    ) -> Answer[Note]:
        """Write a note."""
        with store.lock:
            made = Note(id=next(store.numbers), **msgspec.structs.asdict(new))
            store.kept[made.id] = made
        return Answer(made, headers={"Location": f"/notes/{made.id}"})

    @one.get()
    def get_note(number: NUMBER) -> Note:
        """One note."""
        return store.find(number)

    @one.put(minimal=True)
    def change_note(number: NUMBER, new: NewNote, precondition: Precondition) -> Note:
        """Change a note."""
        with store.lock:
            note = store.find(number)
            precondition.check(str(note.version), modified=note.changed)
            fields = msgspec.structs.asdict(new)
            made = Note(id=number, version=note.version + 1, **fields)
            store.kept[number] = made
        return made

    @one.delete(if_match="optional", etag=None)
    def remove_note(number: NUMBER, precondition: Precondition) -> None:
        """Remove a note."""
        with store.lock:
            note = store.find(number)
            precondition.check(str(note.version))
            del store.kept[number]

    return [many, one]


def _bodies(folder: Path) -> list[Service]:
    points, parts = Service("points", "/points"), Service("parts", "/parts")
    forms, photos = Service("logins", "/logins"), Service("photos", "/photos")
    raw = Service("raw", "/raw")
    files = Service("file", "/files/{name}")

    @points.post(consumes=["application/json", "application/msgpack"])
    def add_points(
        points: Annotated[list[Point], Body, Meta(min_length=1, max_length=5)],
    ) -> list[Point]:
        """Points."""
        return points

    @points.get()
    def get_range() -> tuple[Point, Point]:
        """Two points."""
        return Point(0, 0), Point(1, 1)

    @parts.post()
    def add_part(part: Part) -> Part:
        """A part."""
        return part

    @parts.get()
    def list_parts(
        least: Annotated[int, Field(ge=0, le=9, description="So many.")] = 0,
        word: Annotated[Literal["a", "b"] | None, Query(description="Which.")] = None,
    ) -> list[Part]:
        """Parts."""
        return [Part(name=word or "x", howMany=max(1, least))]

    @forms.post(consumes=["application/x-www-form-urlencoded"])
    def log_in(login: Login) -> Login:
        """Log in."""
        return login

    @photos.post(consumes=["multipart/form-data"], max_body=1 << 20, status=201)
    def add_photo(photo: Photo) -> Answer[int]:
        """Add a picture."""
        return Answer(photo.picture.size, headers={"Location": "/photos/1"})

    @raw.post(consumes=["application/octet-stream"], produces=["application/octet-stream"])
    def echo(data: bytes) -> bytes:
        """The same again."""
        return data

    @files.get()
    def get_file(name: Annotated[str, Meta(max_length=20, description="Its name.")]) -> File:
        """A file."""
        return File(folder / name, inside=folder)

    return [points, parts, forms, photos, raw, files]


def _ways() -> list[Service]:
    secret, keyed = Service("secret", "/secret"), Service("keyed", "/keyed")
    busy, reports = Service("busy", "/busy"), Service("reports", "/reports")
    events, lines = Service("events", "/events"), Service("lines", "/lines")
    orders, old = Service("orders", "/orders"), Service("old", "/old")
    tokens = BearerAuth(lambda token: {"scopes": ["read"]} if token == "good" else None)
    keys = ApiKeyAuth(lambda key: key if key == "good" else None)

    @secret.get(auth=tokens, scopes=["read"])
    def get_secret(identity: dict[str, Any]) -> str:
        """A secret."""
        return str(identity["scopes"])

    @keyed.get(auth=keys)
    def get_keyed(
        identity: str, page: Annotated[UUID | None, Query(description="Which.")] = None
    ) -> str:
        """Another secret."""
        return identity

    @busy.get(limit=RateLimit(requests=5, seconds=0.1))
    def get_busy() -> bool:
        """Not too often."""
        return True

    @reports.post(later=True, minimal=True)
    def make_report(
        point: Point, x_trace: Annotated[str, Header(description="Trace.")] = ""
    ) -> Point:
        """Long work."""
        return point

    @events.get()
    def get_events(
        last_event_id: Annotated[str, Header(description="Go on there.")] = "",
    ) -> EventStream:
        """Two events."""
        return EventStream([Event(data=1, id="1"), None, Event(data=last_event_id)])

    @lines.get()
    def get_lines(size: Annotated[int, Meta(ge=0, le=9, description="How many.")] = 3) -> JsonLines:
        """Lines."""
        return JsonLines(range(size))

    @orders.post(idempotent=True)
    def order(point: Point) -> Point:
        """Done once per key."""
        return point

    @old.get(deprecated=START, sunset=datetime(2030, 1, 1, tzinfo=UTC), successor="/notes")
    def get_old(visits: Annotated[int, Cookie(description="How often.")] = 0) -> int:
        """Going."""
        return visits

    return [secret, keyed, busy, reports, orders, events, lines, old]


def make(**settings: Any) -> Any:
    """The application."""
    settings.setdefault("chapiteau.check_answers", True)
    config = Configurator(
        settings={"chapiteau.compress": "100B", "chapiteau.docs_path": "/docs", **settings}
    )
    config.include("chapiteau.service")
    config.set_api(title="Everything", version="1", description="All at once.")
    config.add_metrics()
    config.add_jobs("/jobs")
    config.add_webhook("note-written", written)
    for service in [*_notes(), *_bodies(Path(__file__).with_name("files")), *_ways()]:
        config.add_service(service)
    return config.make_wsgi_app()


def make_versioned(by: Literal["path", "header", "media"] = "header") -> Any:
    """The notes in two versions."""
    config = Configurator(settings={"chapiteau.check_answers": True})
    config.include("chapiteau.service")
    config.set_versions(Versions("1", "2", by=by, required=by == "header"))
    config.set_api(title="Versions", version="1")
    for service in _notes():
        config.add_service(service)
    return config.make_wsgi_app()


def by_path() -> Any:
    """Versions by path."""
    return make_versioned("path")


def by_media() -> Any:
    """Versions by media type."""
    return make_versioned("media")
