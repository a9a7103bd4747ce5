"""Whatever comes in is read or refused with its place; it never crashes."""

import copy
import json
import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from chapiteau.core.problems import InvalidInputError
from chapiteau.load.inputs.openapi import read_openapi
from chapiteau.load.scenario.flow import FlowResponse, FlowState
from tests.load.inputs.openapi.shop import SHOP

SHOP_TABLES = yaml.safe_load(SHOP)


def document(**more: Any) -> dict[str, Any]:
    paths = {"/things": {"get": {"responses": {"200": {"description": ""}}}}}
    return {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths, **more}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('{"openapi": "3.1.0", "paths": {}}', "describes no operation", id="empty"),
        pytest.param(
            '{"openapi": "3.0.0", "paths": {"/a": {"get": {"deprecated": true}}}}',
            "deprecated operations only",
            id="deprecated",
        ),
        pytest.param('{"swagger": "2.0"}', "Swagger 2.0, not OpenAPI 3", id="Swagger 2"),
        pytest.param('{"openapi": "4.0.0"}', "must be 3.0 or 3.1", id="the future"),
        pytest.param("{}", "#/openapi: is missing", id="no version"),
        pytest.param("{", "is not JSON", id="torn JSON"),
        pytest.param("- a\n- b", "is not an OpenAPI document", id="a list"),
        pytest.param("a: [", "neither JSON nor YAML", id="torn YAML"),
        pytest.param(b"\xff\xfe\x00", "neither JSON nor YAML", id="bytes"),
        pytest.param("", "is not an OpenAPI document", id="nothing"),
    ],
)
def test_what_is_no_document_is_refused_in_words(text: str | bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_openapi(text)


def test_a_pattern_that_python_would_warn_of_is_taken_as_it_is() -> None:
    schema = {"type": "string", "pattern": "^[[a-z]+$"}
    body = {"content": {"application/json": {"schema": schema}}}
    text = json.dumps(document(paths={"/things": {"post": {"requestBody": body}}}))
    request = read_openapi(text).flow.next(random.Random(1), FlowState(memory={}))
    assert request is not None  # warnings are errors here


def test_json_and_yaml_say_the_same() -> None:
    as_json = json.dumps(yaml.safe_load(SHOP), default=str)
    assert read_openapi(as_json).flow.outline() == read_openapi(SHOP).flow.outline()


def test_dates_of_yaml_stay_text() -> None:
    text = yaml.safe_dump(document()).replace("title: t", "title: 2024-01-01")
    assert read_openapi(text).title == "2024-01-01"


@pytest.mark.parametrize(
    ("servers", "at", "base"),
    [
        ([], "http://127.0.0.1:8000/openapi.json", "http://127.0.0.1:8000"),
        ([{"url": "/api"}], "http://127.0.0.1:8000/docs/openapi.json", "http://127.0.0.1:8000/api"),
        ([{"url": "v2/"}], "http://h/docs/openapi.json", "http://h/docs/v2"),
        ([{"url": "https://api.example.com/"}], "http://h/openapi.json", "https://api.example.com"),
        ([{"url": "/"}], "http://h/openapi.json", "http://h"),
        ([{"url": "/api"}], "", ""),
        ([], "openapi.json", ""),
    ],
)
def test_the_base_url_is_seen_from_the_document(servers: Any, at: str, base: str) -> None:
    assert read_openapi(document(servers=servers), at=at).base_url == base


def test_faults_are_told_all_at_once_with_pointers() -> None:
    broken = document()
    broken["paths"] |= {
        "no-slash": {},
        "/a/{id}": {
            "get": {"parameters": [{"in": "query"}, {"$ref": "#/nowhere"}], "responses": {}}
        },
        "/b": {"post": {"x-chapiteau-weight": "many", "requestBody": {"$ref": "b.yaml#/X"}}},
        "/c": [],
        "/d": {"get": None},
    }
    where = {p.where for p in read_openapi(broken).problems}
    assert where >= {
        "#/paths/no-slash",
        "#/paths/~1a~1{id}/get",
        "#/paths/~1a~1{id}/get/parameters/0",
        "#/paths/~1a~1{id}/get/parameters/1/$ref",
        "#/paths/~1b/post/x-chapiteau-weight",
        "#/paths/~1b/post/requestBody/$ref",
        "#/paths/~1c",
        "#/paths/~1d/get",
    }


def test_filters_that_leave_nothing_say_what_there_is() -> None:
    from chapiteau.load.inputs.openapi import Selection

    with pytest.raises(InvalidInputError, match="GET /things"):
        read_openapi(document(), selection=Selection(methods=("POST",)))


def walk(raw: Any) -> None:
    """Read the document and send twenty sessions, answered with anything."""
    try:
        api = read_openapi(raw)
    except InvalidInputError:
        return
    chance = random.Random(0)
    for _ in range(20):
        seen = FlowState()
        while (request := api.flow.next(chance, seen)) is not None:
            assert request.method.isupper() or not request.method.isalpha()
            assert isinstance(request.body, bytes)
            seen.last = FlowResponse(status=200, json=[{"id": 1}], headers={"location": "/x/1"})
            seen.steps += 1
            assert seen.steps < 10


def test_a_server_with_a_variable_that_nobody_describes_is_no_server() -> None:
    servers = [{"url": "https://{zone}.example.com"}, {"url": "http://127.0.0.1:1/api"}]
    api = read_openapi(document(servers=servers))
    assert api.base_url == "http://127.0.0.1:1/api"
    assert [(p.where, p.what) for p in api.problems] == [
        ("#/servers/0", "server variable 'zone' is not described")
    ]


@pytest.mark.parametrize("number", ["9" * 5000, "01", "-1", "²", "7"])
def test_a_pointer_into_a_list_names_an_item_that_is_there(number: str) -> None:
    ref = {"$ref": f"#/x-list/{number}"}
    paths = {"/a": {"get": {"parameters": [ref]}}}
    api = read_openapi({**document(), "paths": paths, "x-list": [{}]})
    assert [p.what for p in api.problems] == [f"#/x-list/{number} does not exist"]


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    found: list[tuple[Any, Any]] = []
    keys = (
        node.keys() if isinstance(node, dict) else range(len(node) if isinstance(node, list) else 0)
    )
    for key in keys:
        found.append((node, key))
        found += places(node[key])
    return found


junk = st.sampled_from(
    [
        None,
        True,
        3,
        -1.5,
        "",
        "x",
        "#/",
        "#/components/schemas/Product",
        [],
        {},
        [None],
        {"$ref": "#"},
    ]
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 10_000), junk), min_size=1, max_size=6))
def test_a_document_with_any_parts_replaced_never_crashes(changes: list[tuple[int, Any]]) -> None:
    raw = copy.deepcopy(SHOP_TABLES)
    for number, value in changes:
        every = places(raw)
        container, key = every[number % len(every)]
        container[key] = copy.deepcopy(value)
    walk(raw)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    walk(data)
