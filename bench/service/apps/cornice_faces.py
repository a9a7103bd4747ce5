"""The same application for Cornice and for its drop-in: `make("cornice")`."""

import importlib
import warnings

import colander
import marshmallow as ma
from pyramid.config import Configurator

warnings.filterwarnings("ignore")


class Address(colander.MappingSchema):
    street = colander.SchemaNode(colander.String())
    city = colander.SchemaNode(colander.String())
    zip = colander.SchemaNode(colander.String())


class Tags(colander.SequenceSchema):
    tag = colander.SchemaNode(colander.String())


class Item(colander.MappingSchema):
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


class MaAddress(ma.Schema):
    street = ma.fields.String(required=True)
    city = ma.fields.String(required=True)
    zip = ma.fields.String(required=True)


class MaItem(ma.Schema):
    id = ma.fields.Integer(required=True)
    name = ma.fields.String(required=True, validate=ma.validate.Length(1, 100))
    price = ma.fields.Float(required=True, validate=ma.validate.Range(min=0))
    active = ma.fields.Boolean(required=True)
    tags = ma.fields.List(ma.fields.String(), required=True)
    owner = ma.fields.String(required=True)
    email = ma.fields.String(required=True)
    created = ma.fields.String(required=True)
    count = ma.fields.Integer(required=True, validate=ma.validate.Range(min=0))
    rating = ma.fields.Float(required=True)
    address = ma.fields.Nested(MaAddress, required=True)
    note = ma.fields.String(required=True)


class MaHooked(MaItem):
    """The same with hooks, as applications have them."""

    @ma.pre_load
    def trim(self, data, **kwargs):
        return {**data, "note": data["note"].strip()}

    @ma.validates("owner")
    def known(self, value, **kwargs):
        if value == "nobody":
            raise ma.ValidationError("unknown owner")

    @ma.validates_schema
    def whole(self, data, **kwargs):
        if data["count"] > 1000 and data["price"] > 1000:
            raise ma.ValidationError("too much")

    @ma.post_load
    def made(self, data, **kwargs):
        return data


def make(package):
    service = importlib.import_module(f"{package}.service").Service
    validators = importlib.import_module(f"{package}.validators")
    ping = service("ping", "/ping")
    ping.add_view("GET", lambda request: {"pong": True})
    made = [ping]
    schemas = (("colander", Item()), ("marshmallow", MaItem), ("hooks", MaHooked))
    for name, schema in schemas:
        one = service(name, f"/{name}")
        validator = getattr(
            validators, f"{'colander' if name == 'colander' else 'marshmallow'}_body_validator"
        )
        one.add_view("POST", lambda r: r.validated, schema=schema, validators=(validator,))
        made.append(one)
    config = Configurator()
    config.include(package)
    for one in made:
        config.add_cornice_service(one)
    return config.make_wsgi_app()
