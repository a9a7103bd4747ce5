"""Notes on cities: written, edited with If-Match, deleted."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from pyramid.request import Request

from atlas.cities import Cursor, Id, Limit, NoSuchCityError
from chapiteau.service import (
    Answer,
    NoSuchPageError,
    Precondition,
    ProblemError,
    Service,
    decode_cursor,
    encode_cursor,
    link_header,
    with_query,
)

NoteId = Annotated[int, Meta(ge=1, le=2**53)]
Author = Annotated[str, Meta(min_length=1, max_length=80, description="Who says so.")]
Text = Annotated[str, Meta(min_length=1, max_length=2000, description="What to know.")]
Stars = Annotated[int, Meta(ge=1, le=5, description="How good it is there.")]


class NewNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A note to write."""

    author: Author
    text: Text
    stars: Stars | None = None


class NoteChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    text: Text | msgspec.UnsetType = msgspec.UNSET
    stars: Stars | msgspec.UnsetType | None = msgspec.UNSET


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A note on a city."""

    id: int
    city_id: int
    author: str
    text: str
    stars: int | None
    version: int
    created: datetime
    changed: datetime


class NoSuchNoteError(ProblemError):
    """No note has this number."""

    status = 404
    code = "no-such-note"
    title = "There is no such note"


def version_of(note: Any) -> int:
    """The entity tag of a note."""
    return int(note.version)


notes = Service("notes", "/cities/{city_id}/notes", tags=["notes"])
note = Service("note", "/notes/{note_id}", tags=["notes"], etag=version_of)


@notes.get(
    raises=[NoSuchCityError, NoSuchPageError],
    headers={"Link": "The first page, and the next one if there is one."},
)
def list_notes(
    request: Request, city_id: Id, limit: Limit = 20, cursor: Cursor | None = None
) -> Answer[list[Note]]:
    """Notes on a city, the newest first."""
    db = request.registry["store"].db
    _must_exist(db, city_id)
    before = decode_cursor(cursor, int) if cursor else 2**62
    rows = db.execute(
        "SELECT * FROM note WHERE city_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
        (city_id, before, limit + 1),
    ).fetchall()
    page = [note_of(row) for row in rows[:limit]]
    links: dict[str, str | None] = {"first": with_query(request.path, {"limit": limit})}
    if len(rows) > limit:
        after = encode_cursor(page[-1].id)
        links["next"] = with_query(request.path, {"limit": limit, "cursor": after})
    return Answer(page, headers={"Link": link_header(links)})


@notes.post(status=201, raises=[NoSuchCityError])
def write_note(request: Request, city_id: Id, new: NewNote) -> Answer[Note]:
    """Write a note."""
    with request.registry["store"].writing() as db:
        _must_exist(db, city_id)
        row = db.execute(
            "INSERT INTO note (city_id, author, text, stars) VALUES (?, ?, ?, ?) RETURNING *",
            (city_id, new.author, new.text, new.stars),
        ).fetchone()
    made = note_of(row)
    return Answer(made, headers={"Location": f"/notes/{made.id}"}, etag=str(made.version))


@note.get(raises=[NoSuchNoteError])
def get_note(request: Request, note_id: NoteId) -> Note:
    """One note."""
    return note_of(_row(request.registry["store"].db, note_id))


@note.patch(raises=[NoSuchNoteError])
def edit_note(
    request: Request, note_id: NoteId, change: NoteChange, precondition: Precondition
) -> Note:
    """Change a note. `If-Match` must name the version that you have read."""
    with request.registry["store"].writing() as db:
        old = note_of(_row(db, note_id))
        precondition.check(str(old.version))
        text = old.text if change.text is msgspec.UNSET else change.text
        stars = old.stars if change.stars is msgspec.UNSET else change.stars
        row = db.execute(
            "UPDATE note SET text = ?, stars = ?, version = version + 1,"
            " changed = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ? RETURNING *",
            (text, stars, note_id),
        ).fetchone()
    return note_of(row)


@note.delete(raises=[NoSuchNoteError], if_match="optional")
def delete_note(request: Request, note_id: NoteId, precondition: Precondition) -> None:
    """Remove a note. With `If-Match`, only this version of it."""
    with request.registry["store"].writing() as db:
        old = note_of(_row(db, note_id))
        precondition.check(str(old.version))
        db.execute("DELETE FROM note WHERE id = ?", (note_id,))


def _row(db: Any, note_id: int) -> Any:
    row = db.execute("SELECT * FROM note WHERE id = ?", (note_id,)).fetchone()
    if row is None:
        raise NoSuchNoteError(f"no note has the number {note_id}")
    return row


def _must_exist(db: Any, city_id: int) -> None:
    if db.execute("SELECT 1 FROM city WHERE id = ?", (city_id,)).fetchone() is None:
        raise NoSuchCityError(f"no city has the number {city_id}")


def note_of(row: Any) -> Note:
    """A row of the table as a Note."""
    return Note(
        id=row["id"],
        city_id=row["city_id"],
        author=row["author"],
        text=row["text"],
        stars=row["stars"],
        version=row["version"],
        created=datetime.fromisoformat(row["created"]),
        changed=datetime.fromisoformat(row["changed"]),
    )
