# ruff: noqa: E501 — collections are written as they come
"""Collections: variables, folders, authorisation, bodies, values kept from answers."""

import base64
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.problems import InvalidInputError
from chapiteau.load.inputs.postman import read_postman
from chapiteau.load.scenario.flow import FlowRequest, FlowResponse, FlowState

COLLECTION: dict[str, Any] = {
    "info": {
        "name": "Shop",
        "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
    },
    "variable": [
        {"key": "base", "value": "http://{{host}}/api"},
        {"key": "host", "value": "h:8000"},
    ],
    "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}"}]},
    "item": [
        {
            "name": "log in",
            "event": [
                {
                    "listen": "test",
                    "script": {
                        "exec": [
                            "const json = pm.response.json();",
                            "pm.test('ok', () => pm.response.to.have.status(201));",
                            'pm.environment.set("token", json.session.tokens[0].value);',
                        ]
                    },
                }
            ],
            "request": {
                "method": "POST",
                "auth": {"type": "noauth"},
                "url": {"raw": "{{base}}/login", "host": ["{{base}}"], "path": ["login"]},
                "body": {
                    "mode": "raw",
                    "raw": '{"user": "{{$randomEmail}}"}',
                    "options": {"raw": {"language": "json"}},
                },
            },
        },
        {
            "name": "cart",
            "item": [
                {
                    "name": "see",
                    "request": {
                        "method": "GET",
                        "header": [
                            {"key": "X-Id", "value": "{{$guid}}"},
                            {"key": "X-Off", "value": "1", "disabled": True},
                        ],
                        "url": {
                            "raw": "{{base}}/carts/:id?full=1&old=2",
                            "query": [
                                {"key": "full", "value": "1"},
                                {"key": "old", "value": "2", "disabled": True},
                            ],
                            "variable": [{"key": "id", "value": "7 b"}],
                        },
                    },
                },
                {
                    "name": "fill",
                    "request": {
                        "method": "PUT",
                        "url": "{{base}}/carts/7",
                        "body": {
                            "mode": "urlencoded",
                            "urlencoded": [{"key": "a b", "value": "{{host}}"}],
                        },
                    },
                },
            ],
        },
    ],
}


def sent(collection: Any, answer: Any = None, **variables: str) -> list[FlowRequest]:
    flow = read_postman(json.dumps(collection), variables=variables).flow
    seen, found = FlowState(), []
    while (request := flow.next(random.Random(1), seen)) is not None:
        found.append(request)
        seen.last = FlowResponse(status=200, json=answer)
        seen.steps += 1
    return found


def single(request: Any, **more: Any) -> FlowRequest:
    return sent({"info": {"name": "x"}, "item": [{"name": "one", "request": request}], **more})[0]


def test_a_session_walks_the_collection_and_carries_the_token() -> None:
    answer = {"session": {"tokens": [{"value": "sesame"}]}}
    log_in, see, fill = sent(COLLECTION, answer)
    assert (log_in.method, log_in.url, log_in.expect) == ("POST", "http://h:8000/api/login", {201})
    assert json.loads(log_in.body)["user"].endswith("@example.com")
    assert log_in.remember
    assert "Authorization" not in dict(log_in.headers)
    assert see.url == "http://h:8000/api/carts/7%20b?full=1"
    assert dict(see.headers)["Authorization"] == "Bearer sesame"
    assert len(dict(see.headers)["X-Id"]) == 36
    assert "X-Off" not in dict(see.headers)
    assert (see.name, see.tags) == ("see", ("cart",))
    assert fill.body == b"a+b=h%3A8000"


def test_the_base_url_and_the_outline_are_told() -> None:
    found = read_postman(json.dumps(COLLECTION), variables={"host": "other"})
    assert found.base_url == "http://other"
    assert found.problems == ()
    assert found.flow.outline() == ["POST log in  (keeps token)", "GET see", "PUT fill"]


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (
            {
                "type": "basic",
                "basic": [{"key": "username", "value": "joe"}, {"key": "password", "value": "pw"}],
            },
            ("Authorization", "Basic " + base64.b64encode(b"joe:pw").decode()),
        ),
        (
            {
                "type": "apikey",
                "apikey": [{"key": "key", "value": "X-Key"}, {"key": "value", "value": "k"}],
            },
            ("X-Key", "k"),
        ),
        ({"type": "bearer", "bearer": {"token": "old"}}, ("Authorization", "Bearer old")),
    ],
)
def test_kinds_of_authorisation(auth: Any, header: tuple[str, str]) -> None:
    assert header in single({"url": "http://h/", "auth": auth}).headers
    assert header in single({"url": "http://h/"}, auth=auth).headers


def test_an_api_key_may_go_into_the_query() -> None:
    fields = [
        {"key": "key", "value": "k"},
        {"key": "value", "value": "v"},
        {"key": "in", "value": "query"},
    ]
    assert (
        single({"url": "http://h/?a=1", "auth": {"type": "apikey", "apikey": fields}}).url
        == "http://h/?a=1&k=v"
    )


