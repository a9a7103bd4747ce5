"""pydantic and attrs types in parameters, bodies and answers; in both paths."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, PositiveInt, model_validator
from pyramid.exceptions import ConfigurationExecutionError

from chapiteau.service import Body, Query, Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from chapiteau.service.testing import Client

    Build = Callable[..., Client]


class Part(BaseModel):
    """A part."""

    name: str = Field(min_length=1, description="What it is called.")
    count: PositiveInt = 1


class Order(BaseModel):
    """An order."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    number: int = Field(alias="orderNumber", ge=1, examples=[7])
    kind: Literal["new", "old"] = "new"
    when: datetime | None = None
    site: AnyHttpUrl | None = None
    parts: list[Part] = []

    @model_validator(mode="after")
    def not_seven_parts(self) -> Order:
        if len(self.parts) == 7:
            raise ValueError("seven is too many")
        return self


class Filters(BaseModel):
    """Which orders."""

    q: str = Field("", max_length=5)
    tags: list[str] = []
    most: int = Field(10, ge=1, le=50, alias="limit")


MEDIA = ["application/json", "application/msgpack", "application/x-www-form-urlencoded"]


@pytest.fixture
def client(build: Build) -> Client:
    orders = Service("orders", "/orders")

    @orders.get(produces=["application/json", "application/msgpack", "text/csv"])
    def listing(
        filters: Annotated[Filters, Query], page: Annotated[int, Field(ge=1)] = 1
    ) -> list[Part]:
        """Parts."""
        tags = ",".join(filters.tags)
        return [Part(name=f"{filters.q}/{tags}", count=filters.most), Part(name=str(page))]

    @orders.post(status=201, consumes=MEDIA)
    def add(order: Order) -> Order:
        """Order."""
        return order

    @orders.put()
    def put(orders: Annotated[list[Order], Body], dry: Annotated[bool, Field()] = False) -> int:
        """Several."""
        return len(orders) * (-1 if dry else 1)

    one = Service("one", "/orders/{number}")

    @one.get()
    def get(number: PositiveInt) -> Order | None:
        """One."""
        return Order(orderNumber=number) if number < 9 else None

    @one.delete()
    def wrong(number: int) -> Part:
        """Returns something else."""
        return {"name": 1}  # type: ignore[return-value]

    return build(orders, one)


