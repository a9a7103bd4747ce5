"""Validators: callables, colander, marshmallow; the body of errors."""

import json
from typing import Any

import colander
import marshmallow as ma
from pyramid.response import Response

from tests.cornice.probe import Trial, case


def echo(request: Any) -> Any:
    return {"validated": request.validated}


@case
def callables_as_validators(t: Trial) -> None:
    seen: list[Any] = []

    def one(request: Any, **kw: Any) -> None:
        seen.append(sorted(kw))
        request.validated["one"] = kw.get("own")

    def two(request: Any, **kw: Any) -> None:
        if "bad" in request.GET:
            request.errors.add("querystring", "bad", "is bad")
            request.errors.add("body")
            request.errors.add("header", "H", description="d", extra=1)
        if "status" in request.GET:
            request.errors.add("url", "u", "v")
            request.errors.status = 402
        if "where" in request.GET:
            request.errors.add("nowhere", "u", "v")
        if "kind" in request.GET:
            request.errors.add(request.GET["kind"], "n", "d")

    s = t.service("c", "/c", validators=one)
    s.add_view("GET", echo, validators=two)
    s.add_view("POST", echo, validators=[two], exclude=(one,))
    s.add_view("PUT", lambda request: request.errors.add("path", "late", "by the view"))
    app = t.app(s)
    for line in (
        "GET /c",
        "GET /c?bad=1",
        "GET /c?status=1",
        "GET /c?where=1",
        "POST /c?bad=1",
        "POST /c",
        "PUT /c",
        "HEAD /c?bad=1",
    ):
        t.ask(app, line)
    for kind in ("cookies", "method", "path", "header", "querystring", "body", "", "cookie"):
        t.ask(app, f"GET /c?kind={kind}")
    t.note("kwargs", seen[0])
    own = t.service("own", "/own")
    own.add_view("GET", echo, own="mine")
    t.refused("unknown view option", lambda: t.app(own))
    known = t.service("known", "/known")
    known.add_view("GET", lambda request: {}, validators=one, own="mine")

    class Anything:
        def __init__(self, value: Any, config: Any) -> None:
            self.value = value

        def text(self) -> str:
            return f"own={self.value}"

        phash = text

        def __call__(self, context: Any, request: Any) -> bool:
            return True

    app = t.app(known, more=lambda config: config.add_view_predicate("own", Anything))
    t.ask(app, "GET /known")
    t.note("kwargs of a known option", seen[-1])


@case
def errors_object(t: Trial) -> None:
    errors = t.module("errors").Errors()
    errors.add("body", "n", "d")
    t.note("list", list(errors))
    t.note("status", errors.status)
    made = t.module("errors").Errors.from_json(
        json.dumps(
            {"status": "error", "errors": [{"location": "body", "name": "n", "description": "d"}]}
        ).encode()
    )
    t.note("from json", [list(made), made.status])
    made = t.module("errors").Errors.from_json(b'{"errors": []}')
    t.note("from bytes", [list(made), made.status])
    made = t.module("errors").Errors.from_list([{"location": "body"}])
    t.note("from list", [list(made), made.status])
    t.refused("bad location", lambda: errors.add("nowhere", "n", "d"))
    t.note("status given", t.module("errors").Errors(status=422).status)


@case
def error_handlers(t: Trial) -> None:
    def bad(request: Any, **kw: Any) -> None:
        request.errors.add("body", "x", "y")

    def handler(request: Any) -> Any:
        return Response(json_body={"own": len(request.errors)}, status=409)

    s = t.service("h", "/h", error_handler=handler)
    s.add_view("GET", echo, validators=bad)
    s.add_view("POST", echo, validators=bad, error_handler=lambda request: Response("post", 410))
    plain = t.service("plain", "/plain")
    plain.add_view("GET", echo, validators=bad, renderer="json")
    app = t.app(s, plain)
    for line in ("GET /h", "POST /h", "GET /plain"):
        t.ask(app, line)


class Item(colander.MappingSchema):
    name = colander.SchemaNode(colander.String(), validator=colander.Length(1, 5))
    count = colander.SchemaNode(colander.Integer(), missing=7, validator=colander.Range(min=0))
    price = colander.SchemaNode(colander.Float(), missing=colander.drop)

    @colander.instantiate(missing=())
    class tags(colander.SequenceSchema):  # noqa: N801
        tag = colander.SchemaNode(colander.String())


