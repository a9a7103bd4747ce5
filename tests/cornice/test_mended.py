"""Where Cornice 6.1 is unsafe or fails, and `chapiteau.cornice` does not."""

import gc
import threading
from typing import Any

import colander
import marshmallow as ma
import pytest
from pyramid.config import Configurator
from pyramid.response import Response
from webtest import TestApp

from chapiteau.cornice import Service, errors
from chapiteau.cornice.swagger import CorniceSwagger
from chapiteau.cornice.validators import _marshmallow as _schemas
from chapiteau.cornice.validators import (
    colander_body_validator,
    colander_headers_validator,
    colander_querystring_validator,
    marshmallow_body_validator,
)

# marshmallow 3.26 warns of what marshmallow 3 itself does with nested schemas.
pytestmark = pytest.mark.filterwarnings("ignore:The `context` parameter is deprecated")

PLAIN = ("Content-Type", "text/plain")


def application(*services: Service, **settings: str) -> TestApp:
    config = Configurator(settings=settings)
    config.include("chapiteau.cornice")
    for service in services:
        config.add_cornice_service(service)
    return TestApp(config.make_wsgi_app())


def echo(request: Any) -> Any:
    return request.validated


def test_answers_of_a_shared_service_vary_by_origin() -> None:
    shared = Service("shared", "/shared", cors_origins=("http://a.org",))
    shared.add_view("GET", lambda request: {})
    alone = Service("alone", "/alone")
    alone.add_view("GET", lambda request: {})
    app = application(shared, alone)
    for origin in ("http://a.org", "http://evil.org", None):
        headers = {"Origin": origin} if origin else {}
        answer = app.get("/shared", headers=headers, expect_errors=True)
        assert answer.headers["Vary"] == "Origin"
    assert "Vary" not in app.get("/alone").headers


def test_a_vary_that_is_there_is_kept() -> None:
    s = Service("s", "/s", cors_origins=("*",))
    s.add_view("GET", lambda request: Response(b"x", headerlist=[PLAIN, ("Vary", "Cookie")]))
    s.add_view("POST", lambda request: Response(b"x", headerlist=[PLAIN, ("Vary", "*")]))
    app = application(s)
    assert app.get("/s").headers["Vary"] == "Cookie, Origin"
    assert app.post("/s").headers["Vary"] == "*"


def test_negotiated_answers_vary_by_accept() -> None:
    s = Service("s", "/s")
    s.add_view("GET", lambda request: {}, accept="application/json")
    assert application(s).get("/s").headers["Vary"] == "Accept"


def test_two_views_may_differ_in_the_content_type_alone() -> None:
    s = Service("s", "/s")
    s.add_view("POST", lambda request: "json", content_type="application/json")
    s.add_view("POST", lambda request: "xml", content_type=("text/xml", lambda request: "x/y"))
    app = application(s)
    for kind, expected in (("application/json", "json"), ("text/xml", "xml"), ("x/y", "xml")):
        assert app.post("/s", b"x", headers={"Content-Type": kind}).json == expected
    assert (
        app.post("/s", b"x", headers={"Content-Type": "a/b"}, expect_errors=True).status_int == 415
    )


def test_an_error_handler_may_answer_406_with_any_response() -> None:
    def handler(request: Any) -> Any:
        return Response("no", status=request.errors.status)

    s = Service("s", "/s", error_handler=handler)
    s.add_view("GET", lambda request: {}, accept="text/x")
    answer = application(s).get("/s", headers={"Accept": "a/b"}, expect_errors=True)
    assert (answer.status_int, answer.text) == (406, "no")


def test_headers_are_validated_by_colander() -> None:
    class Headers(colander.MappingSchema):
        n = colander.SchemaNode(colander.Integer(), name="X-Num")

    s = Service("s", "/s")
    s.add_view("GET", echo, schema=Headers(), validators=(colander_headers_validator,))
    app = application(s)
    assert app.get("/s", headers={"X-Num": "4"}).json == {"X-Num": 4}
    problem = app.get("/s", expect_errors=True).json["errors"][0]
    assert problem == {"location": "header", "name": "X-Num", "description": "Required"}


def test_one_schema_may_serve_two_parts_of_a_request() -> None:
    class Both(colander.MappingSchema):
        a = colander.SchemaNode(colander.Integer(), missing=0)

    one = Both()
    s = Service("s", "/s")
    s.add_view("POST", echo, schema=one, validators=(colander_body_validator,))
    s.add_view("GET", echo, schema=one, validators=(colander_querystring_validator,))
    app = application(s)
    assert app.post_json("/s", {"a": 1}).json == {"a": 1}
    assert app.get("/s?a=2").json == {"a": 2}
    assert one.name == ""


def test_errors_are_read_from_text_too() -> None:
    assert errors.Errors.from_json('{"status": "error", "errors": [{"location": "body"}]}')


