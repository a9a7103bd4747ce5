"""Cities: list, nearest, one."""

import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from pyramid.request import Request

from atlas.search import Wanted, find, nearest
from chapiteau.service import (
    Answer,
    NoSuchPageError,
    ProblemError,
    Query,
    Service,
    encode_cursor,
    link_header,
    with_query,
)

Id = Annotated[int, Meta(ge=1, le=2**53, description="GeoNames' number of the city.")]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166 code of a country.")]
People = Annotated[int, Meta(ge=0, le=2**53, description="At least so many people.")]
Search = Annotated[
    str, Meta(min_length=2, max_length=80, description="Beginnings of words of the name.")
]
Cursor = Annotated[str, Meta(max_length=400, description="Where to go on: follow the links.")]
Limit = Annotated[int, Meta(ge=1, le=100, description="Maximum number of items.")]


class City(msgspec.Struct, frozen=True, kw_only=True):
    """A city as GeoNames knows it."""

    id: int
    name: str
    country: str
    population: int
    latitude: float
    longitude: float
    timezone: str


class NearCity(City, frozen=True, kw_only=True):
    """A city with its distance from the point asked for."""

    distance_km: float


class NoSuchCityError(ProblemError):
    """No city has this number."""

    status = 404
    code = "no-such-city"
    title = "There is no such city"


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which cities, in which order."""

    country: Country | None = None
    min_population: People = 0
    q: Search | None = None
    sort: Annotated[
        Literal["population", "-population", "name", "-name"],
        Meta(description="A minus turns the order round."),
    ] = "-population"
    limit: Limit = 20
    cursor: Cursor | None = None


cities = Service("cities", "/cities", description="The world's cities.", tags=["cities"])
near = Service("nearest", "/cities/nearest", tags=["cities"])
city = Service("city", "/cities/{city_id}", tags=["cities"])


@cities.get(
    etag="content",
    raises=[NoSuchPageError],
    headers={"Link": "The first page, and the next one if there is one."},
)
def list_cities(request: Request, filters: Annotated[Filters, Query]) -> Answer[list[City]]:
    """Cities, the largest first.

    The `Link` header names the next page; its cursor holds when cities come and go meanwhile.
    """
    asked = msgspec.structs.asdict(filters)
    cursor = asked.pop("cursor")
    wanted = Wanted(**asked)
    rows, last = find(request.registry["store"].db, wanted, cursor)
    links = {
        "first": with_query(request.path, asked),
        "next": with_query(request.path, {**asked, "cursor": encode_cursor(last)})
        if last
        else None,
    }
    return Answer([city_of(row) for row in rows], headers={"Link": link_header(links)})


@near.get(etag="content")
def nearest_cities(
    request: Request,
    lat: Annotated[float, Meta(ge=-90, le=90, description="Degrees north.")],
    lon: Annotated[float, Meta(ge=-180, le=180, description="Degrees east.")],
    min_population: People = 0,
    limit: Limit = 10,
) -> list[NearCity]:
    """The cities nearest to a point, the nearest first."""
    found = nearest(request.registry["store"].db, lat, lon, min_population, limit)
    return [
        NearCity(**msgspec.structs.asdict(city_of(row)), distance_km=round(distance, 2))
        for distance, row in found
        if math.isfinite(distance)
    ]


@city.get(etag="content", raises=[NoSuchCityError])
def get_city(request: Request, city_id: Id) -> City:
    """One city."""
    row = (
        request.registry["store"]
        .db.execute("SELECT * FROM city WHERE id = ?", (city_id,))
        .fetchone()
    )
    if row is None:
        raise NoSuchCityError(f"no city has the number {city_id}")
    return city_of(row)


def city_of(row: Any) -> City:
    """A row of the table as a City."""
    return City(
        id=row["id"],
        name=row["name"],
        country=row["country"],
        population=row["population"],
        latitude=row["latitude"],
        longitude=row["longitude"],
        timezone=row["timezone"],
    )