class Kept(colander.MappingSchema):
    a = colander.SchemaNode(colander.Integer())

    def schema_type(self, **kw: Any) -> Any:
        return colander.Mapping(unknown="preserve")


class Strict(colander.MappingSchema):
    a = colander.SchemaNode(colander.Integer())

    def schema_type(self, **kw: Any) -> Any:
        return colander.Mapping(unknown="raise")


BODIES: list[Any] = [
    {"name": "n"},
    {"name": "toolong", "count": -1, "price": "x", "tags": "no"},
    {"name": "n", "count": "3", "price": "1.5", "tags": ["a", 1], "unknown": 1},
    {"name": None},
    {"name": ""},
    {"name": 3},
    {"name": True, "count": 2.7},
    {"name": ["x"]},
    {"name": {"x": 1}},
    {"name": "n", "count": None},
    {"name": "n", "count": ""},
    {"name": "n", "count": "x"},
    {"name": "n", "tags": [None]},
    {"name": "n", "tags": [[1]]},
    {"name": "n", "tags": {"a": 1}},
    {"name": "né"},
    {},
    [],
    [1],
]
RAW: list[tuple[bytes, str]] = [
    (b"", "application/json"),
    (b"null", "application/json"),
    (b"3", "application/json"),
    (b'"text"', "application/json"),
    (b"{", "application/json"),
    (b"\xff", "application/json"),
    (b'{"name": "n"}', "application/json; charset=utf-8"),
    (b'{"name": "n"}', "application/vnd.x+json"),
    (b'{"name": "n"}', "text/plain"),
    (b'{"name": "n"}', ""),
    (b"name=n&count=3&count=4", "application/x-www-form-urlencoded"),
    (b"name=", "application/x-www-form-urlencoded"),
    (b"<x/>", "application/xml"),
    (b'{"name": NaN}', "application/json"),
    (
        b'--B\r\nContent-Disposition: form-data; name="name"\r\n\r\nn\r\n--B--\r\n',
        "multipart/form-data; boundary=B",
    ),
]


def bodies(t: Trial, app: Any, path: str) -> None:
    for body in BODIES:
        t.note("sent", json.dumps(body))
        t.ask(app, f"POST {path}", body)
    for raw, kind in RAW:
        t.note("sent", raw.decode("latin-1"))
        t.ask(app, f"POST {path}", raw, Content_Type=kind)


@case
def colander_bodies(t: Trial) -> None:
    v = t.module("validators")
    s = t.service("cb", "/cb", schema=Item(), validators=(v.colander_body_validator,))
    s.add_view("POST", echo)
    s.add_view("GET", echo)
    kept = t.service("kept", "/kept", validators=(v.colander_body_validator,))
    kept.add_view("POST", echo, schema=Kept())
    kept.add_view("PUT", echo, schema=Strict())
    kept.add_view("PATCH", echo)
    app = t.app(s, kept)
    bodies(t, app, "/cb")
    t.ask(app, "GET /cb")
    for method in ("POST", "PUT", "PATCH"):
        t.ask(app, f"{method} /kept", {"a": 1, "b": 2})
        t.ask(app, f"{method} /kept", {"a": "x", "b": 2, "c": 3})


@case
def colander_whole_request(t: Trial) -> None:
    v = t.module("validators")

    class Query(colander.MappingSchema):
        limit = colander.SchemaNode(colander.Integer(), missing=10)

    class Path(colander.MappingSchema):
        id = colander.SchemaNode(colander.Integer())

    class Header(colander.MappingSchema):
        x = colander.SchemaNode(colander.String(), name="X-Foo", missing=colander.drop)

    class Cookies(colander.MappingSchema):
        c = colander.SchemaNode(colander.String(), missing=None)

    class Whole(colander.MappingSchema):
        body = Item(missing=colander.drop)
        querystring = Query()
        path = Path()
        header = Header()
        cookies = Cookies()
        method = colander.SchemaNode(colander.String())
        url = colander.SchemaNode(colander.String())

        def validator(self, node: Any, cstruct: Any) -> None:
            if cstruct["querystring"]["limit"] == 13:
                raise colander.Invalid(node, "thirteen")
            if cstruct["querystring"]["limit"] == 14:
                exc = colander.Invalid(node["body"], "fourteen")
                raise exc
            if cstruct["querystring"]["limit"] == 15:
                error = colander.Invalid(node)
                error["querystring"] = "fifteen"
                raise error

    s = t.service("w", "/w/{id}", schema=Whole(), validators=(v.colander_validator,))
    s.add_view("POST", echo)
    app = t.app(s)
    t.ask(app, "POST /w/1", {"name": "n"}, Cookie="c=5", X_Foo="foo")
    t.ask(app, "POST /w/x?limit=y", {"name": ""})
    for limit in (13, 14, 15):
        t.ask(app, f"POST /w/1?limit={limit}", {"name": "n"})
    for raw, kind in RAW:
        t.ask(app, "POST /w/1", raw, Content_Type=kind)


