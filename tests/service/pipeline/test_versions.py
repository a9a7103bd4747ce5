"""Versions of an API side by side, each with its own document; in both paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from chapiteau.service import CorsPolicy, Service, Versions
from chapiteau.service.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chapiteau.service.testing import Client

    Build = Callable[..., Client]


class Old(msgspec.Struct):
    name: str


class New(msgspec.Struct):
    first: str
    last: str


def services() -> list[Service]:
    people = Service("people", "/people/{number}", versions=["1"])

    @people.get()
    def get_old(number: int) -> Old:
        """One person."""
        return Old(f"old {number}")

    better = Service("people", "/people/{number}", versions=["2", "3"])

    @better.get()
    def get_new(number: int) -> New:
        """One person."""
        return New("new", str(number))

    @better.post(versions=["3"])
    def change(number: int, new: New) -> New:
        """Change one."""
        return new

    both = Service("words", "/words")

    @both.get()
    def words() -> str:
        """What never changes."""
        return "same"

    return [people, better, both]


@pytest.fixture
def client(build: Build, request: pytest.FixtureRequest) -> Client:
    def more(config: Any) -> None:
        config.set_versions(Versions("1", "2", "3", by=request.param))
        config.set_api(title="People", version="any")
        for service in services():
            config.add_service(service)

    return build(more=more)


by_path = pytest.mark.parametrize("client", ["path"], indirect=True)
by_header = pytest.mark.parametrize("client", ["header"], indirect=True)
by_media = pytest.mark.parametrize("client", ["media"], indirect=True)


@by_path
def test_by_path(client: Client) -> None:
    assert client.get("/v1/people/7").json() == {"name": "old 7"}
    assert client.get("/v2/people/7").json() == {"first": "new", "last": "7"}
    sent = {"first": "a", "last": "b"}
    assert client.post("/v2/people/7", json=sent).headers["allow"] == "GET, HEAD, OPTIONS"
    assert client.post("/v3/people/7", json=sent).json() == sent
    assert [client.get(f"/v{n}/words").status for n in (1, 2, 3, 4)] == [200, 200, 200, 404]
    assert client.get("/people/7").status == 404
    assert client.get("/live").status == 200
    paths = {n: client.get(f"/v{n}/openapi.json").json()["paths"] for n in (1, 2, 3)}
    assert list(paths[1]) == ["/live", "/ready", "/v1/people/{number}", "/v1/words"]
    assert list(paths[3]["/v3/people/{number}"]) == ["get", "post"]
    assert client.get("/openapi.json").json()["info"] == {"title": "People", "version": "1"}
    assert client.get("/openapi.json?version=3").json()["info"]["version"] == "3"
    assert client.get("/openapi.json?version=4").status == 400


@by_header
def test_by_header(client: Client) -> None:
    def get(version: str | None, path: str = "/people/7") -> Any:
        return client.get(path, headers={"API-Version": version} if version else {})

    assert get(None).json() == get("1").json() == {"name": "old 7"}
    answer = get("2")
    assert answer.json() == {"first": "new", "last": "7"}
    assert (answer.headers["api-version"], answer.headers["vary"]) == ("2", "API-Version")
    assert get(" 3 ", "/words").headers["api-version"] == "3"
    assert client.post("/people/7", json={}, headers={"API-Version": "2"}).status == 405
    bad = client.post("/people/x", json={}, headers={"API-Version": "3"})
    assert (bad.status, bad.headers["vary"]) == (422, "API-Version")
    unknown = get("9")
    assert (unknown.status, unknown.json()["code"]) == (400, "unknown-version")
    assert "1, 2, 3" in unknown.json()["detail"]
    assert unknown.headers["vary"] == "API-Version"
    assert get("9", "/live").status == 200  # it has no versions
    nothing = get("9", "/nothing")
    assert (nothing.status, nothing.headers["vary"]) == (404, "API-Version")
    assert get("1", "/openapi.json").headers["vary"] == "Accept, API-Version"
    none = get("9", "/openapi.json")
    assert (none.status, none.headers["vary"]) == (400, "API-Version")


@by_header
def test_each_version_has_its_document(client: Client) -> None:
    documents = {n: client.get(f"/openapi.json?version={n}").json() for n in "123"}
    assert client.get("/openapi.json", headers={"API-Version": "2"}).json() == documents["2"]
    for number, document in documents.items():
        OpenAPIV31SpecValidator(document).validate()
        assert document["info"]["version"] == number
    operation = documents["3"]["paths"]["/people/{number}"]["post"]
    header = operation["parameters"][-1]
    assert (header["name"], header["required"]) == ("API-Version", True)
    assert header["schema"]["enum"] == ["3"]
    assert "required" not in documents["1"]["paths"]["/words"]["get"]["parameters"][-1]
    assert "post" not in documents["2"]["paths"]["/people/{number}"]


def test_the_document_is_there_for_who_knows_no_version_yet(build: Build) -> None:
    """Whoever must name one reads in the document which there are; the page begins with it."""
    service = Service("words", "/words")
    service.add("GET", lambda: 1)

    def more(config: Any) -> None:
        config.set_versions(Versions("1", "2", by="header", default="2", required=True))
        config.add_service(service)

    client = build(more=more)
    assert client.get("/words").status == 400
    answer = client.get("/openapi.json")
    assert (answer.status, answer.json()["info"]["version"]) == (200, "2")
    assert client.get("/openapi.json", headers={"API-Version": "9"}).status == 400


@by_media
def test_by_media_type(client: Client) -> None:
    def get(accept: str, path: str = "/people/7") -> Any:
        return client.get(path, headers={"Accept": accept})

    assert get("*/*").headers["content-type"] == "application/json; version=1"
    second = get("application/json; version=2")
    assert second.headers["content-type"] == "application/json; version=2"
    assert second.headers["vary"] == "Accept"
    assert second.json()["first"] == "new"
    liked = get("application/json;version=9, application/json;version=1;q=0.2, */*;version=3;q=.5")
    assert liked.headers["content-type"] == "application/json; version=3"
    assert (get("application/json;version=9").status, get("text/html").status) == (400, 406)
    sent = client.post(
        "/people/7", body=b'{"first":"a","last":"b"}',
        headers={"Content-Type": "application/json; version=3"},
    )  # fmt: skip
    assert (sent.status, sent.headers["content-type"]) == (200, "application/json; version=3")
    document = client.get("/openapi.json?version=3").json()
    OpenAPIV31SpecValidator(document).validate()
    operation = document["paths"]["/people/{number}"]["post"]
    assert list(operation["requestBody"]["content"]) == ["application/json; version=3"]
    assert list(operation["responses"]["200"]["content"]) == ["application/json; version=3"]


def test_versions_under_a_prefix_and_for_other_origins(build: Build) -> None:
    def more(config: Any) -> None:
        config.set_versions(Versions("a", "b", by="path", prefix="version-"))
        config.set_cors(CorsPolicy(origins=("https://x.example",)))
        config.route_prefix = "api"
        for service in services()[2:]:
            config.add_service(service)

    client = build(more=more)
    answer = client.get("/api/version-a/words", headers={"Origin": "https://x.example"})
    assert answer.headers["access-control-allow-origin"] == "https://x.example"
    assert "/api/version-b/words" in client.get("/openapi.json?version=b").json()["paths"]


@pytest.mark.parametrize("by", ["header", "media"])
def test_permissions_hold_in_their_version_only(build: Build, by: Any) -> None:
    class Nobody:
        """A policy that lets nobody in."""

        def identity(self, _request: Any) -> None:
            return None

        def permits(self, *_: Any) -> bool:
            return False

    def more(config: Any) -> None:
        config.set_security_policy(Nobody())
        config.set_versions(Versions("1", "2", by=by))
        for version, options in (("1", {}), ("2", {"permission": "read"})):
            one = Service("one", "/one", versions=[version])
            one.add("GET", lambda: 1, **options)
            config.add_service(one)

    client = build(more=more)
    wish = {"header": "API-Version", "media": "Accept"}[by]
    value = "2" if by == "header" else "*/*;version=2"
    assert client.get("/one").status == 200
    assert client.get("/one", headers={wish: value}).status == 403


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Versions, "need names"),
        (lambda: Versions("1", "1"), "need names"),
        (lambda: Versions("a b"), "can't name"),
        (lambda: Versions("1", default="2"), "is no version"),
    ],
)
def test_versions_that_make_no_sense(make: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        make()


def test_a_service_names_versions_that_there_are(build: Build) -> None:
    def more(config: Any) -> None:
        config.set_versions(Versions("1"))
        config.add_service(services()[1])

    with pytest.raises(DeclarationError, match="'2'"):
        build(more=more)
    with pytest.raises(DeclarationError, match="too late"):
        build(services()[2], more=lambda config: config.set_versions(Versions("1")))
