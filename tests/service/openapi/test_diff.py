"""Which changes of a document break clients, and which don't."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chapiteau.service.openapi.diff import compare
from chapiteau.service.openapi.lint import lint

OLD: dict[str, Any] = {
    "paths": {
        "/a": {
            "get": {
                "operationId": "get_a",
                "summary": "A.",
                "parameters": [
                    {"name": "q", "in": "query", "description": "Q.", "schema": {"type": "integer", "maximum": 5}}  # noqa: E501
                ],
                "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}},  # noqa: E501
            },
            "post": {
                "operationId": "make_a",
                "summary": "Make.",
                "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}},  # noqa: E501
                "responses": {"201": {"description": "Created"}},
            },
        }
    },
    "components": {
        "schemas": {
            "A": {
                "type": "object",
                "required": ["n"],
                "properties": {"n": {"type": "integer"}, "kind": {"enum": ["x", "y"]}, "next": {"$ref": "#/components/schemas/A"}},  # noqa: E501
            }
        }
    },
}  # fmt: skip


def changed(change: Any) -> list[tuple[bool, str]]:
    new = copy.deepcopy(OLD)
    change(new)
    return [(c.breaking, f"{c.where}: {c.what}") for c in compare(OLD, new)]


def get(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/a"]["get"]
    return found


def model(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]["A"]
    return found


def test_nothing_changed() -> None:
    assert changed(lambda d: None) == []


@pytest.mark.parametrize(
    ("change", "breaking", "words"),
    [
        pytest.param(lambda d: d["paths"]["/a"].pop("post"), True, "POST /a: is gone", id="operation gone"),  # noqa: E501
        pytest.param(lambda d: d["paths"].update({"/b": OLD["paths"]["/a"]}), False, "is new", id="new path"),  # noqa: E501
        pytest.param(lambda d: get(d).update(operationId="a"), True, "its id changes", id="id"),
        pytest.param(lambda d: get(d)["parameters"].clear(), True, "no longer known", id="parameter gone"),  # noqa: E501
        pytest.param(
            lambda d: get(d)["parameters"].append({"name": "r", "in": "query", "schema": {}}),
            False, "query r: is new", id="new parameter",
        ),
        pytest.param(
            lambda d: get(d)["parameters"].append({"name": "r", "in": "query", "schema": {}, "required": True}),  # noqa: E501
            True, "is new and required", id="new required parameter",
        ),
        pytest.param(lambda d: get(d)["parameters"][0]["schema"].update(maximum=4), True, "maximum 5 becomes 4", id="tighter"),  # noqa: E501
        pytest.param(lambda d: get(d)["parameters"][0]["schema"].update(minimum=2), True, "minimum is 2 now", id="new"),  # noqa: E501
        pytest.param(lambda d: get(d)["parameters"][0]["schema"].pop("maximum"), False, "maximum 5 is gone", id="gone"),  # noqa: E501
        pytest.param(lambda d: get(d)["parameters"][0]["schema"].update(maximum=9), False, "maximum 5 becomes 9", id="wider"),  # noqa: E501
        pytest.param(lambda d: get(d)["parameters"][0]["schema"].update(type="string"), True, "integer becomes string", id="type"),  # noqa: E501
        pytest.param(lambda d: get(d).update(deprecated=True), False, "deprecated", id="deprecated"),  # noqa: E501
        pytest.param(lambda d: get(d).update(security=[{"a": []}]), True, "credentials", id="security"),  # noqa: E501
        pytest.param(lambda d: get(d)["responses"].pop("200"), True, "no longer answered", id="answer gone"),  # noqa: E501
        pytest.param(lambda d: get(d)["responses"].update({"404": {}}), False, "new answer", id="new answer"),  # noqa: E501
    ],
)  # fmt: skip
def test_one_change(change: Any, breaking: bool, words: str) -> None:
    found = changed(change)
    assert any(words in text and b is breaking for b, text in found), found
    if not breaking:
        assert not any(b for b, _ in found), found


def test_what_is_sent_and_what_is_got_break_the_other_way_round() -> None:
    def more(document: dict[str, Any]) -> None:
        model(document)["properties"]["kind"]["enum"].append("z")
        model(document)["required"].append("kind")

    found = changed(more)
    assert (True, "GET /a 200/kind: ['z'] is possible now") in found
    assert (False, "POST /a body/kind: ['z'] is possible now") in found
    assert (True, "POST /a body/kind: must be given now") in found

    def less(document: dict[str, Any]) -> None:
        del model(document)["properties"]["n"]
        model(document)["required"].clear()

    found = changed(less)
    assert (True, "GET /a 200/n: is gone") in found
    assert (False, "POST /a body/n: is gone") in found


def test_lint_says_what_a_reader_would_miss() -> None:
    bad = copy.deepcopy(OLD)
    del get(bad)["summary"]
    del get(bad)["parameters"][0]["description"]
    get(bad)["operationId"] = "make_a"
    get(bad)["responses"] = {"404": {"description": ""}}
    told = " ".join(str(problem) for problem in lint(bad, OLD))
    for words in (
        "has no description", "parameter 'q'", "had the id 'get_a'", "has the id 'make_a' of GET /a",  # noqa: E501
        "answer 404 has no description", "no good answer",
    ):  # fmt: skip
        assert words in told
    assert lint(OLD) == []