@case
def colander_other_places(t: Trial) -> None:
    v = t.module("validators")

    class Query(colander.MappingSchema):
        limit = colander.SchemaNode(colander.Integer())
        on = colander.SchemaNode(colander.Boolean(), missing=False)

    s = t.service("o", "/o/{limit}")
    s.add_view("GET", echo, schema=Query(), validators=(v.colander_querystring_validator,))
    s.add_view("PUT", echo, schema=Query(), validators=(v.colander_path_validator,))
    app = t.app(s)
    t.ask(app, "GET /o/1?limit=2&on=true")
    t.ask(app, "GET /o/1?limit=2&limit=3&other=1")
    t.ask(app, "GET /o/1?limit=x")
    t.ask(app, "GET /o/1")
    t.ask(app, "PUT /o/1")
    t.ask(app, "PUT /o/x")


@case
def colander_corners(t: Trial) -> None:
    v = t.module("validators")

    class Numbers(colander.SequenceSchema):
        n = colander.SchemaNode(colander.Integer())

    class Body(colander.MappingSchema):
        body = Numbers()

    class Deep(colander.MappingSchema):
        @colander.instantiate()
        class inner(colander.MappingSchema):  # noqa: N801
            x = colander.SchemaNode(colander.Integer())
            items = Numbers()

        def preparer(self, value: Any) -> Any:
            return value

    class Prepared(colander.MappingSchema):
        n = colander.SchemaNode(colander.String(), preparer=str.upper, title="N", missing="none")
        d = colander.SchemaNode(colander.Date(), missing=None)
        when = colander.SchemaNode(colander.DateTime(), missing=None)
        e = colander.SchemaNode(colander.String(), validator=colander.Email(), missing="")
        o = colander.SchemaNode(
            colander.String(), validator=colander.OneOf(["a", "b"]), missing="a"
        )
        r = colander.SchemaNode(
            colander.String(),
            validator=colander.All(colander.Length(max=2), colander.Regex("^a")),
            missing="a",
        )
        z = colander.SchemaNode(colander.Decimal(), missing=colander.drop)

    s = t.service("k", "/k")
    s.add_view("POST", echo, schema=Body(), validators=(v.colander_validator,))
    s.add_view("PUT", echo, schema=Deep(), validators=(v.colander_body_validator,))
    s.add_view(
        "PATCH",
        lambda request: {k: str(x) for k, x in request.validated.items()},
        schema=Prepared(),
        validators=(v.colander_body_validator,),
    )
    s.add_view("DELETE", echo, schema=Numbers(), validators=(v.colander_body_validator,))
    s.add_view("GET", echo, schema=Deep, validators=(v.colander_body_validator,))
    xml = t.service("xml", "/xml")
    xml.add_view(
        "POST",
        echo,
        schema=Deep(),
        validators=(v.colander_body_validator,),
        deserializer=lambda request: {"inner": {"x": len(request.body), "items": []}},
    )
    app = t.app(s, xml)
    t.ask(app, "POST /k", [1, 2])
    t.ask(app, "POST /k", [1, "x", "y"])
    t.ask(app, "PUT /k", {"inner": {"x": "a", "items": [1, "b"]}})
    t.ask(app, "PUT /k", {"inner": {"x": 1, "items": [1]}})
    t.ask(app, "PUT /k", {"inner": 3})
    t.ask(
        app,
        "PATCH /k",
        {"n": "up", "d": "2026-01-02", "e": "a@b.org", "when": "2026-01-02T03:04:05"},
    )
    t.ask(
        app, "PATCH /k", {"n": 1, "d": "x", "e": "x", "o": "c", "r": "bbb", "when": "y", "z": "q"}
    )
    t.ask(app, "DELETE /k", [1])
    t.ask(app, "GET /k")
    t.ask(app, "POST /xml", b"<xml/>", Content_Type="text/xml")


