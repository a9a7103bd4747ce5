"""The quick reader of marshmallow schemas gives what `Schema.load` gives, or says nothing."""

from typing import Any

import marshmallow as ma
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.cornice.validators._marshmallow import load
from chapiteau.cornice.validators._quick_load import UNSURE, quick_reader

# marshmallow 3.26 warns of what marshmallow 3 itself does with nested schemas.
pytestmark = pytest.mark.filterwarnings("ignore:The `context` parameter is deprecated")


class Address(ma.Schema):
    street = ma.fields.String(required=True)
    number = ma.fields.Integer(load_default=1)


class Item(ma.Schema):
    name = ma.fields.String(required=True, validate=ma.validate.Length(1, 3))
    count = ma.fields.Integer(validate=ma.validate.Range(min=0), data_key="Count")
    price = ma.fields.Float(load_default=None, allow_none=True)
    on = ma.fields.Boolean()
    tags = ma.fields.List(ma.fields.String(validate=ma.validate.OneOf(["a", "b"])))
    address = ma.fields.Nested(Address)
    seen = ma.fields.String(dump_only=True)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["a", "b", "abcd", "", "1", "true"]),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(st.sampled_from(["street", "number", "x"]), SCALARS),
)
KEYS = st.sampled_from(["name", "Count", "count", "price", "on", "tags", "address", "seen", "x"])
BODIES = st.one_of(SCALARS, st.dictionaries(KEYS, VALUES))


@given(BODIES)
def test_it_gives_what_marshmallow_gives_or_is_unsure(body: Any) -> None:
    read = quick_reader(Item())
    assert read is not None
    found = read(body)
    if found is not UNSURE:
        slow = Item().load(body)
        assert found == slow
        assert list(found) == list(slow)
        assert [type(v) for v in found.values()] == [type(v) for v in slow.values()]


def test_a_good_body_needs_no_marshmallow() -> None:
    body = {"name": "a", "Count": 1, "price": 2, "tags": ["a"], "address": {"street": "s"}}
    read = quick_reader(Item())
    assert read is not None
    assert read(body) == Item().load(body)


class Hooked(ma.Schema):
    @ma.post_load
    def after(self, data: Any, **kwargs: Any) -> Any:
        return data


class Overrides(ma.Schema):
    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        return None


class OwnField(ma.fields.String):
    pass


@pytest.mark.parametrize(
    "schema",
    [
        Hooked(),
        Overrides(),
        ma.Schema.from_dict({"a": OwnField()})(),
        ma.Schema.from_dict({"a": ma.fields.String(attribute="b.c")})(),
        ma.Schema.from_dict({"a": ma.fields.String(load_default=list)})(),
        ma.Schema.from_dict({"a": ma.fields.String(validate=lambda value: value)})(),
        ma.Schema.from_dict({"a": ma.fields.Nested(Hooked)})(),
        Item(partial=True),
        Item(unknown=ma.EXCLUDE),
    ],
    ids="hook method field attribute factory validator nested partial unknown".split(),
)
def test_a_schema_that_is_not_plain_is_left_to_marshmallow(schema: ma.Schema) -> None:
    assert quick_reader(schema) is None


class Hooked(Item):
    """Hooks of every kind: marshmallow runs them, whoever reads the fields."""

    @ma.pre_load
    def trim(self, data: Any, **_said: Any) -> Any:
        return {**data, "seen_by": None} if data == {"name": "ab"} else data

    @ma.validates("name")
    def known(self, value: str, **_said: Any) -> None:
        if value == "b":
            raise ma.ValidationError("not b")

    @ma.validates_schema
    def whole(self, data: Any, **_said: Any) -> None:
        if data.get("Count", data.get("count")) == 1:
            raise ma.ValidationError("not one")

    @ma.post_load
    def made(self, data: Any, **_said: Any) -> Any:
        return {"made": data}


@given(BODIES)
def test_with_hooks_it_gives_what_marshmallow_gives(body: Any) -> None:
    def told(read: Any) -> Any:
        try:
            return read()
        except (ma.ValidationError, TypeError) as exc:  # TypeError: from the hook itself
            return getattr(exc, "messages", str(exc))

    assert told(lambda: load(Hooked, None, None, body)) == told(lambda: Hooked().load(body))
