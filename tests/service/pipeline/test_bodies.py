"""Forms with files, CBOR, and bodies and answers that travel packed; in both paths."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING, Any

import brotli
import cbor2
import msgspec
import pytest
import zstandard

from chapiteau.service import Precondition, Service, Upload
from chapiteau.service.pipeline.forms import FormPlan
from chapiteau.service.protocol.problem import ProblemError
from chapiteau.service.testing import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., Client]

FORM = {"Content-Type": "multipart/form-data; boundary=xx"}


class Album(msgspec.Struct):
    title: str
    pictures: list[Upload]
    year: int = 0


class Told(msgspec.Struct):
    title: str
    year: int
    names: list[str]
    sizes: list[int]


def form(*parts: tuple[str, bytes]) -> bytes:
    """Parts are what follows `form-data; name=`, and the content."""
    lines = [
        b'--xx\r\nContent-Disposition: form-data; name="%b\r\n\r\n%b\r\n' % (head.encode(), data)
        for head, data in parts
    ]
    return b"".join(lines) + b"--xx--\r\n"


def file(name: str, data: bytes) -> tuple[str, bytes]:
    return f'pictures"; filename="{name}"\r\nContent-Type: image/png', data


@pytest.fixture
def albums() -> Service:
    service = Service("albums", "/albums")

    @service.post(consumes=["multipart/form-data"], max_body=1 << 20)
    def add(album: Album) -> Told:
        pictures = album.pictures
        assert all(p.content_type == "image/png" for p in pictures)
        assert [len(p.file.read()) for p in pictures] == [p.size for p in pictures]
        return Told(
            album.title, album.year, [p.filename for p in pictures], [p.size for p in pictures]
        )

    return service


def test_a_form_brings_fields_and_files(build: Build, albums: Service) -> None:
    client = build(albums)
    sent = form(('title"', "é".encode()), ('year"', b"1999"), file("../../a.png", b"\0\r\n--x"))
    answer = client.post("/albums", body=sent, headers=FORM)
    assert answer.json() == {"title": "é", "year": 1999, "names": ["a.png"], "sizes": [6]}
    large = client.post(
        "/albums", body=form(('title"', b"t"), file("a", b"x" * 500_000), file("b", b"")),
        headers=FORM,
    )  # fmt: skip
    assert large.json()["sizes"] == [500_000, 0]


def test_everything_that_is_wrong_with_a_form_is_told_at_once(
    build: Build, albums: Service
) -> None:
    sent = form(('year"', b"soon"), ('pictures"', b"no file"))
    answer = build(albums).post("/albums", body=sent, headers=FORM)
    assert answer.status == 422
    found = {e["pointer"]: e["code"] for e in answer.json()["errors"]}
    assert found == {"/title": "missing", "/year": "type", "/pictures/0": "type"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(form(file("a", b"x" * (1 << 20))), FORM, 413, id="too long"),
        pytest.param(form(*[('title"', b"")] * 200), FORM, 413, id="too many parts"),
        pytest.param(form(('title"', b"a"))[:-8], FORM, 400, id="cut"),
        pytest.param(b"", FORM, 411, id="empty"),
        pytest.param(form(('title"', b"\xff")), FORM, 400, id="not UTF-8"),
        pytest.param(form(), {"Content-Type": "multipart/form-data"}, 400, id="no boundary"),
        pytest.param(b"{}", {"Content-Type": "application/json"}, 415, id="JSON"),
    ],
)
def test_a_form_that_cant_be_read_says_why(
    build: Build, albums: Service, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = build(albums).post("/albums", body=body, headers=headers)
    assert answer.status == status, answer.text


def test_a_form_of_unknown_length_is_bounded_too() -> None:
    class Endless:
        def read(self, size: int) -> bytes:
            return b"x" * size

    plan = FormPlan(Album, 1 << 20)
    environ = {"CONTENT_TYPE": FORM["Content-Type"], "wsgi.input": Endless()}
    with pytest.raises(ProblemError) as told:
        plan.read(dict(environ))
    assert told.value.status == 411
    with pytest.raises(ProblemError) as told:
        plan.read({**environ, "wsgi.input_terminated": True})
    assert told.value.status in (400, 413)


def test_a_large_file_does_not_fill_the_memory(build: Build) -> None:
    service = Service("files", "/files")

    @service.post(consumes=["multipart/form-data"], max_body=64 << 20)
    def add(album: Album) -> int:
        return album.pictures[0].size

    class Source:
        """A form of 32 MiB that nobody holds whole."""

        def __init__(self) -> None:
            start, _, end = form(('title"', b"t"), file("a", b"@")).partition(b"@")
            self.pieces = [start, *[b"x" * 65536] * 512, end]
            self.data = b""

        def read(self, size: int) -> bytes:
            while self.pieces and len(self.data) < size:
                self.data += self.pieces.pop(0)
            data, self.data = self.data[:size], self.data[size:]
            return data

    plan = FormPlan(Album, 64 << 20)
    tracemalloc.start()
    environ = {"wsgi.input": Source(), "wsgi.input_terminated": True,
        "CONTENT_TYPE": FORM["Content-Type"]}  # fmt: skip
    album = plan.read(environ)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert album.pictures[0].size == 32 << 20
    assert peak < 4 << 20


def test_the_document_tells_of_forms_and_files(build: Build, albums: Service) -> None:
    document = build(albums).get("/openapi.json").json()
    content = document["paths"]["/albums"]["post"]["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]
    album = document["components"]["schemas"]["Album"]
    assert album["properties"]["pictures"]["items"] == {
        "type": "string",
        "contentMediaType": "application/octet-stream",
    }


class Point(msgspec.Struct):
    x: float
    name: str


@pytest.fixture
def points() -> Service:
    media = ["application/json", "application/cbor"]
    service = Service("points", "/points", produces=media, consumes=media)

    @service.post(etag=lambda point: point.name)
    def add(point: Point) -> Point:
        return point

    return service


CBOR = {"Content-Type": "application/cbor", "Accept": "application/cbor"}


def test_cbor_goes_in_and_out(build: Build, points: Service) -> None:
    client = build(points)
    sent = {"x": 1.5, "name": "a"}
    answer = client.post("/points", body=cbor2.dumps(sent), headers=CBOR)
    assert answer.headers["content-type"] == "application/cbor"
    assert cbor2.loads(answer.body) == sent
    bad = client.post("/points", body=cbor2.dumps({"x": "one"}), headers=CBOR)
    assert {e["pointer"] for e in bad.json()["errors"]} == {"/x", "/name"}
    document = client.get("/openapi.json").json()
    assert "application/cbor" in document["paths"]["/points"]["post"]["requestBody"]["content"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xa1", id="cut"),
        pytest.param(cbor2.dumps({"x": 1.0, "name": "a"}) + b"\x00", id="more behind"),
        pytest.param(b"\xa2\x61x\x01\x61x\x02", id="a key twice"),
        pytest.param(b"\x81" * 5000 + b"\x00", id="deep"),
        pytest.param(b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", id="huge count"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_bad_cbor_is_the_clients_fault(build: Build, points: Service, data: bytes) -> None:
    assert build(points).post("/points", body=data, headers=CBOR).status in (400, 422)


# ── packed ───────────────────────────────────────────────────────────────────────────────────
PACKED = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


def test_a_packed_body_is_read(build: Build, points: Service) -> None:
    whole = b'{"x":1,"name":"a"}'
    for data in (gzip.compress(whole), gzip.compress(whole[:5]) + gzip.compress(whole[5:])):
        answer = build(points).post("/points", body=data, headers=PACKED)
        assert answer.json() == {"x": 1, "name": "a"}


def test_a_packed_body_may_be_invalid_too(build: Build, points: Service) -> None:
    answer = build(points).post("/points", body=gzip.compress(b'{"x":"a"}'), headers=PACKED)
    assert {e["pointer"] for e in answer.json()["errors"]} == {"/x", "/name"}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(gzip.compress(b" " * (50 << 20)), 413, id="bomb"),
        pytest.param(gzip.compress(gzip.compress(b" " * 99)) + b"x", 400, id="rest"),
        pytest.param(gzip.compress(b"{}")[:-3], 400, id="cut"),
        pytest.param(b"{}", 400, id="not packed"),
        pytest.param(gzip.compress(b"") * 1000, 400, id="a thousand members"),
    ],
)
def test_a_bomb_does_not_go_off(build: Build, points: Service, data: bytes, status: int) -> None:
    client = build(points)
    tracemalloc.start()
    answer = client.post("/points", body=data, headers=PACKED)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status == status
    assert peak < 6 << 20


def texts(**options: Any) -> Service:
    service = Service("text", "/text")

    @service.get(etag="content", **options)
    def text(size: int = 5000) -> str:
        return "x" * size

    return service


def test_a_client_that_takes_gzip_gets_it_with_a_tag_of_its_own(build: Build) -> None:
    client = build(texts(), **{"chapiteau.compress": "1KiB"})
    plain = client.get("/text")
    packed = client.get("/text", headers={"Accept-Encoding": "compress, gzip;q=0.5"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(packed.body) < 200
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["etag"] == plain.headers["etag"][:-1] + '-gzip"'
    for made in (plain, packed):
        wanted = {"If-None-Match": made.headers["etag"], "Accept-Encoding": "gzip"}
        again = client.get("/text", headers=wanted)
        assert (again.status, again.headers["etag"]) == (304, made.headers["etag"])
        assert again.headers["vary"] == "Accept-Encoding"


UNPACK = {
    "zstd": lambda data: zstandard.ZstdDecompressor().decompress(data),
    "br": brotli.decompress,
    "gzip": gzip.decompress,
}
PACK = {
    "zstd": zstandard.ZstdCompressor(level=19).compress,
    "br": lambda data: brotli.compress(data, quality=1),
    "gzip": gzip.compress,
}


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("br;q=0.5, zstd;q=0.4, gzip;q=0.9", "gzip"),
        ("zstd;q=0, *;q=0.1", "br"),
        ("X-GZIP", "gzip"),
        ("GZIP;Q=0.3, identity;q=0.2", "gzip"),
        ("*", "zstd"),
    ],
)
def test_the_client_chooses_the_coding(build: Build, accept: str, coding: str) -> None:
    client = build(texts(), **{"chapiteau.compress": "1KiB"})
    plain = client.get("/text")
    packed = client.get("/text", headers={"Accept-Encoding": accept})
    assert packed.headers["content-encoding"] == coding
    assert UNPACK[coding](packed.body) == plain.body
    assert packed.headers["etag"] == f'{plain.headers["etag"][:-1]}-{coding}"'
    wish = {"If-None-Match": packed.headers["etag"], "Accept-Encoding": accept}
    again = client.get("/text", headers=wish)
    assert (again.status, again.headers["etag"]) == (304, packed.headers["etag"])
    head = client.head("/text", headers={"Accept-Encoding": accept, "X-Request-ID": "1"}).headers
    assert head == {**packed.headers, "x-request-id": "1"}


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(lambda pack: pack(b'{"x":1.5,"name":"a"}'), 200, id="good"),
        pytest.param(lambda pack: pack(b" " * (8 << 20)), 413, id="bomb"),
        pytest.param(lambda pack: pack(b'{"x":1.5,"name":"a"}')[:-3], 400, id="cut"),
        pytest.param(lambda pack: pack(b'{"x":1.5,"name":"a"}') + b"x", 400, id="rest"),
        pytest.param(lambda _: b'{"x":1.5,"name":"a"}', 400, id="not packed"),
        pytest.param(lambda pack: pack(b'{"x":1.5}'), 422, id="not valid"),
        pytest.param(lambda pack: pack(b"") * 1000, 400, id="a thousand frames"),
    ],
)
def test_packed_bodies(build: Build, points: Service, coding: str, data: Any, status: int) -> None:
    sent = data(PACK[coding])
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    tracemalloc.start()
    answer = build(points).post("/points", body=sent, headers=headers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status == status, answer.text
    assert peak < len(sent) * 3 + (5 << 20)


@pytest.mark.parametrize(
    "accept", ["gzip;q=0", "deflate", "*;q=0", "identity", "gzip;q=0.5, identity", ""]
)
def test_nobody_gets_gzip_who_does_not_want_it(build: Build, accept: str) -> None:
    client = build(texts(), **{"chapiteau.compress": "1KiB"})
    answer = client.get("/text", headers={"Accept-Encoding": accept})
    assert "content-encoding" not in answer.headers


def test_small_answers_stay_as_they_are_and_vary_is_whole(build: Build) -> None:
    produces = ["application/json", "application/msgpack"]
    client = build(texts(produces=produces), **{"chapiteau.compress": "1KiB"})
    answer = client.get("/text?size=9", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    without = build(texts()).get("/text", headers={"Accept-Encoding": "gzip"})
    assert "vary" not in without.headers


def test_the_tag_of_a_packed_answer_names_the_version_to_change(build: Build) -> None:
    service = texts()

    @service.put()
    def change(precondition: Precondition) -> None:
        precondition.check("v1")

    client = build(service, **{"chapiteau.compress": "1KiB"})
    assert client.put("/text", headers={"If-Match": '"v1-gzip"'}).status == 204
    assert client.put("/text", headers={"If-Match": '"v2-gzip"'}).status == 412


def test_an_application_may_end_its_tags_as_we_do(build: Build) -> None:
    service = texts()

    @service.put()
    def change(precondition: Precondition) -> None:
        precondition.check("v1-br")

    client = build(service, **{"chapiteau.compress": "1KiB"})
    for tag in ("v1-br", "v1-br-gzip"):
        assert client.put("/text", headers={"If-Match": f'"{tag}"'}).status == 204
    assert client.put("/text", headers={"If-Match": '"v1"'}).status == 412
