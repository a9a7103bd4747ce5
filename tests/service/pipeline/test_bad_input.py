"""What a client may send by malice or mistake: a clear 4xx, in both paths and every media type."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cbor2
import msgspec
import pytest

from chapiteau.service import Answer, Cookie, Header, Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from chapiteau.service.testing import Client

    Build = Callable[..., Client]

JSON, MSGPACK, CBOR = "application/json", "application/msgpack", "application/cbor"
FORM = "application/x-www-form-urlencoded"


class Inner(msgspec.Struct):
    x: float
    y: str = ""


class Thing(msgspec.Struct):
    name: str
    size: float = 0.0
    parts: list[Inner] = []
    more: dict[str, Inner] = {}


_MADE: dict[str, Client] = {}  # one application per lane: nothing in it changes


@pytest.fixture
def client(build: Build, lane: str) -> Client:
    if lane not in _MADE:
        _MADE[lane] = make(build)
    return _MADE[lane]


def make(build: Build) -> Client:
    things = Service("things", "/things", consumes=[JSON, MSGPACK, CBOR, FORM])

    @things.post()
    def add(thing: Thing, q: int = 0) -> Thing:
        return thing

    one = Service("one", "/things/{name}")

    @one.get()
    def get(name: str) -> str:
        return name

    odd = Service("odd", r"/odd/{number:\d+}/{rest:.*}")

    @odd.get()
    def get_odd(number: int, rest: str) -> str:
        return f"{number} {rest}"

    anything = Service("anything", "/anything", consumes=[JSON])

    @anything.post()
    def take(body: dict[str, Any]) -> int:
        return len(body)

    return build(things, one, odd, anything)


def post(client: Client, data: bytes, media: str = JSON, path: str = "/things") -> tuple[int, Any]:
    answer = client.post(path, body=data, headers={"Content-Type": media})
    assert answer.headers["content-type"] in ("application/problem+json", JSON)
    return answer.status, answer.json()


@pytest.mark.parametrize(
    ("data", "media", "pointers"),
    [
        pytest.param(b'{"name":"a","name":"b"}', JSON, ["/name"], id="a key twice"),
        pytest.param(b'{"name":"a","\\u006eame":"b"}', JSON, ["/name"], id="written differently"),
        pytest.param(b'{"name":"a","name" :"b"}', JSON, ["/name"], id="space before the colon"),
        pytest.param(
            b'{"name":"a","parts":[{"x":1},{"x":1,"y":"","x":2}],"more":{"k":{"x":1},"k":{"x":2}}}',
            JSON, ["/parts/1/x", "/more/k"], id="deep inside",
        ),
        pytest.param(b'{"name":"a","?":1,"?":2}', JSON, ["/?"], id="in what is ignored"),
        pytest.param(b'{"size":"x","size":1}', JSON, ["/size"], id="beside another mistake"),
        pytest.param(b"\x82\xa4name\xa1a\xa4name\xa1b", MSGPACK, ["/name"], id="MessagePack"),
    ],
)  # fmt: skip
def test_a_key_that_comes_twice_is_400_with_its_pointer(
    client: Client, data: bytes, media: str, pointers: list[str]
) -> None:
    status, told = post(client, data, media)
    assert (status, told["code"]) == (400, "malformed-request")
    assert [(e["pointer"], e["code"]) for e in told["errors"]] == [
        (at, "repeated") for at in pointers
    ]


def test_text_that_looks_like_a_key_is_no_key(client: Client) -> None:
    thing = {"name": '":":":', "parts": [{"x": 1.5, "y": '\\":'}] * 3}
    status, told = post(client, msgspec.json.encode(thing))
    assert (status, told["name"], len(told["parts"])) == (200, '":":":', 3)
    assert post(client, b'{"a":{"b":1},"c":[{"b":1},{"b":1}]}', path="/anything") == (200, 2)
    assert post(client, b'{"a":{"b":1,"b":2}}', path="/anything")[0] == 400


def test_a_repeat_is_told_with_what_is_wrong_with_the_query(client: Client) -> None:
    status, told = post(client, b'{"name":"a","name":"b"}', path="/things?q=x")
    assert status == 422
    assert [e["pointer"] for e in told["errors"]] == ["/q", "/name"]


@pytest.mark.parametrize(
    ("data", "media"),
    [
        pytest.param(b'{"name":"a","size":NaN}', JSON, id="NaN"),
        pytest.param(b'{"name":"a","size":-Infinity}', JSON, id="infinity"),
        pytest.param(b'{"name":"a","?":1e999}', JSON, id="too large for a number"),
        pytest.param(msgspec.msgpack.encode({"name": "a", "size": float("nan")}), MSGPACK,
            id="NaN in MessagePack"),
        pytest.param(msgspec.msgpack.encode({"name": "a", "?": [float("inf")]}), MSGPACK,
            id="infinity in MessagePack"),
        pytest.param(cbor2.dumps({"name": "a", "size": float("nan")}), CBOR, id="NaN in CBOR"),
        pytest.param(b'{"name":"\xff"}', JSON, id="not UTF-8"),
        pytest.param(b'{"name":"a","?":"\xc0\x80"}', JSON, id="overlong UTF-8"),
        pytest.param(b'{"name":"\\ud800"}', JSON, id="half a surrogate"),
        pytest.param(b'\xef\xbb\xbf{"name":"a"}', JSON, id="a byte order mark"),
        pytest.param('{"name":"a"}'.encode("utf-16"), JSON, id="UTF-16"),
        pytest.param(b"\x81\xa4name\xa1\xff", MSGPACK, id="not UTF-8 in MessagePack"),
        pytest.param(b"name=%FF", FORM, id="not UTF-8 in a form"),
        pytest.param(b'{"name":' + b"[" * 100_000, JSON, id="deep"),
        pytest.param(b'{"name":"a","?":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001, JSON,
            id="deep and whole"),
        pytest.param(b"\x81\xa4name" + b"\x91" * 100_000 + b"\x00", MSGPACK,
            id="deep MessagePack"),
        pytest.param(b'{"name":"a"} {"name":"b"}', JSON, id="two values"),
        pytest.param(b'{"name":"a",}', JSON, id="a comma too many"),
        pytest.param(b"{'name':'a'}", JSON, id="other quotes"),
    ],
)  # fmt: skip
def test_what_cant_be_read_is_400(client: Client, data: bytes, media: str) -> None:
    status, told = post(client, data, media)
    assert (status, told["code"]) == (400, "malformed-request"), told


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "utf-7", "x"])
def test_another_charset_is_415(client: Client, charset: str) -> None:
    for media in (JSON, FORM):
        status, told = post(client, b'{"name":"a"}', f'{media}; charset="{charset}"')
        assert (status, charset in told["detail"]) == (415, True)
    assert post(client, b'{"name":"a"}', f"{JSON}; charset=UTF-8")[0] == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/things/%00", 400, id="NUL"),
        pytest.param("/things/a%00.png", 400, id="NUL inside"),
        pytest.param("/things/%0d%0aX-A:%201", 400, id="line end"),
        pytest.param("/things/%09", 400, id="tab"),
        pytest.param("/things/%7f", 400, id="delete"),
        pytest.param("/things/%c2%85", 400, id="a control character of Unicode"),
        pytest.param("/things/..", 400, id="two dots"),
        pytest.param("/things/%2e%2E", 400, id="two dots, escaped"),
        pytest.param("/things/.", 400, id="one dot"),
        pytest.param("/odd/1/a/%2e%2e/b", 400, id="dots where a slash may be"),
        pytest.param("/things/%ff", 400, id="not UTF-8"),
        pytest.param("//things/a", 404, id="two slashes"),
        pytest.param("//evil.example/things/a", 404, id="another host"),
        pytest.param("/things/a%2Fb", 404, id="a slash, escaped"),
        pytest.param("/things/../things", 404, id="dots are not followed"),
        pytest.param("/things/..a", 200, id="dots of a name"),
        pytest.param("/things/a%20b%C2%A0", 200, id="spaces"),
        pytest.param("/odd/17/a/b", 200, id="a regular expression"),
        pytest.param("/odd/x/a", 404, id="another than the expression wants"),
    ],
)
def test_tricks_of_a_path(client: Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert (answer.status, "x-a" in answer.headers) == (status, False)
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
    if path.startswith("/odd/17"):
        assert answer.json() == "17 a/b"


@pytest.mark.parametrize("text", ["a\r\nX-Forged: 1", "a\nb", "a\0b"])
def test_no_answer_forges_headers(build: Build, text: str) -> None:
    service = Service("echo", "/")
    service.add("GET", lambda: Answer(1, headers={"X-Told": text}))
    answer = build(service).get("/")
    assert (answer.status, "x-told" in answer.headers) == (500, False)


def test_headers_and_cookies_that_are_not_utf8_are_told(build: Build) -> None:
    service = Service("odd", "/")

    @service.get()
    def get(x_word: Annotated[str, Header] = "", word: Annotated[str, Cookie] = "") -> str:
        return x_word + word

    client = build(service)
    assert client.get("/", headers={"X-Word": "\xff"}).status in (200, 400)
    assert client.get("/", headers={"Cookie": "word=\xff"}).status in (200, 400)


def test_a_bomb_takes_little_memory(client: Client) -> None:
    bomb = gzip.compress(b'{"name":"' + b"a" * (16 << 20))
    tracemalloc.start()
    answer = client.post(
        "/things", body=bomb, headers={"Content-Type": JSON, "Content-Encoding": "gzip"}
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status == 413
    assert peak < 8 << 20


@pytest.mark.parametrize("text", ["null", "NULL", "Null"])
def test_null_is_no_word_for_nothing(build: Build, text: str) -> None:
    service = Service("one", "/")

    @service.get()
    def get(
        number: int | None = None, kind: Literal["a"] | None = None, word: str | None = None
    ) -> list[Any]:
        return [number, kind, word]

    client = build(service)
    assert client.get("/").json() == [None, None, None]
    assert client.get("/", query={"word": text}).json() == [None, None, text]
    for name in ("number", "kind"):
        answer = client.get("/", query={name: text})
        assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, f"/{name}")


def test_a_key_must_be_short(build: Build) -> None:
    service = Service("one", "/")
    service.add("POST", lambda: 1, idempotent=True)
    client = build(service)
    for key, status in (("k" * 255, 200), ("k" * 256, 422), ("", 422)):
        assert client.post("/", headers={"Idempotency-Key": key}).status == status
