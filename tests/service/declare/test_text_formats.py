"""Moments, durations and exact numbers: the document says of their texts what is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from chapiteau.service import Service
from chapiteau.service.declare.text_formats import contains_decimal, non_finite_decimals
from chapiteau.service.openapi.schemas import Schemas
from chapiteau.service.testing import Client

MOMENT = {"type": "string", "format": "date-time"}


class Cat(msgspec.Struct, tag="cat"):
    born: datetime


class Dog(msgspec.Struct, tag="dog"):
    bought: datetime | None = None


@dataclass
class Price:
    amount: Decimal


class Form(msgspec.Struct):
    at: datetime | None = None
    weight: float = 1.0
    cost: Decimal = Decimal(0)
    span: timedelta | None = None


class Shop(msgspec.Struct):
    opens: list[time]
    pets: dict[str, Cat | Dog]
    price: Price
    local: Annotated[datetime, Meta(tz=False)]
    below: list[Shop] = []
    pair: tuple[str, datetime] | None = None


def schemas(kind: Any, *, sent: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    key = ("s", "/s", 1, "body" if sent else "answer")
    made = Schemas([(key, kind, "validation" if sent else "serialization")])
    return made[key], made.components


def test_formats_stand_wherever_a_moment_is() -> None:
    _, found = schemas(Shop)
    assert found["Cat"]["properties"]["born"] == MOMENT
    assert found["Dog"]["properties"]["bought"]["anyOf"] == [MOMENT, {"type": "null"}]
    shop = found["Shop"]["properties"]
    assert shop["opens"]["items"] == {"type": "string", "format": "time"}
    assert shop["local"] == {"type": "string"}  # RFC 3339 knows none without a zone
    assert shop["pair"]["anyOf"][0]["prefixItems"] == [{"type": "string"}, MOMENT]


def test_what_is_sent_may_be_a_number_and_what_comes_back_is_a_text() -> None:
    for sent, kinds in ((True, ["string", "number"]), (False, "string")):
        _, found = schemas(Price, sent=sent)
        amount = found["Price"]["properties"]["amount"]
        assert (amount["type"], amount["format"]) == (kinds, "decimal")


def pattern(kind: Any) -> re.Pattern[str]:
    return re.compile(schemas(kind)[0]["pattern"])


@given(st.from_regex(pattern(timedelta), fullmatch=True))
def test_every_duration_that_the_document_allows_is_read(text: str) -> None:
    assert isinstance(msgspec.convert(text, timedelta), timedelta)


@given(st.timedeltas(timedelta(days=-99999), timedelta(days=99999)))
def test_every_duration_that_is_answered_is_allowed_by_the_document(given: timedelta) -> None:
    text = msgspec.to_builtins(given)
    assert pattern(timedelta).fullmatch(text)


@given(st.from_regex(pattern(bytes), fullmatch=True))
def test_every_base64_that_the_document_allows_is_read(text: str) -> None:
    assert isinstance(msgspec.convert(text, bytes), bytes)


@given(st.from_regex(pattern(Decimal), fullmatch=True))
def test_every_exact_number_that_the_document_allows_is_read(text: str) -> None:
    assert msgspec.convert(text, Decimal).is_finite()


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_every_exact_number_that_is_answered_is_allowed_by_the_document(given: Decimal) -> None:
    assert pattern(Decimal).fullmatch(str(given))


def test_decimals_are_found_also_in_types_that_hold_themselves() -> None:
    assert contains_decimal(Shop)
    assert not contains_decimal(list[Cat | Dog])
    assert non_finite_decimals([Price(Decimal(1))]) == []
    odd = non_finite_decimals({"a": [Price(Decimal(1)), Price(Decimal("sNaN"))]})
    assert [one.pointer for one in odd] == ["/a/1/amount"]


def site() -> Client:
    from pyramid.config import Configurator

    service = Service("one", "/one")

    @service.get()
    def read(
        since: datetime | None = None, span: timedelta | None = None, cost: Decimal = Decimal(0)
    ) -> list[str]:
        return [str(since), str(span), str(cost)]

    @service.post()
    def write(price: Price) -> Price:
        return price

    @service.put(consumes=["application/x-www-form-urlencoded", "multipart/form-data"])
    def fill(form: Form) -> None:
        pass

    config = Configurator()
    config.include("chapiteau.service")
    config.add_service(service)
    return Client(config.make_wsgi_app())


@pytest.mark.parametrize(
    ("query", "name"),
    [("since=1", "since"), ("since=1.5e3", "since"), ("span=60", "span"), ("cost=NaN", "cost"),
     ("cost=-sNaN", "cost"), ("cost=Infinity", "cost")],
)  # fmt: skip
def test_a_parameter_that_the_document_does_not_allow_is_refused(query: str, name: str) -> None:
    answer = site().get(f"/one?{query}")
    assert answer.status == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [f"/{name}"]


@pytest.mark.parametrize("field", ["at=0.5", "weight=nan", "cost=-Infinity", "span=3"])
@pytest.mark.parametrize("media", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_forms_are_read_as_strictly(field: str, media: str) -> None:
    client, (name, value) = site(), field.split("=")
    if media.startswith("multipart"):
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        body, media = f"{head}{value}\r\n--b--\r\n".encode(), f"{media}; boundary=b"
    else:
        body = field.encode()
    answer = client.put("/one", body=body, headers={"Content-Type": media})
    assert answer.status == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [f"/{name}"]


def test_good_texts_are_read() -> None:
    found = site().get("/one?since=2026-01-02T03:04:05Z&span=PT90S&cost=1.50").json()
    assert found == [str(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)), "0:01:30", "1.50"]


def test_no_body_brings_a_number_that_is_none() -> None:
    client = site()
    assert client.post("/one", body=b'{"amount": 1.50}').json() == {"amount": "1.50"}
    for text in ("NaN", "sNaN", "-Infinity"):
        answer = client.post("/one", json={"amount": text})
        assert answer.status == 422
        assert [one["pointer"] for one in answer.json()["errors"]] == ["/amount"]
