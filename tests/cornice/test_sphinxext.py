"""The directive of cornice.ext.sphinx: what a document says about services."""

import colander
import marshmallow as ma
import pytest
from docutils.core import publish_string
from docutils.parsers.rst import directives

from chapiteau.cornice import Service
from chapiteau.cornice.ext.sphinxext import ServiceDirective, setup
from chapiteau.cornice.resource import add_resource
from chapiteau.cornice.validators import colander_body_validator, marshmallow_querystring_validator


class Order(colander.MappingSchema):
    amount = colander.SchemaNode(colander.Integer(), description="How many.")
    note = colander.SchemaNode(colander.String(), missing="")


class Query(ma.Schema):
    q = ma.fields.String(required=True)


def known(request, **kwargs):
    """Only known customers.

    More words.
    """


class Thing:
    """A resource."""

    def __init__(self, request, context=None):
        pass

    def get(self):
        """One *thing*."""


@pytest.fixture(scope="module", autouse=True)
def _directive():
    setup(type("App", (), {"add_directive": staticmethod(directives.register_directive)}))
    yield
    for name in ("cornice-autodoc", "services"):
        directives._directives.pop(name)


@pytest.fixture(scope="module")
def told():
    orders = Service("docorders", "/orders", description="Orders and **more**.")

    @orders.post(
        schema=Order(),
        validators=(colander_body_validator, known),
        content_type="application/json",
        accept=("application/json", "text/plain"),
    )
    def order(request):
        """Order something.

        TODO: nothing.

        - in any *amount*
        """

    @orders.get(schema=Query, validators=(marshmallow_querystring_validator,))
    def find(request):
        """Find orders."""

    add_resource(Thing, name="docthing", path="/things/{id}")
    return _published(":services: docorders, docthing", ":docstring-replace: TODO: nothing.|Done.")


def _published(*options):
    text = "\n   ".join([".. cornice-autodoc::", *options])
    settings = {"output_encoding": "unicode", "halt_level": 2, "report_level": 2}
    return publish_string(text, writer="pseudoxml", settings_overrides=settings)


def test_services_methods_and_docstrings(told):
    assert told.index("docorders service at /orders") < told.index(
        "docthing service at /things/{id}"
    )
    assert "<strong>" in told  # markup of a description
    assert "One \n" in told or "<emphasis>" in told
    assert "Done." in told
    assert "TODO" not in told


def test_parameters_of_colander_and_marshmallow(told):
    assert "Parameters: body" in told
    assert "amount (integer, required) – How many." in told
    assert "note (string, optional)" in told
    assert "Parameters: querystring" in told
    assert "q (string, required)" in told


def test_validators_and_media_types(told):
    assert "known: Only known customers." in told
    assert "Takes: application/json" in told
    assert "Answers with: application/json, text/plain" in told


@pytest.mark.usefixtures("told")
def test_modules_are_imported_and_names_left_out():
    assert "docorders" not in _published(":app: tests.cornice.cases", ":ignore: docorders")
    assert "docthing service" in _published(":modules: chapiteau.cornice", ":service: docthing")
    assert ServiceDirective.has_content
