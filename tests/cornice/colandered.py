"""An application of Cornice services with colander, and its document in OpenAPI 3.1.

colander takes an empty value of any kind for a missing one, and anything for true: no schema says
that, nor that it reads `false` as 0. So nothing here may be missing, numbers begin at 2, and the
words for true and false are given.
"""

from typing import Any

import colander
from pyramid.config import Configurator

from chapiteau.cornice import Service
from chapiteau.cornice.validators import (
    colander_body_validator,
    colander_path_validator,
    colander_querystring_validator,
    colander_validator,
)

__all__ = ["make"]


class Tags(colander.SequenceSchema):
    tag = colander.SchemaNode(colander.String(), validator=colander.Length(1, 9))


class Item(colander.MappingSchema):
    """Something to sell."""

    def schema_type(self) -> Any:
        return colander.Mapping(unknown="raise")

    name = colander.SchemaNode(colander.String(), validator=colander.Length(1, 20))
    price = colander.SchemaNode(colander.Float(), validator=colander.Range(2, 1000))
    count = colander.SchemaNode(colander.Integer(), validator=colander.Range(2, 99))
    kind = colander.SchemaNode(colander.String(), validator=colander.OneOf(["new", "old"]))
    sold = colander.SchemaNode(colander.Boolean(true_choices=("true",), false_choices=("false",)))
    tags = Tags()


class Filters(colander.MappingSchema):
    limit = colander.SchemaNode(colander.Integer(), validator=colander.Range(1, 50))
    kind = colander.SchemaNode(colander.String(), validator=colander.OneOf(["new", "old"]))


class Number(colander.MappingSchema):
    number = colander.SchemaNode(colander.Integer(), validator=colander.Range(1, 1000))


class Change(colander.MappingSchema):
    path = Number()
    body = Item()


class Answer(colander.MappingSchema):
    body = Item()


GOOD = {"200": Answer(description="An item.")}
items = Service("items", "/items", description="Items.")
one = Service("item", "/items/{number}", description="One item.")
ITEM = {"name": "table", "price": 2.5, "count": 2, "kind": "new", "sold": False, "tags": []}


@items.get(schema=Filters(), validators=(colander_querystring_validator,))
def list_items(request: Any) -> list[Any]:
    """List items."""
    return [ITEM] * request.validated["limit"]


@items.post(
    schema=Item(), validators=(colander_body_validator,), response_schemas=GOOD,
    content_type="application/json",
)  # fmt: skip
def add_item(request: Any) -> Any:
    """Add an item."""
    return request.validated


@one.get(schema=Number(), validators=(colander_path_validator,), response_schemas=GOOD)
def get_item(request: Any) -> Any:
    """One item."""
    return ITEM


@one.put(
    schema=Change(), validators=(colander_validator,), response_schemas=GOOD,
    content_type="application/json",
)  # fmt: skip
def change_item(request: Any) -> Any:
    """Change an item."""
    return request.validated["body"]


def make() -> Any:
    """The application."""
    config = Configurator()
    config.include("chapiteau.cornice")
    config.include("chapiteau.cornice.swagger")
    config.cornice_enable_openapi_view(
        api_path="/openapi.json", title="Items", version="1", base_path="/", openapi="3.1"
    )
    for service in (items, one):
        config.add_cornice_service(service)
    return config.make_wsgi_app()