class MaItem(ma.Schema):
    name = ma.fields.String(required=True, validate=ma.validate.Length(1, 5))
    count = ma.fields.Integer(load_default=7, validate=ma.validate.Range(min=0))
    price = ma.fields.Float()
    tags = ma.fields.List(ma.fields.String())


class MaLoose(MaItem):
    class Meta:
        unknown = ma.EXCLUDE


class MaInclude(ma.Schema):
    class Meta:
        unknown = ma.INCLUDE

    a = ma.fields.Integer()


@case
def marshmallow_bodies(t: Trial) -> None:
    v = t.module("validators")
    s = t.service("mb", "/mb", schema=MaItem, validators=(v.marshmallow_body_validator,))
    s.add_view("POST", echo)
    loose = t.service("loose", "/loose", validators=(v.marshmallow_body_validator,))
    loose.add_view("POST", echo, schema=MaLoose)
    loose.add_view("PUT", echo, schema=MaInclude)
    loose.add_view("PATCH", echo)

    def partial(request: Any, **kw: Any) -> None:
        kw["schema_kwargs"] = {"unknown": ma.EXCLUDE, "partial": True}
        v.marshmallow_body_validator(request, **kw)

    loose.add_view("DELETE", echo, schema=MaItem, validators=partial)
    app = t.app(s, loose)
    bodies(t, app, "/mb")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        t.ask(app, f"{method} /loose", {"name": "n", "a": 1})
        t.ask(app, f"{method} /loose", {"a": "x"})


@case
def marshmallow_whole_request(t: Trial) -> None:
    v = t.module("validators")

    class Query(ma.Schema):
        class Meta:
            unknown = ma.EXCLUDE

        limit = ma.fields.Integer(load_default=10)

    class Path(ma.Schema):
        id = ma.fields.Integer(required=True)

    class Whole(ma.Schema):
        class Meta:
            unknown = ma.EXCLUDE

        body = ma.fields.Nested(MaItem)
        querystring = ma.fields.Nested(Query)
        path = ma.fields.Nested(Path)
        method = ma.fields.String()

        @ma.validates_schema
        def odd(self, data: Any, **kw: Any) -> None:
            if data.get("querystring", {}).get("limit") == 13:
                raise ma.ValidationError("thirteen")
            if data.get("querystring", {}).get("limit") == 14:
                raise ma.ValidationError({"body": {"name": ["fourteen"]}})
            if data.get("querystring", {}).get("limit") == 15:
                raise ma.ValidationError("fifteen", field_name="querystring")

    s = t.service("w", "/w/{id}", schema=Whole, validators=(v.marshmallow_validator,))
    s.add_view("POST", echo)
    app = t.app(s)
    t.ask(app, "POST /w/1", {"name": "n"})
    t.ask(app, "POST /w/x?limit=y", {"name": ""})
    for limit in (13, 14, 15):
        t.ask(app, f"POST /w/1?limit={limit}", {"name": "n"})
    for raw, kind in RAW:
        t.ask(app, "POST /w/1", raw, Content_Type=kind)


