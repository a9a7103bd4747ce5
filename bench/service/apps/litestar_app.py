"""Litestar with async handlers and msgspec structs."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from contract import ITEM
from litestar import Litestar, get, post
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


@get("/ping")
async def ping() -> dict[str, bool]:
    return {"pong": True}


@get("/items/{item_id:int}")
async def one(item_id: int, limit: int = 10, flag: bool = False) -> dict[str, Any]:
    return {"id": item_id, "limit": limit, "flag": flag}


@post("/items")
async def make_one(data: Item) -> Item:
    return data


@get("/items")
async def listing() -> list[Item]:
    return HUNDRED


def make():
    return Litestar([ping, one, make_one, listing], logging_config=None)
