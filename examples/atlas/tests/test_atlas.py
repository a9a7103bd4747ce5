"""What atlas promises to its users."""

import re

import pytest
from atlas.search import distance_km

from chapiteau.service.testing import Client


def names(answer) -> list[str]:
    return [city["name"] for city in answer.json()]


def next_of(answer) -> str | None:
    found = re.search(r'<([^>]+)>; rel="next"', answer.headers["link"])
    return found and found[1]


def test_cities_come_the_largest_first(client: Client) -> None:
    answer = client.get("/cities?limit=3")
    assert names(answer) == ["Paris", "Marseille", "Auckland"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("country=NZ", ["Auckland"]),
        ("min_population=800000", ["Paris", "Marseille"]),
        ("q=saint", ["Saint-Étienne", "Saint-Denis"]),
        ("q=saint+et", ["Saint-Étienne"]),
        ("q=tamaki", ["Auckland"]),
        ("q=париж", ["Paris"]),
        ("q=%22%29+OR", []),
        ("q=..", []),
        ("country=FR&q=sa&sort=name", ["Saint-Denis", "Saint-Étienne"]),
        ("country=FJ&sort=population", ["Waiyevo", "Savusavu", "Suva"]),
        ("country=FJ&sort=-name", ["Waiyevo", "Suva", "Savusavu"]),
    ],
)
def test_filters(client: Client, query: str, found: list[str]) -> None:
    answer = client.get(f"/cities?{query}")
    assert answer.status == 200
    assert names(answer) == found


@pytest.mark.parametrize("sort", ["population", "-population", "name", "-name"])
def test_pages_together_are_the_whole_list(client: Client, sort: str) -> None:
    whole = names(client.get(f"/cities?sort={sort}&limit=100"))
    pages: list[list[str]] = []
    target = f"/cities?sort={sort}&limit=3"
    while target:
        answer = client.get(target)
        pages.append(names(answer))
        target = next_of(answer)
    assert [len(p) for p in pages] == [3, 3, 2]
    assert [name for page in pages for name in page] == whole


def test_a_made_up_cursor_is_404(client: Client) -> None:
    assert client.get("/cities?cursor=abc").json()["code"] == "no-such-page"


def test_nearest_looks_over_the_date_line(client: Client) -> None:
    answer = client.get("/cities/nearest?lat=-16.8&lon=179.99&limit=3")
    assert names(answer) == ["Waiyevo", "Savusavu", "Suva"]
    distances = [city["distance_km"] for city in answer.json()]
    assert distances == sorted(distances)
    assert distances[0] == pytest.approx(distance_km(-16.8, 179.99, -16.79, -179.99), abs=0.01)
    assert names(client.get("/cities/nearest?lat=-89&lon=0&limit=1")) == ["Auckland"]
    big = client.get("/cities/nearest?lat=-16.8&lon=179.9&min_population=50000&limit=1")
    assert names(big) == ["Suva"]


def test_one_city(client: Client) -> None:
    assert client.get("/cities/1").json()["name"] == "Paris"
    assert client.get("/cities/99").json()["code"] == "no-such-city"
    assert client.get("/cities/x").status == 422


def test_a_note_is_written_read_edited_and_removed(client: Client) -> None:
    made = client.post("/cities/1/notes", json={"author": "ann", "text": "rain", "stars": 3})
    assert (made.status, made.headers["etag"]) == (201, '"1"')
    place = made.headers["location"]
    assert client.get(place).json() == made.json()
    assert client.get(place, headers={"If-None-Match": '"1"'}).status == 304

    edited = client.patch(place, json={"stars": 5}, headers={"If-Match": '"1"'})
    assert (edited.status, edited.headers["etag"]) == (200, '"2"')
    assert edited.json()["text"] == "rain"
    assert edited.json()["stars"] == 5
    assert client.get("/cities/1/notes").json() == [edited.json()]

    assert client.delete(place, headers={"If-Match": '"1"'}).status == 412
    assert client.delete(place, headers={"If-Match": '"2"'}).status == 204
    assert client.get(place).status == 404


def test_two_editors_do_not_overwrite_each_other(client: Client) -> None:
    place = client.post("/cities/1/notes", json={"author": "a", "text": "t"}).headers["location"]
    assert client.patch(place, json={"text": "x"}).status == 428
    assert client.patch(place, json={"text": "x"}, headers={"If-Match": '"1"'}).status == 200
    assert client.patch(place, json={"text": "y"}, headers={"If-Match": '"1"'}).status == 412
    assert client.get(place).json()["text"] == "x"


def test_every_problem_of_a_note_is_told(client: Client) -> None:
    answer = client.post("/cities/1/notes", json={"author": "", "stars": 9, "txt": "a"})
    found = {error["pointer"] for error in answer.json()["errors"]}
    assert found == {"/author", "/stars", "/text", "/txt"}


def test_notes_have_pages_too(client: Client) -> None:
    for number in range(5):
        client.post("/cities/2/notes", json={"author": "a", "text": str(number)})
    first = client.get("/cities/2/notes?limit=3")
    second = client.get(next_of(first))
    assert [n["text"] for n in first.json() + second.json()] == ["4", "3", "2", "1", "0"]
    assert next_of(second) is None
    assert client.get("/cities/99/notes").status == 404


def test_health_and_document(client: Client) -> None:
    assert client.get("/live").json()["ok"]
    assert list(client.get("/ready").json()["checks"]) == ["database"]
    document = client.get("/openapi.json").json()
    assert document["info"]["title"] == "Atlas"
    assert set(document["paths"]) >= {"/cities", "/cities/nearest", "/notes/{note_id}"}
