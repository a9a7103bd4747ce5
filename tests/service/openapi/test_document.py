"""The document: examples, links, callbacks, webhooks, 3.0, YAML, another format of errors."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import jsonschema
import msgspec
import pytest
import yaml
from msgspec import Meta
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from pyramid.config import Configurator
from pyramid.events import NewRequest

from chapiteau.service import (
    Answer,
    Body,
    Callback,
    File,
    Header,
    Link,
    ProblemError,
    Query,
    Service,
)
from chapiteau.service.errors import DeclarationError
from chapiteau.service.openapi.formats import downgrade
from chapiteau.service.testing import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., Client]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Cat(msgspec.Struct, tag="cat"):
    lives: Annotated[int, Meta(gt=0, lt=10)]


class Dog(msgspec.Struct, tag="dog"):
    name: str | None


class Note(msgspec.Struct, forbid_unknown_fields=True):
    """A note."""

    id: int
    text: Annotated[str, Meta(min_length=1, examples=["milk"])]
    colour: Colour | None = None
    pet: Cat | Dog | None = None
    pair: tuple[int, str] = (1, "a")
    more: dict[str, list[float | None]] = {}
    raw: bytes = b""
    kind: Literal["a", "b"] = "a"
    one: Literal["x"] = "x"
    parent: Note | None = None
    anything: Any = None
    word: str | int | None = None


OF_IT = "wrong example of 'it'"
MILK = Note(1, "milk", colour=Colour.RED)


class GoneError(ProblemError):
    """It is gone."""

    status = 410
    code = "gone"


def written(note: Note, x_signature: Annotated[str, Header]) -> None:
    """A note was written.

    Sent to everybody who has asked for it.
    """


@pytest.fixture
def notes() -> tuple[Service, ...]:
    many, one = Service("notes", "/notes"), Service("note", "/notes/{number}")

    @one.get(etag="content", raises=[GoneError])
    def get_note(number: int) -> Note:
        """One note."""
        if number == 7:
            raise GoneError("it is gone")
        return MILK

    @many.post(
        status=201,
        example=MILK,
        links={"note": Link("get_note", "The new note.", number="$response.body#/id")},
        callbacks={"written": Callback("{$request.query.tell}", written)},
    )
    def write(
        note: Annotated[Note, Body(description="What to write.", example=MILK)],
        tell: Annotated[str, Query(example="https://example.org/told")] = "",
    ) -> Answer[Note]:
        """Write one."""
        return Answer(note, headers={"Location": "/notes/1"})

    files = Service("files", "/files")

    @files.get()
    def file(colours: Annotated[list[Colour], Meta(max_length=2)] = []) -> File:  # noqa: B006
        """A file."""
        return File("/none")

    return many, one, files


@pytest.fixture
def client(build: Build, notes: tuple[Service, ...]) -> Client:
    def more(config: Any) -> None:
        config.set_api(title="Notes", version="1", description="Notes.", servers=["https://x.org"])
        config.add_webhook("note-written", written, tags=("hooks",))

    return build(*notes, more=more)


def test_the_whole_is_valid_in_both_dialects(client: Client) -> None:
    document = client.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    older = client.get("/openapi.json?openapi=3.0")
    assert older.headers["etag"] != client.get("/openapi.json").headers["etag"]
    assert older.json() == downgrade(document)
    OpenAPIV30SpecValidator(older.json()).validate()
    assert client.get("/openapi.json?openapi=2.0").status == 422


def test_what_is_sent_stands_in_the_document(client: Client) -> None:
    document = client.get("/openapi.json").json()
    hook = document["webhooks"]["note-written"]["post"]
    assert (hook["summary"], hook["tags"]) == ("A note was written.", ["hooks"])
    assert hook["parameters"][0]["name"] == "X-Signature"
    write = document["paths"]["/notes"]["post"]
    sent = write["callbacks"]["written"]["{$request.query.tell}"]["post"]
    ref = {"$ref": "#/components/schemas/Note"}
    assert sent["requestBody"]["content"]["application/json"]["schema"] == ref
    assert list(sent["responses"]) == ["204"]
    assert len({hook["operationId"], sent["operationId"], write["operationId"]}) == 3
    assert write["responses"]["201"]["links"]["note"] == {
        "operationId": "get_note", "parameters": {"number": "$response.body#/id"},
        "description": "The new note.",
    }  # fmt: skip
    content = write["requestBody"]["content"]["application/json"]
    assert content["example"]["text"] == "milk"
    assert write["parameters"][0]["example"] == "https://example.org/told"


def test_problems_stand_in_the_document_by_their_codes(client: Client) -> None:
    document = client.get("/openapi.json").json()
    answers = document["paths"]["/notes/{number}"]["get"]["responses"]
    told = answers["410"]["content"]["application/problem+json"]["examples"]["gone"]["value"]
    real = client.get("/notes/7").json()
    assert told == {"type": "urn:problem:gone", "title": "Gone", "status": 410, "code": "gone"}
    assert told.items() <= real.items()
    jsonschema.validate(told, {"$ref": "#/components/schemas/ProblemDocument", **document})
    assert "examples" not in answers["422"]["content"]["application/problem+json"]
    post = document["paths"]["/notes"]["post"]["responses"]
    assert "Accept" in post["415"]["headers"]


def test_yaml_is_the_same_document(client: Client) -> None:
    document = client.get("/openapi.json").json()
    by_path = client.get("/openapi.yaml")
    assert by_path.headers["content-type"] == "application/openapi+yaml"
    assert yaml.safe_load(by_path.body) == document
    by_accept = client.get("/openapi.json", headers={"Accept": "application/yaml"})
    assert (by_accept.body, by_accept.headers["vary"]) == (by_path.body, "Accept")
    old = client.get("/openapi.yaml?openapi=3.0")
    assert yaml.safe_load(old.body)["openapi"] == "3.0.3"
    assert client.get("/openapi.json?format=yaml").body == by_path.body
    tag = {"If-None-Match": by_path.headers["etag"]}
    assert client.get("/openapi.yaml", headers=tag).status == 304
    assert client.get("/openapi.yaml?format=xml").status == 422


def test_an_old_reader_understands_what_null_is(client: Client) -> None:
    schemas = client.get("/openapi.json?openapi=3.0").json()["components"]["schemas"]
    note = schemas["Note"]["properties"]
    assert note["text"]["example"] == "milk"
    assert note["one"]["enum"] == ["x"]
    assert note["pair"]["items"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert note["more"]["additionalProperties"]["items"] == {"type": "number", "nullable": True}
    assert note["raw"]["format"] == "byte"
    assert schemas["Cat"]["properties"]["lives"] == {
        "type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 10,
        "exclusiveMaximum": True,
    }  # fmt: skip
    assert {"type": "string", "nullable": True, "enum": [None]} in note["parent"]["anyOf"]
    assert '"null"' not in msgspec.json.encode(schemas).decode()


@pytest.mark.parametrize(
    ("options", "annotation", "words"),
    [
        pytest.param({"example": {"id": "x"}}, Note, "wrong example of its answer", id="answer"),
        pytest.param({}, Annotated[Note, Body(example={"id": 1})], OF_IT, id="body"),
        pytest.param({}, Annotated[int, Query(example="x")], OF_IT, id="parameter"),
        pytest.param({}, Annotated[int, Meta(ge=5, examples=[7, 3])], OF_IT, id="meta"),
        pytest.param({}, Annotated[list[Annotated[str, Meta(examples=[1])]], Query],
            OF_IT, id="inside a list"),
    ],
)  # fmt: skip
def test_an_example_must_be_one(options: dict[str, Any], annotation: Any, words: str) -> None:
    def handler(it: Any) -> Note:
        return MILK

    handler.__annotations__.update({"it": annotation, "return": Note})
    with pytest.raises(DeclarationError, match=words):
        Service("one", "/").add("POST", handler, **options)


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (Link("get_nothing"), "leads to get_nothing"),
        (Link(lambda: None), "no operation of this document"),
        (Link("get_note", numbr="1"), "has no parameter 'numbr'"),
    ],
)
def test_at_start_a_link_leads_somewhere(
    build: Build, notes: tuple[Service, ...], link: Link, words: str
) -> None:
    service = Service("linking", "/linking")
    service.add("GET", lambda: 1, links={"odd": link})
    with pytest.raises(DeclarationError, match=words) as caught:
        build(*notes, service)
    assert f"{__file__}:" in str(caught.value)


@pytest.mark.parametrize("listens", [False, True])
def test_the_check_at_start_costs_requests_nothing(listens: bool) -> None:
    """Pyramid sends its events for every request as soon as anybody has ever listened."""
    heard: list[NewRequest] = []
    service = Service("plain", "/plain")
    service.add("GET", lambda: 1)
    config = Configurator(settings={"chapiteau.fast_path": False})
    config.include("chapiteau.service")
    config.add_service(service)  # type: ignore[attr-defined]
    if listens:
        config.add_subscriber(heard.append, NewRequest)
    app = config.make_wsgi_app()
    assert app.registry.has_listeners is listens
    assert Client(app).get("/plain").status == 200
    assert len(heard) == listens


def test_errors_as_cornice_writes_them(build: Build, notes: tuple[Service, ...]) -> None:
    client = build(*notes, **{"chapiteau.errors": "cornice"})
    bad = client.post("/notes", json={"id": "x", "text": ""})
    assert bad.headers["content-type"] == "application/json"
    assert bad.json()["status"] == "error"
    assert [(e["location"], e["name"]) for e in bad.json()["errors"]] == [
        ("body", "id"), ("body", "text"),
    ]  # fmt: skip
    gone = client.get("/notes/7")
    assert (gone.status, gone.json()["errors"]) == (
        410, [{"location": "", "name": "gone", "description": "it is gone"}],
    )  # fmt: skip
    for answer in (client.get("/none"), client.patch("/notes")):
        assert answer.json()["status"] == "error"
    document = client.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    content = document["paths"]["/notes"]["post"]["responses"]["422"]["content"]
    schema = {**content["application/json"]["schema"], "components": document["components"]}
    jsonschema.validate(bad.json(), schema)
    assert "ProblemDocument" not in document["components"]["schemas"]
    with pytest.raises(DeclarationError, match="no format of errors"):
        build(**{"chapiteau.errors": "xml"})