@case
def marshmallow_other_places(t: Trial) -> None:
    v = t.module("validators")

    class Query(ma.Schema):
        class Meta:
            unknown = ma.EXCLUDE

        limit = ma.fields.Integer(required=True)
        on = ma.fields.Boolean(load_default=False)

    class Header(ma.Schema):
        class Meta:
            unknown = ma.EXCLUDE

        h = ma.fields.Integer(data_key="X-Num", required=True)

    class Hooked(ma.Schema):
        class Meta:
            unknown = ma.EXCLUDE

        a = ma.fields.Integer()

        @ma.pre_load
        def before(self, data: Any, **kw: Any) -> Any:
            return {**data, "a": data.get("a", 1)}

        @ma.post_load
        def after(self, data: Any, **kw: Any) -> Any:
            return {**data, "after": True}

    s = t.service("o", "/o/{limit}")
    s.add_view("GET", echo, schema=Query, validators=(v.marshmallow_querystring_validator,))
    s.add_view("PUT", echo, schema=Query, validators=(v.marshmallow_path_validator,))
    s.add_view("DELETE", echo, schema=Header, validators=(v.marshmallow_headers_validator,))
    s.add_view("POST", echo, schema=Hooked, validators=(v.marshmallow_body_validator,))
    s.add_view(
        "PATCH",
        echo,
        schema=Query,
        validators=(v.marshmallow_path_validator, v.marshmallow_querystring_validator),
    )
    inst = t.service("inst", "/inst")
    inst.add_view("POST", echo, schema=MaItem(), validators=(v.marshmallow_body_validator,))
    inst.add_view("PUT", echo, schema=MaItem(), validators=(v.marshmallow_validator,))
    app = t.app(s, inst)
    t.ask(app, "GET /o/1?limit=2&on=true")
    t.ask(app, "GET /o/1?limit=2&limit=3&other=1")
    t.ask(app, "GET /o/1?limit=x")
    t.ask(app, "GET /o/1")
    t.ask(app, "PUT /o/1")
    t.ask(app, "PUT /o/x")
    t.ask(app, "DELETE /o/1", X_Num="4")
    t.ask(app, "DELETE /o/1", X_Num="z")
    t.ask(app, "DELETE /o/1")
    t.ask(app, "POST /o/1", {"a": 5})
    t.ask(app, "POST /o/1", {})
    t.ask(app, "POST /o/1", {"a": "x"})
    t.ask(app, "PATCH /o/1?limit=2")
    t.ask(app, "PATCH /o/x?limit=y")
    t.ask(app, "POST /inst", {"name": "n"})
    t.ask(app, "PUT /inst", {"name": "n"})


@case
def marshmallow_whole_body_schemas(t: Trial) -> None:
    v = t.module("validators")

    class Checked(ma.Schema):
        class Meta:
            unknown = ma.EXCLUDE

        name = ma.fields.String()
        inner = ma.fields.Nested(MaItem)
        many = ma.fields.List(ma.fields.Nested(MaItem))

        @ma.validates_schema
        def whole(self, data: Any, **kw: Any) -> None:
            if data.get("name") == "bad":
                raise ma.ValidationError("bad name")
            if data.get("name") == "field":
                raise ma.ValidationError("bad field", "name")

        @ma.validates("name")
        def one(self, value: Any, **kw: Any) -> None:
            if value == "one":
                raise ma.ValidationError(["first", "second"])

    s = t.service("x", "/x", schema=Checked, validators=(v.marshmallow_body_validator,))
    s.add_view("POST", echo)
    app = t.app(s)
    for body in (
        {"name": "bad"},
        {"name": "field"},
        {"name": "one"},
        {"inner": {}},
        {"inner": {"name": "toolong", "x": 1}},
        {"many": [{"name": "a"}, {"name": ""}, 3]},
    ):
        t.note("sent", json.dumps(body))
        t.ask(app, "POST /x", body)


@case
def extracting(t: Trial) -> None:
    extract = t.module("validators").extract_cstruct

    def show(request: Any) -> Any:
        found = extract(request)
        keys = sorted(found)
        body = found["body"]
        shown = body.decode() if isinstance(body, bytes) else repr(type(body).__name__)
        return {
            "keys": keys,
            "body": shown,
            "path": found["path"],
            "query": dict(found["querystring"]),
            "method": found["method"],
            "url": found["url"],
            "cookies": dict(found["cookies"]),
            "errors": len(request.errors),
        }

    s = t.service("ex", "/ex/{a}")
    s.add_view("POST", show)
    app = t.app(s)
    for raw, kind in RAW:
        t.note("sent", raw.decode("latin-1"))
        t.ask(app, "POST /ex/1?q=2", raw, Content_Type=kind)
    util = t.module("util")
    from pyramid.testing import DummyRequest

    request = DummyRequest()
    request.errors = t.module("errors").Errors()
    request.body = b""
    request.content_type = "application/json"
    t.note("empty", util.extract_json_data(request))
    request.body = b"[1]"
    request.json_body = [1]
    t.note("list", util.extract_json_data(request))
