"""A table of changes: what a client of the older document may or may not have to fear."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chapiteau.service.openapi.diff import compare

Json = dict[str, Any]
REF = "#/components/schemas/"
BASE: Json = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1"},
    "paths": {
        "/a/{id}": {
            "get": {
                "operationId": "a",
                "parameters": [
                    {
                        "name": "id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "integer", "minimum": 1},
                    },
                    {
                        "name": "q",
                        "in": "query",
                        "schema": {"type": "string", "maxLength": 10, "default": "x"},
                    },
                    {"name": "c", "in": "query", "schema": {"enum": ["a", "b"]}},
                ],
                "responses": {
                    "200": {
                        "description": "",
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/A"}}
                        },
                    },
                    "404": {"description": "x"},
                },
            },
            "post": {
                "operationId": "p",
                "requestBody": {
                    "required": False,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/I"}},
                        "text/plain": {},
                    },
                },
                "security": [{"k": ["r"]}],
                "responses": {
                    "201": {
                        "description": "",
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/A"}},
                            "text/csv": {},
                        },
                    }
                },
            },
        }
    },
    "components": {
        "schemas": {
            "A": {
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "s": {"type": ["string", "null"]},
                    "e": {"enum": ["x", "y"]},
                },
                "required": ["id", "s"],
            },
            "I": {
                "type": "object",
                "properties": {
                    "n": {"type": "string", "minLength": 1},
                    "o": {"type": "integer", "minimum": 0, "maximum": 9},
                    "u": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    "l": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
                },
                "required": ["n"],
                "additionalProperties": False,
            },
        },
        "securitySchemes": {"k": {"type": "apiKey", "in": "header", "name": "X"}},
    },
}
BASE["components"]["schemas"]["B"] = {
    "type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "integer"}},
    "required": ["x"],
}  # fmt: skip
BASE["components"]["schemas"]["C"] = {"type": "object", "properties": {"k": {"type": "string"}}}


def get(document: Json) -> Json:
    found: Json = document["paths"]["/a/{id}"]["get"]
    return found


def post(document: Json) -> Json:
    found: Json = document["paths"]["/a/{id}"]["post"]
    return found


def query(document: Json, at: int = 1) -> Json:
    found: Json = get(document)["parameters"][at]["schema"]
    return found


def model(document: Json, name: str = "A") -> Json:
    found: Json = document["components"]["schemas"][name]
    return found


def fields(document: Json, name: str = "A") -> Json:
    found: Json = model(document, name)["properties"]
    return found


def content(document: Json, status: str = "201") -> Json:
    found: Json = post(document)["responses"][status]["content"]
    return found


fields(BASE)["b"] = {"anyOf": [{"$ref": f"{REF}B"}, {"type": "null"}]}
fields(BASE)["m"] = {"type": "object", "additionalProperties": {"type": "integer"}}
UNION = {"anyOf": [{"$ref": f"{REF}B"}, {"$ref": f"{REF}C"}], "discriminator": {}}
fields(BASE, "I")["b"] = {"anyOf": [UNION, {"type": "null"}]}


def rename(document: Json) -> None:
    item = document["paths"].pop("/a/{id}")
    item["get"]["parameters"][0]["name"] = "nr"
    document["paths"]["/a/{nr}"] = item


def union(document: Json) -> list[Any]:
    found: list[Any] = fields(document, "I")["b"]["anyOf"][0]["anyOf"]
    return found


BREAKING: list[tuple[str, Any]] = [
    ("path removed", lambda d: d["paths"].clear()),
    ("op removed", lambda d: d["paths"]["/a/{id}"].pop("post")),
    (
        "new required param",
        lambda d: get(d)["parameters"].append(
            {"name": "z", "in": "query", "required": True, "schema": {}}
        ),
    ),
    ("param removed", lambda d: get(d)["parameters"].pop(1)),
    ("param becomes required", lambda d: get(d)["parameters"][1].update(required=True)),
    ("param type", lambda d: query(d).update(type="integer")),
    ("param enum shrinks", lambda d: query(d, 2).update(enum=["a"])),
    ("param maxLength down", lambda d: query(d).update(maxLength=5)),
    ("param min up", lambda d: query(d, 0).update(minimum=5)),
    ("param pattern added", lambda d: query(d).update(pattern="^a")),
    ("param default changed", lambda d: query(d).update(default="y")),
    ("answer field removed", lambda d: fields(d).pop("e")),
    ("answer required→optional", lambda d: model(d).update(required=["id"])),
    ("answer nullable added", lambda d: fields(d).update(id={"type": ["integer", "null"]})),
    ("answer type", lambda d: fields(d).update(id={"type": "string"})),
    ("answer int→number", lambda d: fields(d).update(id={"type": "number"})),
    ("answer enum grows", lambda d: fields(d).update(e={"enum": ["x", "y", "z"]})),
    ("answer status removed", lambda d: get(d)["responses"].pop("200")),
    (
        "answer status changed",
        lambda d: post(d)["responses"].update({"200": post(d)["responses"].pop("201")}),
    ),
    ("answer media removed", lambda d: content(d).pop("text/csv")),
    ("answer header removed", lambda d: get(d)["responses"]["200"].pop("headers")),
    ("body becomes required", lambda d: post(d)["requestBody"].update(required=True)),
    ("body media removed", lambda d: post(d)["requestBody"]["content"].pop("text/plain")),
    (
        "body field required added",
        lambda d: (
            fields(d, "I").update(z={"type": "string"}),
            model(d, "I").update(required=["n", "z"]),
        ),
    ),
    ("body field removed (closed)", lambda d: fields(d, "I").pop("o")),
    ("body optional→required", lambda d: model(d, "I").update(required=["n", "o"])),
    ("body max down", lambda d: fields(d, "I")["o"].update(maximum=5)),
    ("body union shrinks", lambda d: fields(d, "I").update(u={"type": "string"})),
    ("body maxItems down", lambda d: fields(d, "I")["l"].update(maxItems=2)),
    ("body items type", lambda d: fields(d, "I")["l"].update(items={"type": "integer"})),
    ("body minLength up", lambda d: fields(d, "I")["n"].update(minLength=3)),
    ("security added", lambda d: get(d).update(security=[{"k": []}])),
    ("scope added", lambda d: post(d).update(security=[{"k": ["r", "w"]}])),
    ("scheme changed", lambda d: d["components"]["securitySchemes"]["k"].update(name="Y")),
    ("operationId changed", lambda d: get(d).update(operationId="z")),
    ("nested answer field removed", lambda d: fields(d, "B").pop("y")),
    ("map values", lambda d: fields(d)["m"].update(additionalProperties={"type": "string"})),
    ("nested body required", lambda d: model(d, "B").update(required=["x", "y"])),
    ("enum for text", lambda d: query(d).update(enum=["x"])),
    ("closed", lambda d: model(d, "C").update(additionalProperties=False)),
    ("a union loses what could be sent", lambda d: union(d).pop()),
    (
        "a union gains what may come",
        lambda d: fields(d)["b"]["anyOf"].insert(0, {"$ref": f"{REF}C"}),
    ),
    ("anything becomes a text", lambda d: query(d, 0).update(type="string")),
]
COMPATIBLE: list[tuple[str, Any]] = [
    ("path added", lambda d: d["paths"].update({"/z": copy.deepcopy(d["paths"]["/a/{id}"])})),
    (
        "new optional param",
        lambda d: get(d)["parameters"].append({"name": "z", "in": "query", "schema": {}}),
    ),
    ("param enum grows", lambda d: query(d, 2).update(enum=["a", "b", "c"])),
    ("param maxLength up", lambda d: query(d).update(maxLength=50)),
    ("answer field added", lambda d: fields(d).update(z={"type": "string"})),
    ("answer optional→required", lambda d: model(d).update(required=["id", "s", "e"])),
    ("answer nullable removed", lambda d: fields(d).update(s={"type": "string"})),
    ("answer enum shrinks", lambda d: fields(d).update(e={"enum": ["x"]})),
    ("answer media added", lambda d: content(d).update({"text/xml": {}})),
    ("answer 404 added", lambda d: post(d)["responses"].update({"404": {"description": ""}})),
    ("body media added", lambda d: post(d)["requestBody"]["content"].update({"text/xml": {}})),
    ("body field optional added", lambda d: fields(d, "I").update(z={"type": "string"})),
    ("body required→optional", lambda d: model(d, "I").update(required=[])),
    (
        "body union grows",
        lambda d: fields(d, "I").update(
            u={"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]}
        ),
    ),
    ("body int→number", lambda d: fields(d, "I")["o"].update(type="number")),
    ("body becomes open", lambda d: model(d, "I").pop("additionalProperties")),
    ("security removed", lambda d: post(d).pop("security")),
    ("security alternative", lambda d: post(d).update(security=[{"k": ["r"]}, {}])),
    ("deprecated", lambda d: get(d).update(deprecated=True)),
    ("words", lambda d: get(d).update(summary="hello")),
    ("a path parameter renamed", rename),
    ("a union gains what may be sent", lambda d: union(d).append({"$ref": f"{REF}A"})),
    ("nothing", lambda _: None),
]


def changes(change: Any) -> list[tuple[bool, str]]:
    new = copy.deepcopy(BASE)
    change(new)
    return [(one.breaking, str(one)) for one in compare(BASE, new)]


@pytest.mark.parametrize(("name", "change"), BREAKING, ids=[name for name, _ in BREAKING])
def test_breaks(name: str, change: Any) -> None:
    found = changes(change)
    assert any(breaking for breaking, _ in found), (name, found)


@pytest.mark.parametrize(("name", "change"), COMPATIBLE, ids=[name for name, _ in COMPATIBLE])
def test_breaks_nothing(name: str, change: Any) -> None:
    found = changes(change)
    assert not any(breaking for breaking, _ in found), (name, found)
