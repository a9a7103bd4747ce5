"""Documents in several files are one to whoever reads them."""

from __future__ import annotations

import json
import random
from typing import Any

from chapiteau.load.logic.inputs.openapi import read_openapi
from chapiteau.load.logic.inputs.openapi.bundling import bundled
from chapiteau.load.logic.template import Seen

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
    text, problems = bundled(ROOT, read)
    api = read_openapi(text)
    flow = api.flow
    bodies: list[Any] = []
    for seed in range(200):
        request = flow.next(random.Random(seed), Seen())
        if request is not None and request.body:
            bodies.append(json.loads(request.body))

    assert bodies
    for body in bodies:
        assert (body["name"], body["size"], body["colour"]) == ("tent", 3, "red")
    assert [str(p.where) for p in problems] == ["gone.yaml"]
    assert not any("another document" in p.what for p in api.problems)


def test_one_document_stays_as_it_is() -> None:
    for text in (
        "",
        "{",
        "openapi: 3.1.0",
        '{"openapi": "3.1.0", "a": {"$ref": "#/b"}, "c": {"$ref": "http://h/x.json#/y"}}',
        '{"a": {"$ref": "../../etc/passwd"}}',
        "[{$ref: other.yaml}]",
    ):
        assert bundled(text, read) == (text, ())
