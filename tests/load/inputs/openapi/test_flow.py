"""A document becomes sessions that hang together: real ids, real ETags, nothing broken."""

import json
from typing import Any

import jsonschema
import pytest
import yaml

from chapiteau.core.secret import Secret
from chapiteau.load.inputs.openapi import Credentials, Selection, read_openapi
from chapiteau.load.scenario.flow import FlowRequest, FlowResponse
from tests.load.inputs.openapi.shop import SHOP, Shop, play

TOKEN = Credentials(bearer=Secret("sesame"))


def played(sessions: int = 600, seeded: int = 5, seed: int = 0, **selection: Any) -> Shop:
    api = read_openapi(SHOP, selection=Selection(**selection), credentials=TOKEN)
    shop = Shop(seeded)
    play(api.flow, shop, sessions, seed)
    return shop


def names(shop: Shop) -> set[str]:
    return {name for name, _ in shop.counts}


def test_every_operation_but_the_deprecated_is_sent_and_none_misses() -> None:
    shop = played()
    assert names(shop) == {
        "GET /products",
        "POST /products",
        "GET /products/{productId}",
        "PUT /products/{productId}",
        "DELETE /products/{productId}",
        "GET /products/{productId}/reviews",
        "POST /products/{productId}/reviews",
        "GET /products/{productId}/reviews/{number}",
        "GET /search",
    }
    assert {status for _, status in shop.counts} == {200, 201, 204}


def test_reads_are_far_more_than_writes() -> None:
    shop = played()
    reads = sum(n for (name, _), n in shop.counts.items() if name.startswith("GET"))
    assert reads > 8 * (shop.counts.total() - reads)


def test_only_what_the_run_created_is_changed_or_deleted() -> None:
    shop = played()
    changed = {r.url for r in shop.sent if r.method in {"PUT", "DELETE"}}
    assert changed
    assert not any(one in url for url in changed for one in shop.seeded)
    assert set(shop.seeded) <= set(shop.products)


def test_put_carries_the_etag_that_the_session_was_given() -> None:
    shop = played()
    puts = [r for r in shop.sent if r.method == "PUT"]
    assert puts
    assert all("If-Match" in dict(r.headers) for r in puts)
    assert shop.counts["PUT /products/{productId}", 412] == 0


def test_bodies_satisfy_their_schemas() -> None:
    document = yaml.safe_load(SHOP)
    schema = {**document["components"]["schemas"]["Product"], "components": document["components"]}
    schema["required"] = ["name", "price", "category"]  # the id is read-only
    judge = jsonschema.Draft202012Validator(schema)
    bodies = [json.loads(r.body) for r in played().sent if r.name == "POST /products"]
    assert bodies
    for body in bodies:
        judge.validate(body)
        assert "id" not in body


def test_credentials_go_where_the_document_asks_for_them_and_nowhere_else() -> None:
    shop = played()
    for request in shop.sent:
        asked = request.method != "GET"
        assert (("Authorization", "Bearer sesame") in request.headers) == asked


def test_missing_credentials_are_a_problem_with_its_place() -> None:
    problems = read_openapi(SHOP).problems
    assert "#/paths/~1products/post/security" in {p.where for p in problems}
    assert "token" in problems[0].what


def test_an_empty_collection_gets_something_to_read() -> None:
    shop = played(seeded=0)
    assert {status for _, status in shop.counts} == {200, 201, 204}


def test_only_safe_sends_nothing_that_changes() -> None:
    assert {r.method for r in played(only_safe=True).sent} == {"GET"}


def test_methods_tags_and_names_filter() -> None:
    assert names(played(methods=("post",), sessions=50)) == {
        "POST /products",
        "POST /products/{productId}/reviews",
        "GET /products",  # feeds the ids
    }
    assert names(played(include=("search",), sessions=20)) == {"GET /search"}
    assert "GET /search" not in names(played(exclude=("GET /sea*",)))
    assert "GET /old/products" in names(played(deprecated=True))


def test_unknown_words_are_told_with_the_nearest_known() -> None:
    api = read_openapi(SHOP, selection=Selection(include=("search", "serch")), credentials=TOKEN)
    assert [(p.where, p.hint) for p in api.problems] == [("--include", "did you mean 'search'?")]


def test_equal_seeds_send_equal_requests() -> None:
    def urls(seed: int) -> list[FlowRequest]:
        return played(sessions=80, seed=seed).sent

    assert urls(5) == urls(5)
    assert urls(5) != urls(6)


def test_expected_statuses_come_from_the_document() -> None:
    by_name = {r.name: r.expect for r in played().sent}
    assert by_name["GET /products/{productId}"] == {200, 404}
    assert by_name["POST /products"] == {201, 422}


def test_weights_of_the_document_are_taken() -> None:
    shares = dict(read_openapi(SHOP, credentials=TOKEN).flow.operations)
    assert shares["GET /search"] == pytest.approx(3 / 10 * shares["GET /products"])


