"""Chapiteau as it comes: everything that a default application has is switched on."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from pyramid.config import Configurator

from chapiteau.service import Service


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


ONE = msgspec.convert(__import__("contract").ITEM, Item)
HUNDRED = [ONE] * 100

ping = Service("ping", "/ping")
items = Service("items", "/items")
item = Service("item", "/items/{item_id}")


@ping.get()
def get_ping() -> dict[str, bool]:
    """Pong."""
    return {"pong": True}


@item.get()
def get_item(item_id: int, limit: int = 10, flag: bool = False) -> dict[str, Any]:
    """Echo."""
    return {"id": item_id, "limit": limit, "flag": flag}


@items.post(status=201)
def post_item(new: Item) -> Item:
    """Echo."""
    return new


@items.get()
def list_items() -> list[Item]:
    """A hundred."""
    return HUNDRED


def make(**settings: Any) -> Any:
    config = Configurator(settings=settings)
    config.include("chapiteau.service")
    for service in (ping, items, item):
        config.add_service(service)
    return config.make_wsgi_app()


def make_normal() -> Any:
    return make(**{"chapiteau.fast_path": "false"})