def test_two_applications_do_not_see_each_other_in_their_documents() -> None:
    first, second = Service("first", "/first"), Service("second", "/second")
    for service in (first, second):
        service.add_view("GET", lambda request: {})
    for service in (first, second):
        config = Configurator()
        config.include("chapiteau.cornice")
        config.include("chapiteau.cornice.swagger")
        config.cornice_enable_openapi_view(title="T", version="1")
        config.add_cornice_service(service)
        document = TestApp(config.make_wsgi_app()).get("/api-explorer/swagger.json").json
        assert list(document["paths"]) == [service.path]


def test_the_explorer_loads_nothing_from_elsewhere() -> None:
    config = Configurator()
    config.include("chapiteau.cornice")
    config.include("chapiteau.cornice.swagger")
    config.cornice_enable_openapi_view()
    config.cornice_enable_openapi_explorer()
    page = TestApp(config.make_wsgi_app()).get("/api-explorer").text
    assert "https://" not in page
    assert page.count("http://") == page.count("http://localhost")


# ── marshmallow's schema objects ────────────────────────────────────────────────────────────
class Noted(ma.Schema):
    """Remembers what it should not: its context, and something on itself."""

    class Meta:
        unknown = ma.EXCLUDE

    a = ma.fields.Integer()

    @ma.validates_schema
    def look(self, data: Any, **kwargs: Any) -> None:
        left = getattr(self, "left", None)
        self.left = self.context["request"].headers["X-Who"]
        if left is not None:
            raise ma.ValidationError(f"there is {left} of before")


class Plain(ma.Schema):
    inner = ma.fields.Nested("Plain")
    more = ma.fields.List(ma.fields.Nested(Noted))


class OwnObjects(ma.Schema):
    more = ma.fields.List(ma.fields.Nested(lambda: Noted(only=("a",))))


class OwnMaking(ma.Schema):
    def on_bind_field(self, name: str, field: Any) -> None:
        field.allow_none = True


@pytest.mark.parametrize(
    ("schema", "kept"), [(Plain, True), (OwnObjects, False), (OwnMaking, False)]
)
def test_only_schemas_that_nobody_watches_are_kept(schema: type[ma.Schema], kept: bool) -> None:
    s = Service("s", "/s")
    s.add_view("POST", echo, schema=schema, validators=(marshmallow_body_validator,))
    app = application(s)
    for _ in range(3):
        assert app.post_json("/s", {}).json == {}
    assert bool(_schemas._pools[schema]) is kept


@pytest.mark.parametrize("schema", [Noted, ma.Schema.from_dict({"a": ma.fields.Integer()})])
def test_no_schema_object_remembers_a_request(schema: Any) -> None:
    s = Service("s", "/s")
    s.add_view("POST", echo, schema=schema, validators=(marshmallow_body_validator,))
    app = application(s)
    for who in "abc":
        assert app.post_json("/s", {"a": "1"}, headers={"X-Who": who}).json == {"a": 1}
    gc.collect()
    alive = [o for o in gc.get_objects() if isinstance(o, schema) and hasattr(o, "context")]
    assert all(o.context.get("request") is None for o in alive)


def test_threads_do_not_share_a_schema_object() -> None:
    meet = threading.Barrier(2, timeout=60)

    class Slow(ma.Schema):
        who = ma.fields.String()

        @ma.post_load
        def wait(self, data: Any, **kwargs: Any) -> Any:
            before = self.context["request"].headers["X-Who"]
            meet.wait()
            return {"same": before == self.context["request"].headers["X-Who"] == data["who"]}

    s = Service("s", "/s")
    s.add_view("POST", echo, schema=Slow, validators=(marshmallow_body_validator,))
    app = application(s)
    found: list[Any] = []

    def ask(who: str) -> None:
        headers = {"X-Who": who}
        found.extend(app.post_json("/s", {"who": who}, headers=headers).json for _ in range(20))

    threads = [threading.Thread(target=ask, args=(who,)) for who in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [{"same": True}] * 40


# ── OpenAPI 3.1 ─────────────────────────────────────────────────────────────────────────────
def test_openapi_has_what_swagger_2_had_not_and_is_valid() -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    class Query(colander.MappingSchema):
        limit = colander.SchemaNode(colander.Integer(), missing=10)

    class Thing(ma.Schema):
        name = ma.fields.String(required=True, validate=ma.validate.Length(1, 5))
        inner = ma.fields.Nested(Noted)

    s = Service("s", r"/s/{id:\d+}/*rest", description="Things.")
    s.add_view("GET", echo, schema=Query(), validators=(colander_querystring_validator,))
    s.add_view("POST", echo, schema=Thing, validators=(marshmallow_body_validator,))
    s.add_view("PUT", echo, accept="a/b", content_type="a/b")
    s.add_view("PUT", echo, accept="c/d", content_type="c/d")
    made = CorniceSwagger([s]).generate("T", "1", openapi="3.1")
    OpenAPIV31SpecValidator(made).validate()
    item = made["paths"]["/s/{id}/{rest}"]
    assert [p["name"] for p in item["parameters"]] == ["id", "rest"]
    assert item["get"]["parameters"][0]["schema"] == {"type": "integer", "default": 10}
    body = item["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["name"]
    assert body["properties"]["name"]["maxLength"] == 5
    assert item["post"]["responses"]["400"]["content"]["application/json"]