def test_the_outline_tells_shares_and_where_ids_come_from() -> None:
    lines = read_openapi(SHOP, credentials=TOKEN).flow.outline()
    assert any(
        "GET /products/{productId}/reviews/{number}  (productId from GET /products, number from "
        "GET /products/{productId}/reviews)" in line
        for line in lines
    )


def test_a_deep_object_is_written_below_its_name() -> None:
    urls = [r.url for r in played(include=("search",), sessions=20).sent]
    assert all(url.startswith("/search?filter[price][min]=") for url in urls)


def test_delete_without_a_creator_is_left_out_and_said_so() -> None:
    document = {
        "openapi": "3.0.3",
        "info": {"title": "t", "version": "1"},
        "paths": {
            "/things": {"get": {"responses": {"200": {"description": ""}}}},
            "/things/{id}": {
                "delete": {
                    "parameters": [{"name": "id", "in": "path", "required": True, "schema": {}}],
                    "responses": {"204": {"description": ""}},
                }
            },
        },
    }
    flow = read_openapi(document).flow
    assert [name for name, _ in flow.operations] == ["GET /things"]
    assert flow.outline()[-1].lstrip().startswith("out  DELETE /things/{id}")


def test_what_was_created_is_found_again_under_another_name() -> None:
    def path_parameter(name: str) -> dict[str, Any]:
        return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}

    good = {"200": {"description": ""}}
    document = {
        "openapi": "3.0.1",
        "info": {"title": "t", "version": "1"},
        "paths": {
            "/services": {"post": {"responses": good}},
            "/services/{id}": {"get": {"parameters": [path_parameter("id")], "responses": good}},
            "/services/{service}/notes": {
                "get": {"parameters": [path_parameter("service")], "responses": good}
            },
        },
    }
    sent = []

    class Service(Shop):
        def answer(self, request: FlowRequest) -> Any:
            sent.append(request.url)
            return FlowResponse(status=200, json={"id": "s-1"} if request.method == "POST" else [])

    play(read_openapi(document).flow, Service(), 60)
    assert {"/services/s-1", "/services/s-1/notes"} <= set(sent)


def test_a_link_carries_a_value_from_one_answer_to_the_next_request() -> None:
    links = {"job": {"operationId": "getJob", "parameters": {"jobId": "$response.body#/ticket"}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {
            "/start": {
                "post": {"responses": {"202": {"description": "", "links": links}}},
            },
            "/jobs/{jobId}": {
                "get": {
                    "operationId": "getJob",
                    "parameters": [{"name": "jobId", "in": "path", "required": True, "schema": {}}],
                    "responses": {"200": {"description": ""}},
                }
            },
        },
    }
    sent = []

    class Service(Shop):
        def answer(self, request: FlowRequest) -> Any:
            sent.append(request.url)
            return FlowResponse(
                status=202 if request.method == "POST" else 200, json={"ticket": "t-77"}
            )

    play(read_openapi(document).flow, Service(), 20)
    assert {url for url in sent if url.startswith("/jobs")} == {"/jobs/t-77"}


def test_a_collection_below_another_feeds_an_item_of_its_own() -> None:
    identity = {"name": "note_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    city = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    good = {"responses": {"200": {"description": ""}, "201": {"description": ""}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {
            "/cities": {"get": good},
            "/cities/{id}/notes": {"parameters": [city], "get": good, "post": good},
            "/notes/{note_id}": {"parameters": [identity], "get": good, "delete": good},
        },
    }
    notes: dict[int, list[int]] = {1: [], 2: []}
    sent: list[tuple[str, str]] = []

    class Service(Shop):
        def answer(self, request: FlowRequest) -> FlowResponse:
            path = request.url.strip("/").split("/")
            sent.append((request.method, request.url))
            if path == ["cities"]:
                return FlowResponse(status=200, json=[{"id": 1}, {"id": 2}])
            if path[0] == "cities":
                there = notes[int(path[1])]
                if request.method == "GET":
                    return FlowResponse(status=200, json=[{"id": n} for n in there])
                there.append(len(sent) + 1000)
                return FlowResponse(status=201, json={"id": there[-1]})
            found = next((n for n in notes.values() if int(path[1]) in n), None)
            if found is None:
                return FlowResponse(status=404)
            if request.method == "DELETE":
                found.remove(int(path[1]))
            return FlowResponse(status=200, json={})

    service = Service()
    api = read_openapi(document)
    answers: list[int] = []
    answer = service.answer

    def counted(request: FlowRequest) -> FlowResponse:
        made = answer(request)
        answers.append(made.status)
        return made

    service.answer = counted  # type: ignore[method-assign]
    play(api.flow, service, 400)

    assert set(answers) <= {200, 201}
    assert any(method == "DELETE" for method, _ in sent)
    assert any(method == "GET" and url.startswith("/notes/") for method, url in sent)
    assert any("note_id from GET /cities/{id}/notes" in line for line in api.flow.outline())


def test_probes_are_asked_seldom() -> None:
    paths = {path: {"get": {"responses": {}}} for path in ("/ready", "/things")}
    shares = dict(read_openapi({"openapi": "3.1.0", "paths": paths}).flow.operations)
    assert shares["GET /ready"] < shares["GET /things"] / 10
