"""Documents in several files are one to whoever reads them."""

from __future__ import annotations

import json
import random
from typing import Any

from chapiteau.load.inputs.openapi import read_openapi
from chapiteau.load.inputs.openapi.reader import bundle_document
from chapiteau.load.scenario.flow import FlowState

ROOT = """
openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /things:
    $ref: "paths/things.yaml"
  /broken:
    get:
      parameters: [{$ref: "gone.yaml#/x"}]
components:
  schemas:
    Colour: {type: string, enum: [red]}
"""
THINGS = """
post:
  requestBody:
    content:
      application/json:
        schema: {$ref: "../schemas.json#/Thing"}
"""
SCHEMAS = {
    "Thing": {
        "type": "object",
        "required": ["name", "size", "colour"],
        "properties": {
            "name": {"type": "string", "enum": ["tent"]},
            "size": {"$ref": "#/Size"},
            "colour": {"$ref": "api.yaml#/components/schemas/Colour"},
            "parts": {"type": "array", "maxItems": 1, "items": {"$ref": "schemas.json#/Thing"}},
        },
    },
    "Size": {"type": "integer", "minimum": 3, "maximum": 3},
}


def read(path: str) -> str:
    files = {"paths/things.yaml": THINGS, "schemas.json": json.dumps(SCHEMAS), "api.yaml": ROOT}
    if path not in files:
        raise FileNotFoundError(2, "No such file or directory")
    return files[path]


def test_what_stands_in_other_files_is_followed() -> None:
    text, problems = bundle_document(ROOT, read)
    api = read_openapi(text)
    flow = api.flow
    bodies: list[Any] = []
    for seed in range(200):
        request = flow.next(random.Random(seed), FlowState())
        if request is not None and request.body:
            bodies.append(json.loads(request.body))

    assert bodies
    for body in bodies:
        assert (body["name"], body["size"], body["colour"]) == ("tent", 3, "red")
    assert [str(p.where) for p in problems] == ["gone.yaml"]
    assert not any("another document" in p.what for p in api.problems)


def test_a_file_that_is_missing_is_told_of_once_and_who_wants_it() -> None:
    text, problems = bundle_document(ROOT, read)
    (gone,) = problems
    assert (gone.what, gone.hint) == ("No such file or directory", "the document refers to it")
    assert [p.what for p in read_openapi(text).problems if "exist" in p.what] == []


def test_a_discriminator_finds_its_schemas_in_other_files() -> None:
    pets = {
        kind: {"type": "object", "required": [kind], "properties": {kind: {"type": "boolean"}}}
        for kind in ("Cat", "Dog")
    }
    schema = {
        "oneOf": [{"$ref": f"pets.json#/{kind}"} for kind in pets],
        "discriminator": {
            "propertyName": "kind",
            "mapping": {"a cat": "pets.json#/Cat", "a dog": "pets.json#/Dog"},
        },
    }
    body = {"content": {"application/json": {"schema": schema}}}
    root = {"openapi": "3.1.0", "paths": {"/pets": {"post": {"requestBody": body}}}}
    text, problems = bundle_document(json.dumps(root), lambda _path: json.dumps(pets))
    assert problems == ()
    flow = read_openapi(text).flow
    found = set()
    for seed in range(20):
        request = flow.next(random.Random(seed), FlowState())
        assert request is not None
        made = json.loads(request.body)
        found.add((made["kind"], *sorted(made.keys() - {"kind"})))
    assert found == {("a cat", "Cat"), ("a dog", "Dog")}


def test_one_document_stays_as_it_is() -> None:
    for text in (
        "",
        "{",
        "openapi: 3.1.0",
        '{"openapi": "3.1.0", "a": {"$ref": "#/b"}, "c": {"$ref": "http://h/x.json#/y"}}',
        '{"a": {"$ref": "../../etc/passwd"}}',
        "[{$ref: other.yaml}]",
    ):
        assert bundle_document(text, read) == (text, ())
