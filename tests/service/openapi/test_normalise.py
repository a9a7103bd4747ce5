"""Documents of other makers: what says the same in other words is no change."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from chapiteau.service.openapi.diff import compare
from chapiteau.service.openapi.formats import downgrade
from chapiteau.service.openapi.lint import lint

Document = dict[str, Any]


def document() -> Document:
    return {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {
            "/a/{id}": {
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
                ],
                "get": {
                    "operationId": "get_a",
                    "parameters": [
                        {"$ref": "#/components/parameters/Page"},
                        {"name": "X-H", "in": "header", "schema": {"type": "string"}},
                        {"name": "ids", "in": "query", "schema": {"type": "array"}},
                    ],
                    "responses": {"200": {"$ref": "#/components/responses/Pet"}},
                },
                "put": {
                    "operationId": "put_a",
                    "requestBody": {"$ref": "#/components/requestBodies/In"},
                    "responses": {"204": {"description": ""}},
                },
            }
        },
        "components": {
            "parameters": {"Page": {"name": "p", "in": "query", "schema": {"minimum": 0}}},
            "requestBodies": {"In": {"content": json_of("In")}},
            "responses": {"Pet": {"description": "", "content": json_of("Pet")}},
            "schemas": {
                "Pet": {"oneOf": [ref("Cat"), ref("Dog")]},
                "Cat": {
                    "type": "object",
                    "required": ["kind", "n"],
                    "properties": {
                        "kind": {"const": "cat"}, "n": {"type": ["integer", "null"]},
                        "x": {"type": "number", "exclusiveMinimum": 1}, "tree": ref("Tree"),
                    },
                },
                "Dog": {"type": "object", "properties": {"kind": {"const": "dog"}}},
                "Tree": {
                    "type": "object",
                    "properties": {"more": {"type": "array", "items": ref("Tree")}, "v": {}},
                },
                "In": {"allOf": [ref("Base"), {"properties": {"x": {"minLength": 2}}}]},
                "Base": {
                    "type": "object",
                    "properties": {"b": {"type": "integer"}, "x": {"minLength": 1}},
                },
            },
        },
    }  # fmt: skip


def ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def json_of(name: str) -> Document:
    return {"application/json": {"schema": ref(name)}}


def schemas(given: Document) -> Document:
    found: Document = given["components"]["schemas"]
    return found


def get(given: Document) -> Document:
    found: Document = given["paths"]["/a/{id}"]["get"]
    return found


def written_out(given: Document) -> None:
    item, components = given["paths"]["/a/{id}"], given["components"]
    shared = item.pop("parameters")
    get(given)["parameters"] = [
        *shared, components.pop("parameters")["Page"], *get(given)["parameters"][1:],
    ]  # fmt: skip
    item["put"]["parameters"] = copy.deepcopy(shared)
    item["put"]["requestBody"] = components.pop("requestBodies")["In"]
    get(given)["responses"]["200"] = components.pop("responses")["Pet"]
    schemas(given)["In"] = {
        "type": "object",
        "properties": {"b": {"type": "integer"}, "x": {"minLength": 2}},
    }


def renamed(given: Document) -> None:
    made = json.loads(json.dumps(given).replace("schemas/Cat", "schemas/Kitty"))
    made["components"]["schemas"]["Kitty"] = made["components"]["schemas"].pop("Cat")
    given.clear()
    given.update(made)


@pytest.mark.parametrize(
    "change",
    [
        written_out,
        renamed,
        lambda given: get(given)["parameters"][1].update(name="x-h"),
        lambda given: get(given)["parameters"][2].update(style="form", explode=True),
        lambda given: given["paths"].update({"/b": {"$ref": "#/x"}}),
    ],
    ids=["written out", "renamed", "case of a header", "defaults of style", "leads nowhere"],
)
def test_other_words_are_no_change(change: Any) -> None:
    new = document()
    change(new)
    assert compare(document(), new) == []
    assert compare(new, document()) == []


def test_a_check_looks_behind_references() -> None:
    told = [str(problem) for problem in lint(document())]
    assert any("GET /a/{id}: parameter 'p' has no description" in line for line in told)
    assert any("GET /a/{id}: answer 200 has no description" in line for line in told)


def test_a_document_of_3_0_says_the_same() -> None:
    assert compare(document(), downgrade(document())) == []
    assert compare(downgrade(document()), document()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda given: schemas(given)["Pet"]["oneOf"].append(ref("Tree")), "Tree is possible now"),
        (lambda given: schemas(given)["Tree"]["properties"].pop("v"), "200/tree/v: is gone"),
        (lambda given: schemas(given)["Base"].update(required=["b"]), "body/b: must be given now"),
        (lambda given: get(given)["parameters"][2].update(explode=False), "not exploded now"),
        (
            lambda given: given["components"]["parameters"]["Page"].update(required=True),
            "query p: must be given now",
        ),
        (
            lambda given: schemas(given)["Base"]["properties"]["x"].update(minLength=3),
            "body/x: minLength 2 becomes 3",
        ),
    ],
)
def test_what_stands_behind_references_breaks(change: Any, words: str) -> None:
    new = document()
    change(new)
    (found,) = compare(document(), new)
    assert found.breaking
    assert words in str(found)
