"""Questions to the table of cities, as SQL that its indexes can answer."""

import math
import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from chapiteau.service import decode_cursor

__all__ = ["Wanted", "distance_km", "find", "nearest"]

EARTH_KM = 6371.0088  # mean radius (IUGG)
ORDERS = {"population": ("population", ">", "ASC"), "-population": ("population", "<", "DESC"),
          "name": ("sort_name", ">", "ASC"), "-name": ("sort_name", "<", "DESC")}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Filters of a list."""

    country: str | None
    min_population: int
    q: str | None
    sort: str
    limit: int


def find(
    db: sqlite3.Connection, wanted: Wanted, cursor: str | None
) -> tuple[list[sqlite3.Row], tuple[Any, int] | None]:
    """One page, and the sort key of its last row when there is more behind it.

    Keyset pagination: the next page starts behind a value, not behind a count, so it costs the
    same on page 1000 and skips nothing when rows come in between.
    """
    column, beyond, direction = ORDERS[wanted.sort]
    where, values = ["population >= ?"], [wanted.min_population]
    arguments: list[Any] = list(values)
    if wanted.country:
        where.append("country = ?")
        arguments.append(wanted.country)
    if wanted.q:
        where.append("id IN (SELECT rowid FROM city_words WHERE city_words MATCH ?)")
        arguments.append(_words(wanted.q))
    if cursor:
        kind = tuple[int, int] if column == "population" else tuple[str, int]
        where.append(f"({column}, id) {beyond} (?, ?)")
        arguments += decode_cursor(cursor, kind)
    rows = db.execute(
        f"SELECT * FROM city WHERE {' AND '.join(where)}"  # noqa: S608 — columns are our own words
        f" ORDER BY {column} {direction}, id {direction} LIMIT ?",
        (*arguments, wanted.limit + 1),
    ).fetchall()
    if len(rows) <= wanted.limit:
        return rows, None
    last = rows[wanted.limit - 1]
    return rows[: wanted.limit], (last[column], last["id"])


def _words(text: str) -> str:
    """The words side by side, the last one perhaps unfinished; quoted, so that FTS5 reads nothing
    of it as its own language."""
    words = re.findall(r"\w+", text)
    return f'"{" ".join(words)}" *' if words else '""'


def nearest(
    db: sqlite3.Connection, lat: float, lon: float, min_population: int, limit: int
) -> list[tuple[float, sqlite3.Row]]:
    """The nearest cities with their distances in km.

    Looks into a box around the point and makes it wider until it holds enough cities. Those tell
    how far away the last one can be at most: a box of that size has all that are nearer.
    """
    half = 10.0
    while True:
        found = _in_box(db, lat, lon, half, min_population)
        if half > 20_100 or (len(found) >= limit and found[limit - 1][0] <= half):
            break
        half = found[limit - 1][0] + 0.001 if len(found) >= limit else half * 3
    distances = {number: distance for distance, number in found[:limit]}
    marks = ", ".join("?" * len(distances))
    rows = db.execute(f"SELECT * FROM city WHERE id IN ({marks})", list(distances))  # noqa: S608
    return sorted(((distances[row["id"]], row) for row in rows), key=lambda p: (p[0], p[1]["id"]))


def _in_box(
    db: sqlite3.Connection, lat: float, lon: float, half: float, min_population: int
) -> list[tuple[float, int]]:
    """Distance and id of every city in the box, the nearest first."""
    rows = db.execute(_NEAR, (*_box(lat, lon, half), min_population))
    return sorted((distance_km(lat, lon, row[1], row[2]), row[0]) for row in rows)


_NEAR = """
SELECT city.id, latitude, longitude FROM city_place JOIN city ON city.id = city_place.id
WHERE north >= ? AND south <= ? AND (
  (east >= ? AND west <= ?) OR (east >= ? AND west <= ?)
) AND population >= ?
"""


def _box(lat: float, lon: float, half_km: float) -> tuple[float, ...]:
    """South, north, and two spans west-east: the second is what wraps over the date line."""
    high = math.degrees(half_km / EARTH_KM)
    south, north = max(-90.0, lat - high), min(90.0, lat + high)
    # How many degrees of longitude half_km spans is largest at the edge nearer to a pole.
    narrow = math.cos(math.radians(max(abs(south), abs(north))))
    wide = 180.0 if narrow <= 0.01 else min(180.0, high / narrow)
    west, east = lon - wide, lon + wide
    if west < -180.0:
        return south, north, west, east, west + 360.0, 180.0
    if east > 180.0:
        return south, north, west, east, -180.0, east - 360.0
    return south, north, west, east, west, east


def distance_km(lat: float, lon: float, to_lat: float, to_lon: float) -> float:
    """Great-circle distance by the haversine formula."""
    a, b = math.radians(lat), math.radians(to_lat)
    up = math.sin((b - a) / 2) ** 2
    along = math.cos(a) * math.cos(b) * math.sin(math.radians(to_lon - lon) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(up + along)))
