"""What is made satisfies its schema, as another implementation of JSON Schema judges it."""

import json
import random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chapiteau.load.inputs.schema_references import References
from chapiteau.load.inputs.schema_sampler import Sampler
from chapiteau.load.inputs.schema_validation import SchemaValidator

CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER


def made(schema: Any, seed: int = 0, name: str = "") -> Any:
    return Sampler(References(schema)).value(schema, "#", random.Random(seed), name)


def validator(schema: Any) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema, format_checker=CHECKER)


SCHEMAS: dict[str, Any] = {
    "a tree": {
        "$defs": {
            "T": {
                "type": "object",
                "required": ["v", "kids"],
                "properties": {
                    "v": {"type": "integer"},
                    "kids": {"type": "array", "items": {"$ref": "#/$defs/T"}},
                },
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/T",
    },
    "an expression that must end": {
        "$defs": {
            "E": {"oneOf": [{"$ref": "#/$defs/Add"}, {"$ref": "#/$defs/Lit"}]},
            "Add": {
                "type": "object",
                "required": ["l", "r"],
                "properties": {"l": {"$ref": "#/$defs/E"}, "r": {"$ref": "#/$defs/E"}},
            },
            "Lit": {"type": "number", "multipleOf": 0.1, "minimum": 0, "exclusiveMaximum": 5},
        },
        "$ref": "#/$defs/E",
    },
    "a base and its extension": {
        "allOf": [
            {"properties": {"a": {"type": "string", "minLength": 3}}, "required": ["a"]},
            {"properties": {"a": {"maxLength": 4}, "b": {"type": "integer"}}, "required": ["b"]},
        ],
        "type": "object",
    },
    "if and then": {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": ["x", "y"]}},
        "if": {"properties": {"kind": {"const": "x"}}},
        "then": {"required": ["z"], "properties": {"z": {"type": "integer"}}},
        "else": {"required": ["w"], "properties": {"w": {"type": "boolean"}}},
    },
    "a map": {
        "type": "object",
        "additionalProperties": {"type": "integer", "minimum": 5, "maximum": 7},
        "minProperties": 2,
        "maxProperties": 4,
    },
    "a set": {
        "type": "array",
        "uniqueItems": True,
        "minItems": 3,
        "items": {"type": "integer", "minimum": 1, "maximum": 4},
    },
    "any but one": {
        "anyOf": [
            {"type": "string", "pattern": "^a+$", "minLength": 5},
            {"type": "integer", "exclusiveMinimum": 10},
        ],
        "not": {"const": 11},
    },
    "names by pattern": {
        "type": "object",
        "patternProperties": {"^x-[a-z]+$": {"type": "boolean"}},
        "additionalProperties": False,
        "minProperties": 1,
    },
    "a tuple": {
        "type": "array",
        "prefixItems": [{"type": "number", "minimum": -90, "maximum": 90}, {"const": "N"}],
        "items": False,
        "minItems": 2,
    },
    "contains": {
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": 3},
        "contains": {"const": 2},
        "minContains": 2,
    },
    "required together": {
        "type": "object",
        "properties": {"card": {"type": "string"}, "address": {"type": "string"}},
        "dependentRequired": {"card": ["address"]},
    },
    "names of their own kind": {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z]{2}$"},
        "additionalProperties": {"type": "integer"},
        "minProperties": 2,
    },
    "no name at all": {"type": "object", "propertyNames": False},
    "what must not be there": {
        "type": "object",
        "properties": {"never": False, "only": {"type": "integer"}},
        "patternProperties": {"^y": False},
        "additionalProperties": {"allOf": [False]},
    },
    "a discriminator without a mapping, and constants that say otherwise": {
        "$defs": {
            "Cat": {
                "type": "object",
                "required": ["kind"],
                "properties": {"kind": {"const": "cat"}},
            },
            "Dog": {
                "type": "object",
                "required": ["kind"],
                "properties": {"kind": {"const": "dog"}},
            },
        },
        "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
        "discriminator": {"propertyName": "kind"},
    },
    "bounds below zero": {"type": "integer", "maximum": -10},
    "thirds": {"type": "integer", "multipleOf": 3, "minimum": 1, "maximum": 20},
    "a value of no said type": {"minLength": 5, "maxLength": 6},
    "nothing said at all": {},
    "constant null": {"const": None},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_made_satisfies_the_schema(name: str) -> None:
    schema = SCHEMAS[name]
    judge = validator(schema)
    for seed in range(100):
        value = made(schema, seed)
        assert judge.is_valid(value), value
        assert SchemaValidator(References(schema)).is_valid(value, schema)


def test_nullable_means_something_in_openapi_3_0_only() -> None:
    schema = {"type": "string", "nullable": True}
    for version, hears in (("3.0.3", True), ("3.1.0", False), ("3.2.0", False)):
        references = References({"openapi": version})
        values = {
            Sampler(references).value(schema, "#/x", random.Random(seed)) for seed in range(100)
        }
        assert (None in values) is hears
        assert SchemaValidator(references).is_valid(None, schema) is hears


FORMATS = [
    "date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6",
    "uuid", "regex", "json-pointer",
]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_kept(name: str) -> None:
    schema = {"type": "string", "format": name}
    for seed in range(50):
        validator(schema).validate(made(schema, seed))


def test_equal_seeds_make_equal_values() -> None:
    schema = SCHEMAS["a tree"]
    assert made(schema, 7) == made(schema, 7)
    assert len({json.dumps(made(schema, seed)) for seed in range(20)}) > 5


def test_names_give_realistic_text_and_numbers() -> None:
    assert made({"type": "string"}, name="billingEmail").endswith("@example.com")
    assert made({"type": "string"}, name="contact_phone").startswith("+1202555")
    assert -90 <= made({"type": "number"}, name="lat") <= 90
    assert 1 <= made({"type": "integer"}, name="page") <= 5


def test_examples_are_taken_and_wrong_ones_are_not() -> None:
    schema = {"type": "string", "examples": ["Lisbon", "Oslo"]}
    assert {made(schema, seed) for seed in range(50)} == {"Lisbon", "Oslo"}
    wrong = {"type": "integer", "example": "seven", "minimum": 1, "maximum": 3}
    assert {made(wrong, seed) for seed in range(50)} == {1, 2, 3}


def test_defaults_are_taken_now_and_then() -> None:
    schema = {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    values = [made(schema, seed) for seed in range(100)]
    assert 20 < values.count(20) < 80


def test_what_is_read_only_is_never_made_not_even_from_an_example() -> None:
    schema = {
        "type": "object",
        "required": ["id", "name"],
        "properties": {"id": {"type": "integer", "readOnly": True}, "name": {"type": "string"}},
        "example": {"id": 1, "name": "Tent"},
    }
    for seed in range(20):
        assert set(made(schema, seed)) == {"name"}


def test_nullable_of_3_0_is_null_now_and_then() -> None:
    schema = {"type": "string", "nullable": True}
    values = [made(schema, seed) for seed in range(200)]
    assert 5 < values.count(None) < 60


def test_exclusive_flags_of_3_0_are_kept() -> None:
    schema = {"type": "integer", "minimum": 1, "exclusiveMinimum": True, "maximum": 3}
    assert {made(schema, seed) for seed in range(50)} == {2, 3}


def test_a_discriminator_says_which_branch_was_taken() -> None:
    document = {
        "oneOf": [{"$ref": "#/s/Cat"}, {"$ref": "#/s/Dog"}],
        "discriminator": {"propertyName": "pet", "mapping": {"hund": "#/s/Dog"}},
        "s": {
            "Cat": {
                "type": "object",
                "required": ["pet", "lives"],
                "properties": {"pet": {"type": "string"}, "lives": {"type": "integer"}},
            },
            "Dog": {
                "type": "object",
                "required": ["pet", "bark"],
                "properties": {"pet": {"type": "string"}, "bark": {"type": "boolean"}},
            },
        },
    }
    values = [made(document, seed) for seed in range(40)]
    assert {(v["pet"], "bark" in v) for v in values} == {("Cat", False), ("hund", True)}


def test_a_schema_without_end_still_gives_a_value() -> None:
    endless = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#"}}}
    assert isinstance(made(endless), dict)
    loop = {"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"}
    made(loop)


def test_what_is_missing_or_foreign_is_told_with_its_pointer() -> None:
    schema = {
        "type": "object",
        "required": ["a", "b", "c"],
        "properties": {
            "a": {"$ref": "#/$defs/Lost"},
            "b": {"$ref": "other.yaml#/X"},
            "c": {"type": "string", "pattern": "("},
        },
    }
    references = References(schema)
    Sampler(references).value(schema, "#", random.Random(0))
    assert {problem.where for problem in references.problems} == {
        "#/properties/a/$ref",
        "#/properties/b/$ref",
        "#/properties/c/pattern",
    }


def plain_schemas() -> st.SearchStrategy[Any]:
    number = st.integers(-50, 50)
    leaves = st.one_of(
        st.just({"type": "boolean"}),
        st.just({"type": ["string", "null"]}),
        number.map(lambda n: {"type": "integer", "minimum": n, "maximum": n + 9}),
        number.map(lambda n: {"type": "number", "exclusiveMinimum": n}),
        st.integers(0, 9).map(lambda n: {"type": "string", "minLength": n, "maxLength": n + 3}),
        st.lists(st.one_of(number, st.text(max_size=3), st.none()), min_size=1, max_size=4).map(
            lambda values: {"enum": values}
        ),
        st.sampled_from(["uuid", "date", "email"]).map(lambda f: {"type": "string", "format": f}),
    )

    def grow(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        fields = st.dictionaries(st.sampled_from("abcde"), inner, max_size=4)
        objects = fields.flatmap(
            lambda f: st.lists(st.sampled_from(sorted(f) or ["z"]), unique=True).map(
                lambda r: {"type": "object", "properties": f, "required": r}
            )
        )
        arrays = st.tuples(inner, st.integers(0, 3)).map(
            lambda pair: {"type": "array", "items": pair[0], "minItems": pair[1]}
        )
        return st.one_of(
            objects,
            arrays,
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
            inner.map(lambda part: {"allOf": [part, part]}),
        )

    return st.recursive(leaves, grow, max_leaves=8)


@settings(deadline=None)
@given(plain_schemas(), st.integers(0, 1000))
def test_any_plain_schema_is_satisfied(schema: Any, seed: int) -> None:
    value = made(schema, seed)
    assert jsonschema.Draft202012Validator(schema).is_valid(value), value


WORDS = (
    "type properties items $ref allOf oneOf enum required minimum maximum minItems maxLength "
    "pattern format multipleOf if not additionalProperties discriminator prefixItems example "
    "contains patternProperties dependentRequired minProperties nullable"
).split()
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(WORDS),
            st.one_of(inner, st.sampled_from(["object", "array", "string", "integer", "#", "#/x"])),
            max_size=5,
        ),
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(json_values, st.integers(0, 9))
def test_anything_at_all_as_a_schema_never_crashes(schema: Any, seed: int) -> None:
    root = schema if isinstance(schema, dict) else {}
    references = References(root)
    Sampler(references).value(schema, "#", random.Random(seed))
