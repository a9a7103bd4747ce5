"""Falcon with msgspec for bodies; parameters through its own getters."""

from datetime import datetime
from typing import Annotated

import falcon
import msgspec
from contract import ITEM
from msgspec import Meta


class Address(msgspec.Struct):
    street: str
    city: str
    zip: str


class Item(msgspec.Struct):
    id: int
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    price: Annotated[float, Meta(ge=0)]
    active: bool
    tags: list[str]
    owner: str
    email: str
    created: datetime
    count: Annotated[int, Meta(ge=0)]
    rating: float
    address: Address
    note: str


HUNDRED = [msgspec.convert(ITEM, Item)] * 100
decode = msgspec.json.Decoder(Item).decode
encode = msgspec.json.Encoder().encode


class Ping:
    def on_get(self, req, resp):
        resp.data = encode({"pong": True})
        resp.content_type = "application/json"


class One:
    def on_get(self, req, resp, item_id):
        limit = req.get_param_as_int("limit", default=10)
        flag = req.get_param_as_bool("flag", default=False)
        resp.data = encode({"id": item_id, "limit": limit, "flag": flag})
        resp.content_type = "application/json"


class Items:
    def on_get(self, req, resp):
        resp.data = encode(HUNDRED)
        resp.content_type = "application/json"

    def on_post(self, req, resp):
        try:
            item = decode(req.bounded_stream.read())
        except msgspec.ValidationError as exc:
            raise falcon.HTTPUnprocessableEntity(description=str(exc)) from None
        resp.status = falcon.HTTP_201
        resp.data = encode(item)
        resp.content_type = "application/json"


def make():
    app = falcon.App()
    app.add_route("/ping", Ping())
    app.add_route("/items", Items())
    app.add_route("/items/{item_id:int}", One())
    return app
