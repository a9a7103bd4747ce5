"""Several handlers for one method: media types and predicates say who answers. In both paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest
from msgspec import Meta
from openapi_spec_validator import OpenAPIV31SpecValidator
from pyramid.response import Response

from chapiteau.service import Answer, CorsPolicy, Service
from chapiteau.service.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chapiteau.service.testing import Client

CSV = {"Accept": "text/csv"}


class City(msgspec.Struct):
    name: Annotated[str, Meta(min_length=1)]
    people: Annotated[int, Meta(ge=0)] = 0


def cities() -> Service:
    service = Service("cities", "/cities")

    @service.get()
    def as_json(country: str = "") -> list[City]:
        """All cities."""
        return [City(name=country or "Oslo")]

    @service.get(accept="text/csv")
    def as_table(columns: Annotated[int, Meta(ge=1)] = 2) -> list[City]:
        """One city per line."""
        return [City(name="Rome", people=columns)]

    @service.post(status=201)
    def from_json(city: City) -> City:
        return city

    @service.post(content_type=["text/plain", "text/markdown"], status=201)
    def from_text(body: bytes) -> City:
        return City(name=body.decode())

    return service


@pytest.fixture
def client(build: Callable[..., Client]) -> Client:
    """The cities."""
    return build(cities())


@pytest.mark.parametrize(
    ("accept", "media", "start"),
    [
        pytest.param(None, "application/json", b"[{", id="nothing said: the first"),
        pytest.param("*/*", "application/json", b"[{", id="anything: the first"),
        pytest.param("text/csv", "text/csv", b"name,", id="the second"),
        pytest.param("application/json;q=0.5, text/*", "text/csv", b"name,", id="by liking"),
        pytest.param("text/csv;q=0, */*", "application/json", b"[{", id="one refused"),
    ],
)
def test_accept_says_who_answers(
    client: Client, accept: str | None, media: str, start: bytes
) -> None:
    answer = client.get("/cities", headers={"Accept": accept} if accept else {})
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(media)
    assert answer.body.startswith(start)
    assert "Accept" in answer.headers["Vary"]


def test_head_is_answered_by_the_same_view(client: Client) -> None:
    answer = client.request("HEAD", "/cities", headers=CSV)
    assert answer.headers["Content-Type"].startswith("text/csv")


def test_content_type_says_who_reads(client: Client) -> None:
    text = {"Content-Type": "text/markdown; charset=utf-8"}
    assert client.post("/cities", body=b"Bern", headers=text).json() == {
        "name": "Bern",
        "people": 0,
    }
    assert client.post("/cities", json={"name": "Bonn", "people": 3}).json()["people"] == 3


def test_refusals_tell_what_all_views_together_can(client: Client) -> None:
    nothing = client.get("/cities", headers={"Accept": "image/png"})
    assert (nothing.status, nothing.headers["Vary"]) == (406, "Accept")
    assert nothing.json()["detail"] == "offered here: application/json, text/csv"
    unread = client.post("/cities", body=b"x", headers={"Content-Type": "image/png"})
    assert unread.status == 415
    assert unread.headers["Accept"] == "application/json, text/plain, text/markdown"
    assert client.request("PUT", "/cities").status == 405
    assert client.request("PUT", "/cities").headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_a_parameter_of_any_view_is_checked_by_all(client: Client) -> None:
    """The document knows one operation: what it allows is allowed whoever answers."""
    assert client.get("/cities?country=NO&columns=3").json() == [{"name": "NO", "people": 0}]
    assert client.get("/cities?country=NO&columns=3", headers=CSV).body.endswith(b"Rome,3\r\n")
    for headers in ({}, CSV):
        wrong = client.get("/cities?columns=0", headers=headers)
        assert [one["pointer"] for one in wrong.json()["errors"]] == ["/columns"]
        assert client.get("/cities?rows=1", headers=headers).status == 422


def test_the_document_tells_them_as_one_operation(client: Client) -> None:
    document = client.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    path = document["paths"]["/cities"]
    assert path["get"]["operationId"] == "as_json"
    assert path["get"]["summary"] == "All cities."
    assert "- as text/csv: One city per line." in path["get"]["description"]
    assert [p["name"] for p in path["get"]["parameters"]] == ["country", "columns"]
    assert list(path["get"]["responses"]["200"]["content"]) == ["application/json", "text/csv"]
    body = path["post"]["requestBody"]
    assert list(body["content"]) == ["application/json", "text/plain", "text/markdown"]
    assert body["required"] is True  # who sends nothing means the first
    assert {"201", "406", "413", "415", "422"} <= path["post"]["responses"].keys()


def test_two_schemas_of_one_media_type_are_alternatives(build: Callable[..., Client]) -> None:
    service = Service("things", "/things")
    service.add("GET", lambda: City("x"), request_param="city", unknown_query="ignore")

    @service.get(request_param="count", unknown_query="ignore")
    def count() -> int:
        return 3

    client = build(service)
    assert client.get("/things?city=").json() == {"name": "x", "people": 0}
    assert client.get("/things?count=").json() == 3
    assert client.get("/things").status == 404


def test_a_callable_says_per_request_what_is_offered(build: Callable[..., Client]) -> None:
    def offered(request: Any) -> list[str]:
        return ["text/csv"] if "HTTP_X_TABLES" in request.environ else ["application/json"]

    service = Service("cities", "/cities")

    @service.get(produces=["application/json", "text/csv"], accept=offered)
    def listing() -> list[City]:
        return [City(name="Oslo")]

    client = build(service)
    tables = {"X-Tables": "yes"}
    assert client.get("/cities").headers["Content-Type"] == "application/json"
    assert client.get("/cities", headers=tables).headers["Content-Type"].startswith("text/csv")
    assert client.get("/cities", headers=CSV).status == 406
    assert client.get("/cities", headers={**CSV, **tables}).status == 200
    assert client.get("/cities", headers={"Accept": "*/*", **tables}).body.startswith(b"name")
    content = client.get("/openapi.json").json()["paths"]["/cities"]["get"]["responses"]["200"]
    assert list(content["content"]) == ["application/json", "text/csv"]


def test_a_callable_says_per_request_what_is_taken(build: Callable[..., Client]) -> None:
    def taken(request: Any) -> str:
        return "text/x-old" if request.GET.get("old") else "text/plain"

    service = Service("notes", "/notes", unknown_query="ignore")

    @service.post(content_type=taken, consumes=["text/plain", "text/x-old"])
    def add(request: Any) -> int:
        return len(request.body)

    client = build(service)
    plain, old = {"Content-Type": "text/plain"}, {"Content-Type": "text/x-old"}
    assert client.post("/notes", body=b"abc", headers=plain).json() == 3
    assert client.post("/notes", body=b"abc", headers=old).status == 415
    assert client.post("/notes?old=1", body=b"abc", headers=old).json() == 3
    assert client.post("/notes", body=b"abc").status == 200  # no type at all passes
    described = client.get("/openapi.json").json()["paths"]["/notes"]["post"]
    assert list(described["requestBody"]["content"]) == ["text/plain", "text/x-old"]
    assert "415" in described["responses"]


def test_a_callable_that_names_what_can_not_be_is_a_defect(build: Callable[..., Client]) -> None:
    service = Service("cities", "/cities")
    service.add("GET", lambda: 1, accept=lambda _request: "text/xml")
    assert build(service).get("/cities").status == 500


def test_a_handler_that_makes_its_own_answer_is_chosen_too(build: Callable[..., Client]) -> None:
    service = Service("page", "/page")

    @service.get(accept="text/html")
    def page() -> Response:
        return Response("<p>", content_type="text/html")

    @service.get(accept="application/json")
    def data() -> list[int]:
        return [1]

    client = build(service)
    assert client.get("/page").body == b"<p>"
    assert client.get("/page").headers["Vary"] == "Accept"
    assert client.get("/page", headers={"Accept": "application/json"}).json() == [1]


def test_a_permission_holds_for_its_view_alone(build: Callable[..., Client]) -> None:
    class Nobody:
        def identity(self, _request: Any) -> None:
            return None

        authenticated_userid = identity

        def permits(self, *_: Any) -> bool:
            return False

    service = Service("figures", "/figures")
    service.add("GET", lambda: [1], produces="text/csv", permission="see")
    service.add("GET", lambda: Answer({"public": True}), produces="application/json")
    client = build(service, more=lambda config: config.set_security_policy(Nobody()))
    assert client.get("/figures", headers={"Accept": "application/json"}).status == 200
    assert client.get("/figures", headers=CSV).status == 403
    assert client.get("/figures").status == 403
    assert client.get("/figures", headers={"Accept": "image/png"}).status == 406
    assert client.request("HEAD", "/figures", headers=CSV).status == 403
    assert client.request("HEAD", "/figures", headers={"Accept": "application/json"}).status == 200


def test_versions_may_have_views_of_their_own(build: Callable[..., Client]) -> None:
    from chapiteau.service import Versions

    service = Service("cities", "/cities")
    service.add("GET", lambda: 1, versions="1")
    service.add("GET", lambda: 2, versions="2")

    def more(config: Any) -> None:
        config.set_versions(Versions("1", "2", by="path"))
        config.add_service(service)

    client = build(more=more)
    assert [client.get(f"/v{n}/cities").json() for n in (1, 2)] == [1, 2]


# ── what can't stand side by side ────────────────────────────────────────────────────────────────
def refuse(*pairs: tuple[Any, dict[str, Any]]) -> str:
    service = Service("one", "/one")
    *first, (handler, options) = pairs
    for each, said in first:
        service.add("GET", each, **said)
    with pytest.raises(DeclarationError) as caught:
        service.add("GET", handler, **options)
    return f"{caught.value} {caught.value.hint}"


def test_two_that_nothing_tells_apart_are_refused() -> None:
    words = refuse((lambda: 1, {}), (lambda: 2, {"accept": "application/json"}))
    assert "GET of /one is there twice" in words
    assert "test_views.py" in words


def test_views_that_contradict_each_other_are_refused() -> None:
    def number(limit: int = 1) -> int:
        return limit

    def text(limit: str = "") -> str:
        return limit

    def needs(limit: int) -> int:
        return limit

    csv = {"produces": "text/csv"}
    assert "'limit' is another" in refuse((number, {}), (text, csv))
    assert "'limit' is another" in refuse((number, {}), (needs, csv))
    assert "does not take 'limit'" in refuse((needs, {}), (lambda: 1, csv))
    policies = [CorsPolicy(origins=("https://a.example",)), CorsPolicy()]
    assert "another cors=" in refuse(
        (lambda: 1, {"cors": policies[0]}), (lambda: 2, {**csv, "cors": policies[1]})
    )


# ── a class, and a project's own Service ─────────────────────────────────────────────────────────
class Notes:
    def __init__(self, request: Any) -> None:
        self.request = request

    def known(self, request: Any) -> None:
        if "HTTP_X_NAME" not in request.environ:
            request.errors.add("header", "X-Name", "say who you are")

    def shout(self, response: Any, _request: Any) -> Any:
        response.body = response.body.upper()
        return response

    def read(self, number: int) -> str:
        return f"note {number} of {self.request.environ['HTTP_X_NAME']}"


def test_klass_gives_handlers_validators_and_filters_by_name(build: Callable[..., Client]) -> None:
    service = Service("notes", "/notes/{number}", klass=Notes, validators="known")
    service.add("GET", "read", filters=["shout"])
    client = build(service)
    assert client.get("/notes/3", headers={"X-Name": "Ada"}).json() == "NOTE 3 OF ADA"
    assert client.get("/notes/3").json()["errors"][0]["pointer"] == "/X-Name"
    assert client.get("/notes/x").status == 422
    with pytest.raises(DeclarationError, match="no method 'raed'") as caught:
        service.add("PUT", "raed")
    assert "read" in caught.value.hint
    with pytest.raises(DeclarationError, match="names a method of no class"):
        Service("notes", "/notes").add("GET", "read")


def test_a_subclass_sets_the_defaults_of_a_project(build: Callable[..., Client]) -> None:
    seen: list[str] = []

    def note(request: Any) -> None:
        seen.append(request.method)

    class ShopService(Service):
        default_validators = (note,)
        default_cors = CorsPolicy(origins=("https://shop.example",))
        default_tags = ("shop",)

    service = ShopService("things", "/things", tags=["things"])
    service.add("GET", lambda: 1)
    service.add("POST", lambda: 2, exclude=note, tags=["other"])
    client = build(service)
    origin = {"Origin": "https://shop.example"}
    answer = client.get("/things", headers=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]
    client.post("/things")
    assert seen == ["GET"]
    paths = client.get("/openapi.json").json()["paths"]["/things"]
    assert (paths["get"]["tags"], paths["post"]["tags"]) == (["things"], ["other"])
    with pytest.raises(DeclarationError, match="no option 'corse'"):
        type("Wrong", (Service,), {"default_corse": 1})("x", "/x").add("GET", lambda: 1)