def errors(answer: Any) -> dict[str, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return {e["in"] + e["pointer"]: e["code"] for e in answer.json()["errors"]}


def test_bodies_and_answers_are_models(client: Client) -> None:
    sent = {"orderNumber": 3, "when": "2026-11-25T10:00:00Z", "parts": [{"name": "a"}]}
    answer = client.post("/orders", json=sent)
    assert answer.status == 201
    assert answer.json() == {
        "orderNumber": 3, "kind": "new", "when": "2026-11-25T10:00:00Z", "site": None,
        "parts": [{"name": "a", "count": 1}],
    }  # fmt: skip
    packed = client.post(
        "/orders", body=msgspec.msgpack.encode(sent), headers={"Content-Type": MEDIA[1]}
    )
    form = client.post(
        "/orders", body=b"orderNumber=3&kind=old", headers={"Content-Type": MEDIA[2]}
    )
    assert (packed.status, form.json()["kind"]) == (201, "old")
    assert client.put("/orders?dry=true", json=[sent, sent]).json() == -2
    assert client.post("/orders", body=b'{"orderNumber":3.0}', headers={
        "Content-Type": "application/json"}).status == 201  # fmt: skip
    assert client.get("/orders/9").json() is None


def test_all_problems_come_at_once_with_pointers(client: Client) -> None:
    sent = {
        "orderNumber": "3", "kind": "odd", "when": "soon", "more": 1,
        "parts": [{"name": "", "count": 0}, {}],
    }  # fmt: skip
    assert errors(client.post("/orders", json=sent)) == {
        "body/orderNumber": "type", "body/kind": "choice", "body/when": "format",
        "body/more": "unknown", "body/parts/0/name": "length", "body/parts/0/count": "range",
        "body/parts/1/name": "missing",
    }  # fmt: skip
    seven = {"orderNumber": 1, "parts": [{"name": "x"}] * 7}
    assert errors(client.post("/orders", json=seven)) == {"body": "value"}
    assert errors(client.put("/orders?dry=x", json=[{}])) == {
        "query/dry": "format", "body/0/orderNumber": "missing",
    }  # fmt: skip
    assert client.post("/orders", json=None).status == 422


def test_what_cant_be_read_is_refused_as_ever(client: Client) -> None:
    for body in (b"{", b'{"orderNumber":1,"orderNumber":2}', b'{"orderNumber":NaN}', b"\xff"):
        answer = client.post("/orders", body=body, headers={"Content-Type": "application/json"})
        assert answer.status == 400, body


def test_parameters_are_models_too(client: Client) -> None:
    answer = client.get("/orders?q=ab&tags=x&tags=y&limit=5&page=2")
    assert answer.json() == [{"name": "ab/x,y", "count": 5}, {"name": "2", "count": 1}]
    assert client.get("/orders").json()[0] == {"name": "/", "count": 10}
    bad = client.get("/orders?q=abcdef&limit=0&page=0&limt=1")
    assert errors(bad) == {
        "query/q": "length", "query/limit": "range", "query/page": "range",
        "query/limt": "unknown",
    }  # fmt: skip
    assert client.get("/orders/3").json()["orderNumber"] == 3
    assert errors(client.get("/orders/0")) == {"path/number": "range"}
    table = client.get("/orders", headers={"Accept": "text/csv"}).text
    assert table == "name,count\r\n/,10\r\n1,1\r\n"
    packed = client.get("/orders", headers={"Accept": "application/msgpack"}).body
    assert msgspec.msgpack.decode(packed)[1] == {"name": "1", "count": 1}


def test_an_answer_of_another_type_is_told_in_tests(client: Client) -> None:
    assert client.delete("/orders/1").status == 500


def test_models_are_in_the_document(client: Client) -> None:
    document = client.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    schemas = document["components"]["schemas"]
    assert schemas["Order"]["required"] == ["orderNumber"]
    assert schemas["Order"]["additionalProperties"] is False
    assert "title" not in schemas["Part"]["properties"]["name"]
    listing = document["paths"]["/orders"]["get"]
    assert {p["name"]: p["schema"].get("maximum") for p in listing["parameters"]} == {
        "q": None, "tags": None, "limit": 50, "page": None,
    }  # fmt: skip


def test_names_that_two_libraries_use_are_told_apart(build: Build) -> None:
    struct = msgspec.defstruct("Part", [("x", int)])
    service = Service("both", "/")

    def get() -> list[Part]:
        return []

    def post(part: struct) -> None:  # type: ignore[valid-type]
        pass

    post.__annotations__["part"] = struct
    service.add("GET", get)
    service.add("POST", post)
    document = build(service).get("/openapi.json").json()
    assert {"Part", "PartModel"} <= set(document["components"]["schemas"])
    content = document["paths"]["/"]["get"]["responses"]["200"]["content"]["application/json"]
    assert content["schema"]["items"] == {"$ref": "#/components/schemas/PartModel"}


class Struct(msgspec.Struct):
    part: Part | None = None


@pytest.mark.parametrize("kind", [list[Part | msgspec.defstruct("S", [])], Struct])
def test_types_that_dont_mix_are_refused_at_start(build: Build, kind: Any) -> None:
    service = Service("mixed", "/")

    def get() -> Any:
        return 1

    get.__annotations__["return"] = kind
    service.add("GET", get)
    with pytest.raises(ConfigurationExecutionError, match="pydantic"):
        build(service)


@attrs.define
class Point:
    x: int
    y: int = 0
    tags: list[str] = attrs.field(factory=list)


def test_attrs_classes_are_records(build: Build) -> None:
    service = Service("points", "/points")

    @service.post()
    def add(point: Point) -> Point:
        """Add."""
        return point

    @service.get()
    def find(where: Annotated[Point, Query]) -> Point:
        """Find."""
        return where

    client = build(service)
    assert client.post("/points", json={"x": 1}).json() == {"x": 1, "y": 0, "tags": []}
    assert client.get("/points?x=1&tags=a").json() == {"x": 1, "y": 0, "tags": ["a"]}
    bad = client.post("/points", json={"y": "a", "tags": [1]})
    assert errors(bad) == {"body/x": "missing", "body/y": "type", "body/tags/0": "type"}
