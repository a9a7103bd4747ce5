"""How people use atlas: `chapiteau load run load.py --base http://127.0.0.1:8087 --rate 100/s`.

Most look around, some search, few write. Each session is one visit.
"""

from chapiteau.load import Session, scenario

COUNTRIES = ("FR", "DE", "IT", "JP", "BR", "US", "IN", "KE", "NZ", "PL")
WORDS = ("san", "new", "saint", "port", "villa", "bad", "los")


@scenario(weight=6)
async def browse(session: Session) -> None:
    """A country's list, its next page, one city of it."""
    country = session.random.choice(COUNTRIES)
    page = await session.get(f"/cities?country={country}&limit=10", name="GET /cities")
    if not session.check(page.status == 200, "the list answers"):
        return
    cities = page.json()
    session.check(all(c["country"] == country for c in cities), "only this country")
    city = session.random.choice(cities)
    one = await session.get(f"/cities/{city['id']}", name="GET /cities/{city_id}")
    session.check(one.status == 200 and one.json() == city, "the same city as in the list")


@scenario(weight=3)
async def search(session: Session) -> None:
    """Beginnings of names, and what is near by."""
    word = session.random.choice(WORDS)
    found = await session.get(f"/cities?q={word}&limit=5", name="GET /cities?q=")
    session.check(found.status == 200 and len(found.json()) > 0, "finds something")
    lat, lon = session.random.uniform(-60, 70), session.random.uniform(-180, 180)
    near = await session.get(
        f"/cities/nearest?lat={lat:.4f}&lon={lon:.4f}&min_population=100000&limit=3",
        name="GET /cities/nearest",
    )
    session.check(near.status == 200 and len(near.json()) == 3, "three nearest")


@scenario(weight=1)
async def write(session: Session) -> None:
    """A note is written, edited as it was read, and removed."""
    note = {"author": f"user {session.user}", "text": "by the river", "stars": 4}
    made = await session.post(
        "/cities/2988507/notes", json=note, name="POST /cities/{city_id}/notes"
    )
    if not session.check(made.status == 201, "written"):
        return
    place = made.headers.get("location")
    edited = await session.patch(
        place,
        json={"stars": 5},
        headers={"If-Match": made.headers.get("etag")},
        name="PATCH /notes/{note_id}",
    )
    session.check(edited.status == 200 and edited.json()["version"] == 2, "edited")
    gone = await session.delete(place, name="DELETE /notes/{note_id}")
    session.check(gone.status == 204, "removed")