def test_kinds_of_bodies() -> None:
    form = single(
        {
            "url": "http://h/",
            "method": "POST",
            "body": {"mode": "formdata", "formdata": [{"key": "a", "value": "1"}]},
        }
    )
    assert b'name="a"\r\n\r\n1' in form.body
    graph = single(
        {
            "url": "http://h/",
            "method": "POST",
            "body": {"mode": "graphql", "graphql": {"query": "{a}", "variables": '{"b": 1}'}},
        }
    )
    assert json.loads(graph.body) == {"query": "{a}", "variables": {"b": 1}}
    assert dict(graph.headers)["Content-Type"] == "application/json"


def test_urls_are_put_together_from_their_parts() -> None:
    url = {"protocol": "https", "host": ["a", "example"], "port": "8443", "path": ["x", ":id"], "query": [{"key": "q", "value": "1"}], "variable": [{"key": "id", "value": "3"}]}  # fmt: skip
    assert single({"url": url}).url == "https://a.example:8443/x/3?q=1"


def test_what_is_left_out_is_told() -> None:
    collection = {
        "info": {"name": "x"},
        "item": [
            {
                "name": "one",
                "event": [
                    {"listen": "prerequest", "script": {"exec": "pm.sendRequest('x')"}},
                    {"listen": "test", "script": {"exec": ["postman.setNextRequest('y')"]}},
                ],
                "request": {
                    "url": "{{nowhere}}/x",
                    "auth": {"type": "hawk"},
                    "body": {"mode": "formdata", "formdata": [{"key": "f", "type": "file"}]},
                },
            },
            3,
            {"name": "two", "request": {"url": {}}},
        ],
    }
    told = " ".join(str(p) for p in read_postman(json.dumps(collection)).problems)
    for word in (
        "pre-request",
        "setNextRequest",
        "{{nowhere}} is not set",
        "hawk",
        "#/item/1",
        "disk",
        "#/item/2/request/url",
    ):
        assert word in told


def test_scripts_of_the_collection_and_its_folders_count_for_what_is_in_them() -> None:
    def event(listen: str, *lines: str) -> dict[str, Any]:
        return {"listen": listen, "script": {"exec": list(lines)}}

    def request(name: str) -> dict[str, Any]:
        url = f"http://h/{name}?k={{{{key}}}}&t={{{{token}}}}"
        return {"name": name, "request": {"url": url}}

    keep = "pm.environment.set('{0}', pm.response.json().{0});".format
    collection = {
        "info": {"name": "x"},
        "event": [event("prerequest", "sign()"), event("test", keep("token"))],
        "item": [
            {
                "name": "f",
                "event": [event("test", keep("key"), "pm.response.to.have.status(202)")],
                "item": [request("a"), request("b")],
            },
            request("c"),
        ],
    }
    found = read_postman(json.dumps(collection))
    assert [str(p.where) for p in found.problems if "pre-request" in p.what] == ["#/event"]
    first, second, third = sent(collection, {"token": "t1", "key": "k1"})
    assert second.url == "http://h/b?k=k1&t=t1"
    assert (first.expect, third.expect) == ({202}, frozenset())
    assert first.remember
    assert third.remember


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"item": []}', '{"item": [{"item": [{"item": []}]}]}']
)
def test_what_is_no_collection_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        read_postman(text)


keys = st.sampled_from(["item", "request", "url", "body", "mode", "raw", "auth", "type", "header", "event", "variable", "script", "exec", "query", "host", "key", "value", "bearer", "formdata"])  # fmt: skip
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just("{{a}}"), st.just("bearer"), st.just("raw")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=25,
)  # fmt: skip


@given(st.lists(anything, max_size=4))
def test_any_items_are_read_or_refused(items: list[Any]) -> None:
    try:
        sent({"info": {}, "item": items})
    except InvalidInputError:
        return


def test_a_part_of_a_form_keeps_its_own_content_type() -> None:
    form = [
        {"key": "file", "type": "file", "src": "/x.png", "contentType": "image/png"},
        {"key": "a", "value": '{"x": {{n}}}', "contentType": "application/json", "type": "text"},
        {"key": "b", "value": "2"},
    ]
    body = {"mode": "formdata", "formdata": form}
    item = {"name": "send", "request": {"method": "POST", "url": "http://h/", "body": body}}
    found = read_postman(
        json.dumps(
            {"info": COLLECTION["info"], "variable": [{"key": "n", "value": "1"}], "item": [item]}
        )
    )
    request = found.flow.next(random.Random(1), FlowState())
    assert request is not None
    assert b'name="a"\r\nContent-Type: application/json\r\n\r\n{"x": 1}\r\n' in request.body
    assert b'name="b"\r\n\r\n2\r\n' in request.body
    assert b"x.png" not in request.body
