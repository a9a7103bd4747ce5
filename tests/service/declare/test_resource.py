"""Validators, filters and classes, in both paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from pyramid.authorization import Allow, Everyone
from pyramid.config import Configurator

from chapiteau.service import Service, add_resource, resource, view
from chapiteau.service.application import application_of
from chapiteau.service.errors import DeclarationError
from chapiteau.service.testing import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., Client]


class Note(msgspec.Struct):
    text: str
    size: int = 0


def short(request: Any) -> None:
    if len(request.validated["note"].text) > 5:
        request.errors.add("body", "text", "is too long", code="length")


def polite(request: Any) -> None:
    if "rude" in request.validated["note"].text:
        request.errors.add("body", "/text", "is rude")


def posting(**options: Any) -> Service:
    service = Service("notes", "/notes", validators=(short,))

    @service.post(**options)
    def add(note: Note) -> Note:
        return note

    return service


def test_all_validators_run_and_all_problems_are_told(build: Build) -> None:
    client = build(posting(validators=[polite]))
    answer = client.post("/notes", json={"text": "so rude"})
    assert answer.status == 422
    assert answer.json()["errors"] == [
        {"in": "body", "pointer": "/text", "code": "length", "detail": "is too long"},
        {"in": "body", "pointer": "/text", "code": "value", "detail": "is rude"},
    ]
    assert client.post("/notes", json={"text": "ok"}).status == 200


def test_validators_see_only_what_has_the_right_type(build: Build) -> None:
    answer = build(posting()).post("/notes", json={"text": 5})
    assert [e["code"] for e in answer.json()["errors"]] == ["type"]


def test_a_method_may_exclude_a_validator_of_its_service(build: Build) -> None:
    client = build(posting(exclude=[short]))
    assert client.post("/notes", json={"text": "long enough"}).status == 200


def test_a_validator_replaces_a_value_and_leaves_others_for_the_handler(build: Build) -> None:
    def measure(request: Any) -> None:
        note = request.validated["note"]
        request.validated["note"] = msgspec.structs.replace(note, size=len(note.text))
        request.validated["extra"] = 7

    service = Service("notes", "/notes")

    @service.post(validators=(measure,))
    def add(request, note: Note) -> list[int]:  # type: ignore[no-untyped-def]
        return [note.size, request.validated["extra"]]

    assert build(service).post("/notes", json={"text": "abc"}).json() == [3, 7]


def test_errors_may_have_another_status_and_know_their_places(build: Build) -> None:
    def conflict(request: Any) -> None:
        request.errors.status = 409
        request.errors.add("querystring", "a/b", "taken")
        with pytest.raises(ValueError, match="no location"):
            request.errors.add("nowhere", "x", "y")

    service = Service("one", "/one")

    @service.get(validators=(conflict,))
    def one() -> int:
        return 1

    answer = build(service).get("/one")
    assert answer.status == 409
    assert answer.json()["errors"][0]["in"] == "query"
    assert answer.json()["errors"][0]["pointer"] == "/a~1b"


def test_filters_change_the_answer_and_may_ask_the_request(build: Build) -> None:
    def upper(response: Any) -> Any:
        response.body = response.body.upper()
        return response

    def sign(response: Any, request: Any) -> Any:
        response.headers["X-Path"] = request.path
        return response

    service = Service("one", "/one", filters=(upper,))

    @service.get(filters=(sign,))
    def one() -> str:
        return "abc"

    answer = build(service).get("/one")
    assert (answer.text, answer.headers["x-path"]) == ('"ABC"', "/one")
    assert answer.headers["content-length"] == "5"


@resource("/things/{id}", collection_path="/things", collection_tags=["all"])
class Things:
    """Things of all kinds."""

    known: dict[int, str]

    def __init__(self, request: Any) -> None:
        self.request = request
        self.known = {1: "one"}

    def known_id(self, request: Any) -> None:
        assert request is self.request
        if request.validated["id"] not in self.known:
            request.errors.status = 404
            request.errors.add("path", "id", "nothing there")

    def marked(self, response: Any, request: Any) -> Any:
        response.headers["X-Things"] = str(len(self.known))
        return response

    def collection_get(self) -> list[str]:
        """All of them."""
        return list(self.known.values())

    @view(status=201)
    def collection_post(self, note: Note) -> Note:
        """One more."""
        self.known[2] = note.text
        return note

    @view(validators=("known_id",), filters=("marked",))
    def get(self, id: int) -> str:  # noqa: A002
        """One of them."""
        return self.known[id]


def scanned(lane: str) -> Client:
    config = Configurator(settings={"chapiteau.fast_path": lane == "fast"})
    config.include("chapiteau.service")
    config.scan(__name__)
    return Client(config.make_wsgi_app())


def test_a_class_answers_for_member_and_collection(lane: str) -> None:
    client = scanned(lane)
    assert client.get("/things").json() == ["one"]
    assert client.post("/things", json={"text": "x"}).status == 201
    answer = client.get("/things/1")
    assert (answer.json(), answer.headers["x-things"]) == ("one", "1")
    missing = client.get("/things/5")
    assert (missing.status, missing.json()["errors"][0]["pointer"]) == (404, "/id")
    assert client.get("/things/x").status == 422
    assert client.delete("/things/1").headers["allow"] == "GET, HEAD, OPTIONS"
    document = client.get("/openapi.json").json()
    assert document["paths"]["/things"]["get"]["summary"] == "All of them."
    assert document["paths"]["/things"]["get"]["tags"] == ["all"]
    assert document["paths"]["/things/{id}"]["get"]["parameters"][0]["schema"]["type"] == "integer"


class Guarded:
    __acl__ = ((Allow, Everyone, "see"),)

    def __init__(self, request: Any) -> None:
        self.request = request

    def get(self, request: Any, id: str) -> str:  # noqa: A002
        return f"{id} {request.context is self}"

    @view(permission="touch")
    def put(self, id: str) -> str:  # noqa: A002
        return id


def test_the_acl_of_a_class_decides(build: Build) -> None:
    def policy(config: Any) -> None:
        from pyramid.authorization import ACLHelper

        class Policy:
            def identity(self, request: Any) -> None: ...
            def authenticated_userid(self, request: Any) -> None: ...
            def permits(self, request: Any, context: Any, permission: str) -> Any:
                return ACLHelper().permits(context, [Everyone], permission)

        config.set_security_policy(Policy())

    client = build(*add_resource(Guarded, "/guarded/{id}"), more=policy)
    assert client.get("/guarded/a").json() == "a True"
    assert client.put("/guarded/a").status == 403


class Room:
    def __init__(self, request: Any, context: Any) -> None:
        self.context = context

    def get(self, id: str) -> str:  # noqa: A002
        return f"{self.context}{id}"


def test_a_class_that_takes_the_context_gets_it(build: Build) -> None:
    services = add_resource(Room, "/rooms/{id}", factory=lambda request: "room ")
    assert build(*services).get("/rooms/5").json() == "room 5"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: add_resource(Things, "/x/{id}"), "no collection_path"),
        (lambda: add_resource(Room, "/r/{id}", validators=["nothing"]), "no method 'nothing'"),
        (lambda: add_resource(Room, "/r/{id}", collection_tags=["a"]), "without a collection"),
        (lambda: posting(validators=["named"]), "can't be called"),
        (lambda: posting(validator=[short]), "did you mean 'validators'"),
    ],
)
def test_a_wrong_declaration_says_what_is_missing(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(DeclarationError) as told:
        make()
    assert words in f"{told.value} {told.value.hint}"


def test_a_document_tells_what_validators_may_refuse() -> None:
    config = Configurator()
    config.include("chapiteau.service")
    service = Service("one", "/one", unknown_query="ignore", validators=(lambda request: None,))
    service.add("GET", lambda: None)
    config.add_service(service)
    app = config.make_wsgi_app()
    assert application_of(app.registry).services
    document = Client(app).get("/openapi.json").json()
    assert "422" in document["paths"]["/one"]["get"]["responses"]
