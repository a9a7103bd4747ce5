"""Documents as YAML and as clients: the text is what a reader and a compiler expect."""

from __future__ import annotations

import ast

import yaml
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.service.openapi.clients import python_client, typescript_client
from chapiteau.service.openapi.clients.calls import snake
from chapiteau.service.openapi.yaml_text import to_yaml

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),  # noqa: E501
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_yaml_reads_back_as_the_same_value(value: dict[str, object]) -> None:
    assert yaml.safe_load(to_yaml(value)) == value


def test_names_in_code() -> None:
    assert [snake(n) for n in ("If-Match", "ifMatch", "class", "3d", "GET /a", "self")] == [
        "if_match", "if_match", "class_", "_3d", "get_a", "self_",
    ]  # fmt: skip


ODD = {
    "info": {"title": 'A """quoted""" title', "version": "1"},
    "paths": {
        "/a/{b-c}": {
            "post": {
                "operationId": "class",
                "summary": "Odd */ names",
                "parameters": [
                    {"name": "b-c", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "X-Y", "in": "header", "schema": {"type": ["integer", "null"]}},
                    {"name": "t", "in": "query", "schema": {"type": "array", "items": {"enum": ["a", 1]}}},  # noqa: E501
                ],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/O"}}}},  # noqa: E501
                "responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/O"}}}}}},  # noqa: E501
            }
        }
    },
    "components": {
        "schemas": {
            "O": {"type": "object", "required": ["odd-key"], "properties": {"odd-key": {"type": "string"}, "o": {"anyOf": [{"$ref": "#/components/schemas/O"}, {"type": "null"}]}}},  # noqa: E501
            "S": {"type": "string"},
            "Empty": {"type": "object", "properties": {}},
        }
    },
}  # fmt: skip


def test_odd_names_make_a_module_that_can_be_read() -> None:
    source = python_client(ODD, name="Api")
    tree = ast.parse(source)
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert {"Api", "AsyncApi", "Answer", "ApiError"} <= classes
    assert "def class_(self, b_c: str, body: O | None = None, *, " in source
    assert "{_quote(b_c)}" in source
    assert '"X-Y": x_y' in source


def test_the_same_document_gives_the_same_text() -> None:
    assert python_client(ODD) == python_client(ODD)
    assert typescript_client(ODD) == typescript_client(ODD)
    assert '"odd-key": string; "o"?: O | null' in typescript_client(ODD)
