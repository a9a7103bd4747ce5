"""Typed handlers: what they get, what is answered, what is refused. In both paths."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import msgspec
import pytest
from msgspec import Meta
from pyramid.exceptions import ConfigurationExecutionError

from chapiteau.service import Answer, Body, Cookie, Header, Path, Query, Service
from chapiteau.service.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable


class Item(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1)]
    price: Annotated[float, Meta(ge=0)] = 0.0
    tags: list[str] = []


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Pair(TypedDict):
    left: int
    right: int


class Filters(msgspec.Struct, rename="camel"):
    country: str | None = None
    min_people: Annotated[int, Meta(ge=0)] = 0
    tag: list[str] = []


Build = "Callable[..., Any]"


def echo(**given: Any) -> dict[str, Any]:
    return given


def one(method: str, path: str, handler: Callable[..., Any], **options: Any) -> Service:
    service = Service("one", path)
    service.add(method, handler, **options)
    return service


def test_path_and_query_are_converted(build: Build) -> None:
    def handler(item_id: int, day: date, limit: int = 10, flag: bool = False) -> dict[str, Any]:
        return {"id": item_id, "day": day, "limit": limit, "flag": flag}

    client = build(one("GET", "/items/{item_id}/{day}", handler))
    answer = client.get("/items/7/2026-01-02?flag=true")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"id": 7, "day": "2026-01-02", "limit": 10, "flag": True}


def test_parameters_come_from_where_their_marker_says(build: Build) -> None:
    def handler(
        number: Annotated[int, Path("n")],
        word: Annotated[str, Query("q")],
        x_token: Annotated[str, Header],
        agent: Annotated[str, Header("User-Agent")],
        sid: Annotated[str, Cookie],
    ) -> list[Any]:
        return [number, word, x_token, agent, sid]

    client = build(one("GET", "/{n}", handler))
    answer = client.get(
        "/3?q=a%20b+c", headers={"X-Token": "t", "User-Agent": "me", "Cookie": 'a=1; sid="s"'}
    )
    assert answer.json() == [3, "a b c", "t", "me", "s"]


def test_a_struct_spreads_over_the_query(build: Build) -> None:
    def handler(filters: Annotated[Filters, Query]) -> Filters:
        return filters

    client = build(one("GET", "/", handler))
    answer = client.get("/?country=FR&minPeople=5&tag=a&tag=b")
    assert answer.json() == {"country": "FR", "minPeople": 5, "tag": ["a", "b"]}


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        pytest.param(Item, {"name": "a", "price": 1.5, "tags": ["x"]}, id="Struct"),
        pytest.param(Point, {"x": 1, "y": 2}, id="dataclass"),
        pytest.param(Pair, {"left": 1, "right": 2}, id="TypedDict"),
        pytest.param(dict[str, int], {"a": 1}, id="dict"),
        pytest.param(Item | None, None, id="null"),
    ],
)
def test_bodies_of_every_kind(build: Build, kind: Any, good: Any) -> None:
    def handler(body: Any) -> Any:
        return body

    handler.__annotations__ = {"body": Annotated[kind, Body], "return": Any}
    client = build(one("POST", "/", handler))
    answer = client.post("/", json=good)
    assert (answer.status, answer.json()) == (200, good)


def test_a_list_body_needs_only_its_marker(build: Build) -> None:
    def handler(items: Annotated[list[int], Body]) -> int:
        return sum(items)

    assert build(one("POST", "/", handler)).post("/", json=[1, 2]).json() == 3


def test_every_problem_comes_at_once_with_its_pointer(build: Build) -> None:
    def handler(item_id: int, item: Item, limit: Annotated[int, Meta(le=5)] = 1) -> None: ...

    client = build(one("PUT", "/{item_id}", handler))
    answer = client.put(
        "/x?limit=9&limt=1", json={"name": "", "price": -1, "tags": [1, "a", 2], "nme": 1}
    )
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["code"] == "invalid-request"
    found = {(e["in"], e["pointer"], e["code"]) for e in document["errors"]}
    assert found == {
        ("path", "/item_id", "type"),
        ("query", "/limit", "range"),
        ("query", "/limt", "unknown"),
        ("body", "/name", "length"),
        ("body", "/price", "range"),
        ("body", "/tags/0", "type"),
        ("body", "/tags/2", "type"),
        ("body", "/nme", "unknown"),
    }
    assert "did you mean 'limit'?" in answer.text


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        pytest.param(b"{", 400, "can't be read", id="cut short"),
        pytest.param(b'{"name": NaN}', 400, "can't be read", id="NaN"),
        pytest.param(b'"\xff"', 400, "not UTF-8", id="not UTF-8"),
        pytest.param(b"[" * 5000, 400, "", id="too deep"),
        pytest.param(b"", 422, "must be given", id="no body"),
        pytest.param(b"[1]", 422, "", id="a list for an object"),
        pytest.param(b'{"name": "a", "price": 1e999}', 400, "out of range", id="huge number"),
    ],
)
def test_bodies_that_are_refused(build: Build, body: bytes, status: int, words: str) -> None:
    def handler(item: Item) -> None: ...

    client = build(one("POST", "/", handler))
    answer = client.post("/", body=body, headers={"Content-Type": "application/json"})
    assert answer.status == status
    assert words in answer.text


def test_a_whole_number_may_be_written_with_a_point(build: Build) -> None:
    def handler(point: Point) -> Point:
        return point

    client = build(one("POST", "/", handler))
    sent = client.post(
        "/", body=b'{"x": 2.0, "y": 1e2}', headers={"Content-Type": "application/json"}
    )
    assert sent.json() == {"x": 2, "y": 100}
    assert client.post("/", json={"x": 2.5}).json()["errors"][0]["pointer"] == "/x"


def test_an_oversized_body_is_413(build: Build) -> None:
    def handler(item: Item) -> None: ...

    client = build(one("POST", "/", handler), **{"chapiteau.max_body": "1KiB"})
    assert client.post("/", json={"name": "a" * 2000}).status == 413


def test_another_media_type_is_415_and_says_what_would_do(build: Build) -> None:
    def handler(item: Item) -> None: ...

    client = build(one("POST", "/", handler))
    answer = client.post("/", body=b"x", headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.headers["accept"]) == (415, "application/json")
    good = client.post(
        "/", body=b'{"name":"a"}', headers={"Content-Type": "application/vnd.shop+json"}
    )
    assert good.status == 204


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "1_0", " 1", ""])
def test_no_odd_spelling_of_a_number_passes(build: Build, text: str) -> None:
    def handler(x: float) -> float:
        return x

    assert build(one("GET", "/", handler)).get("/", query={"x": text}).status == 422


def test_a_method_that_is_not_there_is_405_with_allow(build: Build) -> None:
    client = build(one("GET", "/", lambda: None))
    answer = client.put("/")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.json()["code"] == "method-not-allowed"


def test_head_is_get_without_a_body_and_options_lists_methods(build: Build) -> None:
    def handler() -> list[int]:
        return [1, 2]

    client = build(one("GET", "/", handler))
    head = client.head("/")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "5")
    options = client.options("/")
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


def test_none_is_204_and_an_answer_may_say_more(build: Build) -> None:
    service = Service("one", "/")

    @service.delete()
    def gone() -> None: ...

    @service.post(status=201)
    def made() -> Answer[int]:
        return Answer(5, headers={"Location": "/5"}, etag="v1")

    client = build(service)
    assert client.delete("/").status == 204
    answer = client.post("/")
    assert (answer.status, answer.json()) == (201, 5)
    assert (answer.headers["location"], answer.headers["etag"]) == ("/5", '"v1"')


def test_the_special_path_wins_wherever_it_is_declared(build: Build) -> None:
    a = Service("a", "/things/{thing_id}")
    z = Service("z", "/things/best")

    @a.get()
    def one_thing(thing_id: str) -> str:
        return thing_id

    @z.get()
    def best() -> str:
        return "the best"

    client = build(a, z)
    assert client.get("/things/best").json() == "the best"
    assert client.get("/things/b%C3%A9st").json() == "bést"


def test_two_applications_in_one_process_do_not_see_each_other(build: Build) -> None:
    first = build(one("GET", "/a", lambda: None))
    second = build(one("GET", "/b", lambda: None))
    assert (first.get("/a").status, first.get("/b").status) == (200, 404)
    assert (second.get("/b").status, second.get("/a").status) == (200, 404)
    assert "/a" not in second.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    ("path", "handler", "words"),
    [
        pytest.param("/{a}", lambda: None, "does not take 'a'", id="path parameter not taken"),
        pytest.param("/", lambda *a: None, "is * or **", id="star"),
    ],
)
def test_a_handler_that_makes_no_sense_is_refused_at_once(
    path: str, handler: Callable[..., Any], words: str
) -> None:
    with pytest.raises(DeclarationError, match="GET") as caught:
        one("GET", path, handler)
    assert words in str(caught.value)


def test_a_type_that_can_not_be_read_is_refused_at_start(build: Build) -> None:
    def handler(q: Annotated[str | None, Meta(min_length=2)] = None) -> None: ...

    with pytest.raises(Exception, match="the type of 'q' can't be read"):
        build(one("GET", "/", handler))


def test_an_unknown_option_names_the_near_one() -> None:
    with pytest.raises(DeclarationError) as caught:
        Service("one", "/").get(statu=201)(lambda: None)
    assert "did you mean 'status'?" in caught.value.hint


def test_a_service_may_stand_on_a_route_of_the_application(build: Build) -> None:
    service = Service("routed", "/routed/{number}", pyramid_route="mine")

    @service.get()
    def get(number: int) -> int:
        return number

    def more(config: Any) -> None:
        config.add_route("mine", "/routed/{number}")
        config.add_service(service)

    client = build(more=more)
    assert client.get("/routed/7").json() == 7
    assert client.get("/routed/x").status == 422
    assert "/routed/{number}" in client.get("/openapi.json").json()["paths"]


def test_two_services_of_one_path_are_refused(build: Build) -> None:
    first, second = Service("first", "/one"), Service("second", "/one")
    first.add("GET", lambda: 1)
    second.add("POST", lambda: 2)
    with pytest.raises(ConfigurationExecutionError, match=r"<Service first .*have one path"):
        build(first, second)
    special = Service("special", "/one", header="X-Special")
    special.add("GET", lambda: 3)
    client = build(special, first)
    assert client.get("/one", headers={"X-Special": "1"}).json() == 3
    assert client.get("/one").json() == 1
