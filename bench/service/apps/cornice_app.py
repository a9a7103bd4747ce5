"""Cornice 6.1 with colander schemas."""

import colander
from contract import ITEM
from cornice.validators import colander_body_validator, colander_querystring_validator
from pyramid.config import Configurator

from cornice import Service

ping = Service(name="ping", path="/ping")
items = Service(name="items", path="/items")
item = Service(name="item", path="/items/{item_id}")


class Address(colander.MappingSchema):
    street = colander.SchemaNode(colander.String())
    city = colander.SchemaNode(colander.String())
    zip = colander.SchemaNode(colander.String())


class Tags(colander.SequenceSchema):
    tag = colander.SchemaNode(colander.String())


class ItemSchema(colander.MappingSchema):
    id = colander.SchemaNode(colander.Integer())
    name = colander.SchemaNode(colander.String(), validator=colander.Length(1, 100))
    price = colander.SchemaNode(colander.Float(), validator=colander.Range(min=0))
    active = colander.SchemaNode(colander.Boolean())
    tags = Tags()
    owner = colander.SchemaNode(colander.String())
    email = colander.SchemaNode(colander.String())
    created = colander.SchemaNode(colander.String())
    count = colander.SchemaNode(colander.Integer(), validator=colander.Range(min=0))
    rating = colander.SchemaNode(colander.Float())
    address = Address()
    note = colander.SchemaNode(colander.String())


class ItemQuery(colander.MappingSchema):
    limit = colander.SchemaNode(colander.Integer(), missing=10)
    flag = colander.SchemaNode(colander.Boolean(), missing=False)


@ping.get()
def get_ping(request):
    return {"pong": True}


@item.get(schema=ItemQuery(), validators=(colander_querystring_validator,))
def get_item(request):
    return {"id": int(request.matchdict["item_id"]), **request.validated}


@items.post(schema=ItemSchema(), validators=(colander_body_validator,))
def post_item(request):
    request.response.status = 201
    return request.validated


@items.get()
def list_items(request):
    return [ITEM] * 100


def make():
    config = Configurator()
    config.include("cornice")
    for service in (ping, items, item):
        config.add_cornice_service(service)
    return config.make_wsgi_app()
