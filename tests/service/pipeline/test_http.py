"""Negotiation, other origins, deprecation, streams, permissions: in both paths."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest
from pyramid.request import Request
from pyramid.response import FileResponse

from chapiteau.service import (
    Answer,
    CorsPolicy,
    Event,
    EventStream,
    File,
    Header,
    JsonLines,
    Precondition,
    Service,
    Stream,
)

if TYPE_CHECKING:
    pass

Build = "Callable[..., Any]"


class City(msgspec.Struct):
    name: str
    people: int


CITIES = [City("Paris", 2), City("=Evil", 1)]


@pytest.fixture
def cities() -> Service:
    service = Service("cities", "/cities")

    @service.get(
        produces=["application/json", "application/msgpack", "text/csv", "application/x-ndjson"]
    )
    def listing() -> list[City]:
        return CITIES

    @service.post(
        consumes=["application/json", "application/msgpack", "application/x-www-form-urlencoded"]
    )
    def add(city: City) -> City:
        return city

    return service


@pytest.mark.parametrize(
    ("accept", "media", "body"),
    [
        ("*/*", "application/json", msgspec.json.encode(CITIES)),
        ("application/msgpack", "application/msgpack", msgspec.msgpack.encode(CITIES)),
        ("text/csv, */*;q=0.1", "text/csv", b"name,people\r\nParis,2\r\n'=Evil,1\r\n"),
        (
            "application/x-ndjson",
            "application/x-ndjson",
            msgspec.json.Encoder().encode_lines(CITIES),
        ),
    ],
)
def test_the_client_chooses_among_what_is_offered(
    build: Build, cities: Service, accept: str, media: str, body: bytes
) -> None:
    client = build(cities)
    for _ in range(2):  # the second time from memory
        answer = client.get("/cities", headers={"Accept": accept})
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, media, body)
        assert answer.headers["vary"] == "Accept"


def test_what_nobody_can_write_is_406_before_anything_is_done(build: Build) -> None:
    done = []
    service = Service("one", "/")
    service.add("POST", lambda: done.append(1))
    answer = build(service).post("/", headers={"Accept": "image/png"})
    assert (answer.status, done) == (406, [])
    assert answer.headers["content-type"] == "application/problem+json"


def test_bodies_of_several_media_types(build: Build, cities: Service) -> None:
    client = build(cities)
    packed = client.post(
        "/cities",
        body=msgspec.msgpack.encode(City("a", 1)),
        headers={"Content-Type": "application/msgpack"},
    )
    assert packed.json() == {"name": "a", "people": 1}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/cities", body=b"name=a+b&people=5", headers=form).json()["people"] == 5
    bad = client.post("/cities", body=b"people=x", headers=form)
    assert {e["pointer"] for e in bad.json()["errors"]} == {"/name", "/people"}
    other = client.post("/cities", body=b"x", headers={"Content-Type": "text/csv"})
    assert (other.status, "application/msgpack" in other.headers["accept"]) == (415, True)
    document = client.get("/openapi.json").json()
    assert len(document["paths"]["/cities"]["post"]["requestBody"]["content"]) == 3
    assert len(document["paths"]["/cities"]["get"]["responses"]["200"]["content"]) == 4


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Content-Type": "application/json; charset=latin-1"}, "latin-1"),
        ({"Content-Type": "application/json", "Content-Encoding": "compress"}, "compress"),
    ],
)
def test_what_would_have_to_be_guessed_is_415(
    build: Build, cities: Service, headers: dict[str, str], words: str
) -> None:
    answer = build(cities).post("/cities", body=b'{"name":"a","people":1}', headers=headers)
    assert (answer.status, words in answer.json()["detail"]) == (415, True)
    good = {"Content-Type": 'application/json; charset="UTF-8"', "Content-Encoding": "identity"}
    assert (
        build(cities).post("/cities", body=b'{"name":"a","people":1}', headers=good).status == 200
    )


def test_files_and_their_ranges_are_pyramids(build: Build, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"0123456789")
    service = Service("file", "/file")

    @service.get()
    def read(request: Request) -> FileResponse:
        return FileResponse(tmp_path / "a.txt", request=request)

    client = build(service)
    whole = client.get("/file")
    assert (whole.body, whole.headers["content-type"][:10]) == (b"0123456789", "text/plain")
    part = client.get("/file", headers={"Range": "bytes=2-4"})
    assert (part.status, part.body) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"
    again = client.get("/file", headers={"If-Modified-Since": whole.headers["last-modified"]})
    assert again.status == 304


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog", omit_defaults=True):
    name: str = ""
    tricks: list[str] = []


@pytest.mark.parametrize(
    ("kind", "value", "table"),
    [
        pytest.param(list[Cat], [], "type,lives\r\n", id="no record: a head"),
        pytest.param(
            list[Dog], [Dog(), Dog("Rex")], "type,name,tricks\r\ndog,,\r\ndog,Rex,\r\n",
            id="what the first record leaves out",
        ),
        pytest.param(
            list[Cat | Dog], [Cat(9), Dog("Rex")], "type,lives,name\r\ncat,9,\r\ndog,,Rex\r\n",
            id="records of two kinds",
        ),
        pytest.param(list[int], [1, 2], "1\r\n2\r\n", id="no records"),
    ],
)  # fmt: skip
def test_a_table_loses_nothing(build: Build, kind: Any, value: Any, table: str) -> None:
    service = Service("pets", "/pets")

    def pets() -> Any:
        return value

    pets.__annotations__["return"] = kind
    service.add("GET", pets, produces="text/csv")
    assert build(service).get("/pets").text == table


def test_options_of_the_server_as_a_whole_has_an_answer(build: Build) -> None:
    answer = build().request("OPTIONS", "*")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


def test_a_range_may_end_behind_any_end(build: Build, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"0123456789")
    service = Service("file", "/file")

    @service.get()
    def read() -> File:
        return File(tmp_path / "a.txt")

    client = build(service)
    for asked, told in (
        ("bytes=4-" + "9" * 5000, "bytes 4-9/10"),
        ("bytes=-" + "9" * 30, "bytes 0-9/10"),
        ("bytes=" + "9" * 30 + "-", "bytes */10"),
    ):
        answer = client.get("/file", headers={"Range": asked})
        assert answer.status == (416 if "*" in told else 206)
        assert answer.headers["Content-Range"] == told


def test_pages_of_other_origins(build: Build) -> None:
    service = Service("one", "/one", cors=CorsPolicy(origins=("https://a.example",), max_age=60))

    @service.get()
    def read(n: int = 0) -> int:
        return 10 // n

    client = build(service)
    origin = {"Origin": "https://a.example"}
    for path, status in (("/one?n=1", 200), ("/one?n=x", 422), ("/one?n=0", 500)):
        answer = client.get(path, headers=origin)
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert "Origin" in answer.headers["vary"]
    foreign = client.get("/one?n=1", headers={"Origin": "https://b.example"})
    assert (foreign.status, foreign.headers["vary"]) == (200, "Origin")
    assert "access-control-allow-origin" not in foreign.headers
    asked = client.options("/one", headers={**origin, "Access-Control-Request-Method": "GET"})
    assert (asked.status, asked.body) == (204, b"")
    assert asked.headers["access-control-allow-methods"] == "GET, HEAD"
    assert asked.headers["access-control-max-age"] == "60"


def test_a_preflight_allows_what_the_operation_reads_and_nothing_of_others(build: Build) -> None:
    origin = "https://a.example"
    service = Service("one", "/one")
    mine = CorsPolicy(origins=(origin,), headers=("X-More",))
    service.add("GET", lambda: 1, cors=CorsPolicy())

    @service.put(cors=mine, idempotent=True)
    def write(
        body: dict[str, int], precondition: Precondition, x_name: Annotated[str, Header] = ""
    ) -> None:
        precondition.check("1")

    client = build(service)

    def ask(method: str) -> dict[str, str]:
        asked = {"Origin": origin, "Access-Control-Request-Method": method}
        return client.options("/one", headers=asked).headers

    names = "Content-Type, Idempotency-Key, If-Match, X-More, X-Name"
    assert ask("PUT")["Access-Control-Allow-Headers"] == names
    # A browser keeps the list: the reader of one policy must not be let in by another.
    assert ask("PUT")["Access-Control-Allow-Methods"] == "PUT"
    assert ask("GET")["Access-Control-Allow-Methods"] == "GET, HEAD"
    absent = client.request("DELETE", "/one", headers={"Origin": origin})
    assert (absent.status, absent.headers["Access-Control-Allow-Origin"]) == (405, "*")
    assert "DELETE" not in ask("DELETE")["Access-Control-Allow-Methods"]


def test_a_page_outside_may_reach_into_a_private_network_when_the_policy_says_so(
    build: Build,
) -> None:
    service = Service("one", "/one")
    service.add("GET", lambda: 1, cors=CorsPolicy(private_network=True))
    service.add("PUT", lambda: 1, cors=CorsPolicy(origins=("https://a.example",)))
    client = build(service)

    def told(method: str, origin: str = "https://a.example", **more: str) -> str | None:
        asked = {"Origin": origin, "Access-Control-Request-Method": method, **more}
        answer = client.options("/one", headers=asked)
        found: str | None = answer.headers.get("Access-Control-Allow-Private-Network")
        return found

    asked = {"Access-Control-Request-Private-Network": "true"}
    assert told("GET", **asked) == "true"
    assert told("GET") is None
    assert told("PUT", **asked) is None


def test_a_policy_for_the_whole_application_also_holds_where_nothing_is(build: Build) -> None:
    client = build(more=lambda config: config.set_cors(CorsPolicy()))
    answer = client.get("/nothing", headers={"Origin": "https://x"})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (404, "*")


def test_what_will_go_says_so(build: Build) -> None:
    service = Service("old", "/old")
    service.add(
        "GET",
        lambda: 1,
        deprecated=datetime(2026, 1, 1, tzinfo=UTC),
        sunset=datetime(2027, 1, 1, tzinfo=UTC),
        successor="/new",
    )
    client = build(service)
    headers = client.get("/old").headers
    assert headers["deprecation"] == "@1767225600"
    assert headers["sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
    assert headers["link"] == '</new>; rel="successor-version"'
    assert client.get("/openapi.json").json()["paths"]["/old"]["get"]["deprecated"] is True


def test_streams(build: Build) -> None:
    service = Service("s", "/s/{kind}")
    closed = []

    def numbers() -> Any:
        try:
            yield 1
            yield None
            yield Event(data={"a": 2}, id="7", event="tick\nx")
        finally:
            closed.append(True)

    @service.get()
    def stream(kind: str, last_event_id: Annotated[str, Header] = "") -> EventStream:
        if kind == "lines":
            return JsonLines([1, {"a": last_event_id}])  # type: ignore[return-value]
        if kind == "bytes":
            return Stream(iter([b"a", b"b"]), media="text/plain")  # type: ignore[return-value]
        return EventStream(numbers())

    client = build(service)
    events = client.get("/s/events")
    assert events.headers["content-type"] == "text/event-stream"
    assert events.body == (b'data: 1\n\n:\n\nevent: tick x\nid: 7\ndata: {"a":2}\n\n')
    assert closed == [True]
    assert client.get("/s/lines", headers={"Last-Event-ID": "7"}).body == b'1\n{"a":"7"}\n'
    assert client.get("/s/bytes").body == b"ab"
    document = client.get("/openapi.json").json()
    assert list(document["paths"]["/s/{kind}"]["get"]["responses"]["200"]["content"]) == [
        "text/event-stream"
    ]


def test_no_answer_is_guessed_to_be_something_else(build: Build, cities: Service) -> None:
    client = build(cities)
    for path in ("/cities", "/nothing"):
        assert client.get(path).headers["x-content-type-options"] == "nosniff"


# ── Pyramid stays visible ────────────────────────────────────────────────────────────────────────
class Policy:
    """Who sends `X-User: ann` may do everything."""

    def identity(self, request: Any) -> str | None:
        return request.headers.get("X-User")

    def authenticated_userid(self, request: Any) -> str | None:
        return self.identity(request)

    def permits(self, request: Any, context: Any, permission: str) -> bool:
        return self.identity(request) == "ann"


def test_a_permission_guards_its_method_and_only_that(build: Build) -> None:
    service = Service("one", "/one")
    service.add("GET", lambda: "open")
    service.add("DELETE", lambda: "done", permission="delete", request_param="sure")
    client = build(service, more=lambda config: config.set_security_policy(Policy()))
    assert client.get("/one").json() == "open"
    assert client.delete("/one?sure=1", headers={"X-User": "bob"}).status == 403
    assert client.delete("/one", headers={"X-User": "bob"}).status == 404  # not past the guard
    assert client.put("/one").status == 405


def test_a_factory_gives_the_context(build: Build) -> None:
    class Root:
        def __init__(self, request: Any) -> None:
            self.word = request.matchdict["word"]

    service = Service("one", "/{word}", factory=Root)

    @service.get()
    def read(context: Any, word: str) -> list[str]:
        return [context.word, word]

    assert build(service).get("/a").json() == ["a", "a"]


def test_a_tween_sees_every_request(build: Build) -> None:
    seen = []

    def factory(handler: Any, registry: Any) -> Any:
        def tween(request: Any) -> Any:
            response = handler(request)
            seen.append((request.path, response.status_int))
            response.headers["X-Tween"] = "yes"
            return response

        return tween

    import sys

    sys.modules[__name__].tween_factory = factory  # type: ignore[attr-defined]
    service = Service("one", "/one")
    service.add("GET", lambda: 1)
    client = build(service, more=lambda config: config.add_tween(f"{__name__}.tween_factory"))
    assert client.get("/one").headers["x-tween"] == "yes"
    assert client.get("/none").status == 404
    assert seen == [("/one", 200), ("/none", 404)]


def test_callbacks_and_request_methods_work(build: Build) -> None:
    service = Service("one", "/one")
    done = []

    @service.get()
    def read(request: Any) -> str:
        request.add_response_callback(lambda r, response: response.headers.update({"X-A": "b"}))
        request.add_finished_callback(lambda r: done.append(1))
        return request.word + request.matched_route.pattern

    client = build(
        service, more=lambda config: config.add_request_method(lambda r: "w", "word", reify=True)
    )
    answer = client.get("/one")
    assert (answer.json(), answer.headers["x-a"], done) == ("w/one", "b", [1])


def test_subscribers_hear_of_every_request(build: Build) -> None:
    from pyramid.events import NewRequest, NewResponse

    heard = []
    service = Service("one", "/one")
    service.add("GET", lambda: Answer(1))

    def more(config: Any) -> None:
        config.add_subscriber(lambda event: heard.append("request"), NewRequest)
        config.add_subscriber(lambda event: heard.append("response"), NewResponse)

    assert build(service, more=more).get("/one").status == 200
    assert heard == ["request", "response"]


def test_a_route_prefix_holds_in_path_and_document(build: Build) -> None:
    service = Service("one", "/one/{n}")

    @service.get()
    def read(n: int) -> int:
        return n

    def more(config: Any) -> None:
        config.include(lambda inner: inner.add_service(service), route_prefix="v1")

    client = build(more=more)
    assert client.get("/v1/one/5").json() == 5
    assert "/v1/one/{n}" in client.get("/openapi.json").json()["paths"]
