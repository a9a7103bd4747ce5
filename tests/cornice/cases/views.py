"""Views, answers, renderers, filters, classes, routes."""

import decimal
from typing import Any

from pyramid.httpexceptions import HTTPForbidden, HTTPNotFound, HTTPSeeOther
from pyramid.response import Response

from tests.cornice.probe import Trial, case


@case
def plain_views(t: Trial) -> None:
    s = t.service("plain", "/plain/{id}", description="Plain.")

    @s.get()
    def get(request: Any) -> Any:
        "Reads."
        return {"id": request.matchdict["id"], "e": "é"}

    @s.post()
    def post(request: Any) -> Any:
        request.response.status = 201
        request.response.headers["X-Own"] = "1"
        return [1, 2]

    @s.put()
    def put(request: Any) -> Any:
        return None

    @s.delete()
    def delete(request: Any) -> Any:
        request.response.status = 204
        return {"gone": True}

    @s.patch()
    def patch(request: Any) -> Any:
        return Response("raw", content_type="text/plain")

    app = t.app(s)
    for line in (
        "GET /plain/1",
        "HEAD /plain/1",
        "POST /plain/1",
        "PUT /plain/1",
        "DELETE /plain/1",
        "PATCH /plain/1",
        "OPTIONS /plain/1",
        "TRACE /plain/1",
        "GET /nothing",
        "GET /plain/",
        "GET /plain/1/",
    ):
        t.ask(app, line)
    t.ask(app, "GET /plain/1", Accept="text/plain")
    t.ask(app, "GET /plain/1", Accept="text/html")
    t.ask(app, "GET /plain/1", Accept="application/*;q=0.3, text/plain;q=0.5")
    t.ask(app, "GET /plain/1", Accept="*/*")
    t.ask(app, "GET /plain/1", Accept="")
    t.ask(app, "OPTIONS /plain/1", Accept="application/json")
    t.ask(app, "GET /nothing", Accept="application/json")


@case
def values_that_views_return(t: Trial) -> None:
    s = t.service("values", "/v/{kind}")
    values: dict[str, Any] = {
        "text": "text",
        "number": 3,
        "bytes": b"by\xc3\xa9",
        "inner": {"b": b"x"},
        "true": True,
        "empty": {},
        "list": [],
        "html": "</script>",
    }

    @s.get()
    def get(request: Any) -> Any:
        kind = request.matchdict["kind"]
        if kind == "decimal":
            return {"d": decimal.Decimal("1.2")}
        return values[kind]

    app = t.app(s)
    for kind in (*values, "decimal", "unknown"):
        t.ask(app, f"GET /v/{kind}")

    class Odd:
        def __json__(self, request: Any) -> Any:
            return {"odd": request.method}

    values["odd"] = {"o": Odd()}
    t.ask(app, "GET /v/odd")


@case
def renderers_and_serializers(t: Trial) -> None:
    s = t.service("r", "/r")
    s.add_view("GET", lambda request: {"a": 1}, renderer="json")
    s.add_view("POST", lambda request: "text", renderer="string")
    s.add_view("PUT", lambda request: {"d": decimal.Decimal("1.5")}, renderer="own")
    s.add_view("PATCH", lambda request: {"s": {1}})
    renderer = t.module("renderer").CorniceRenderer

    def more(config: Any) -> None:
        own = renderer(indent=2)
        own.add_adapter(decimal.Decimal, lambda value, request: float(value))
        config.add_renderer("own", own)
        sets = renderer()
        sets.add_adapter(set, lambda value, request: sorted(value))
        config.add_renderer("cornicejson", sets)

    app = t.app(s, more=more)
    for line in ("GET /r", "POST /r", "PUT /r", "PATCH /r"):
        t.ask(app, line)
    t.note("acceptable", renderer.acceptable)


@case
def own_renderer_subclass(t: Trial) -> None:
    base = t.module("renderer").CorniceRenderer

    class Mine(base):  # type: ignore[misc]
        acceptable = (*base.acceptable, "application/vnd.mine+json")

        def render_errors(self, request: Any) -> Any:
            return Response(json_body={"bad": [e["name"] for e in request.errors]}, status=422)

    class MyService(t.service):  # type: ignore[misc,name-defined]
        renderer = "mine"

    s = MyService("own", "/own")

    def wrong(request: Any, **kw: Any) -> None:
        if request.params.get("bad"):
            request.errors.add("querystring", "bad", "it is")

    s.add_view("GET", lambda request: {"ok": 1}, validators=(wrong,))
    mine = Mine()
    app = t.app(s, more=lambda config: config.add_renderer("mine", mine))
    t.ask(app, "GET /own")
    t.ask(app, "GET /own?bad=1")
    t.ask(app, "GET /own", Accept="application/vnd.mine+json")


@case
def filters(t: Trial) -> None:
    def one(response: Any) -> Any:
        response.headers["X-One"] = "1"
        return response

    def two(response: Any, request: Any) -> Any:
        response.headers["X-Two"] = request.method
        return response

    def three(response: Any) -> Any:
        response.body = b'"three"'
        return response

    s = t.service("f", "/f", filters=one)
    s.add_view("GET", lambda request: {}, filters=(two,))
    s.add_view("POST", lambda request: {}, filters=(two, three), exclude=one)
    s.add_view("PUT", lambda request: request.errors.add("body", "x", "y"))
    s.add_view("DELETE", lambda request: 1 / 0)
    app = t.app(s)
    for line in ("GET /f", "POST /f", "PUT /f", "PATCH /f", "DELETE /f", "OPTIONS /f"):
        t.ask(app, line)
    t.note("filters", [[d[0], [f.__name__ for f in d[2]["filters"]]] for d in s.definitions])


@case
def project_defaults_by_subclass(t: Trial) -> None:
    def check(request: Any, **kw: Any) -> None:
        request.info["checked"] = True

    def mark(response: Any) -> Any:
        response.headers["X-Mark"] = "1"
        return response

    class Mine(t.service):  # type: ignore[misc,name-defined]
        renderer = "json"
        default_validators = (check,)
        default_filters = (mark,)
        default_cors_headers = ("X-Backoff",)
        default_cors_origins = ("http://a.org",)
        cors_max_age = 77
        cors_origins = ("*",)

        def error_handler(self, request: Any) -> Any:
            return Response(f"{self.name}: {len(request.errors)}", status=499)

    s = Mine("mine", "/mine")
    s.add_view("GET", lambda request: request.info)

    def bad(request: Any, **kw: Any) -> None:
        request.errors.add("body", "x", "y")

    s.add_view("POST", lambda request: {}, validators=bad, cors_headers=("X-Post",))
    app = t.app(s)
    t.ask(app, "GET /mine")
    t.ask(app, "POST /mine")
    t.ask(app, "GET /mine", Origin="http://a.org")
    t.ask(app, "OPTIONS /mine", Origin="http://b.org", Access_Control_Request_Method="POST")
    t.note("validators", [getattr(v, "__name__", "cors") for v in s.get_validators("POST")])
    t.note("origins", sorted(s.cors_supported_origins))
    t.note("origins for", [sorted(s.cors_origins_for("GET")), sorted(s.cors_origins_for("POST"))])
    t.note("headers", sorted(s.cors_supported_headers_for("POST")))
    t.note("headers of all", sorted(s.cors_supported_headers_for()))
    t.note("age", s.cors_max_age_for("GET"))


@case
def classes_as_views(t: Trial) -> None:
    class Temp:
        def __init__(self, request: Any) -> None:
            self.request = request

        def get(self) -> Any:
            return {"class": "Temp", "q": self.request.params.get("q")}

        def check(self, request: Any, **kw: Any) -> None:
            if "bad" in request.params:
                request.errors.add("querystring", "bad", type(self).__name__)

    class WithContext:
        def __init__(self, request: Any, context: Any = None) -> None:
            self.request, self.context = request, context

        def get(self) -> Any:
            return {"context": self.context}

        def post(self) -> Any:
            return {"request": self.request.method, "context": repr(self.context)}

    class Root(dict):  # type: ignore[type-arg]
        def __init__(self, request: Any) -> None:
            super().__init__(root=request.method)

        def __repr__(self) -> str:
            return "Root"

    a = t.service("a", "/a", klass=Temp)
    a.add_view("GET", "get", validators=("check",))
    a.add_view("POST", Temp.get)
    b = t.service("b", "/b", klass=WithContext, factory=Root)
    b.add_view("get", "get")
    c = t.service("c", "/c")
    c.add_view("GET", "get", klass=WithContext)
    c.add_view("POST", "post", klass=WithContext)
    app = t.app(a, b, c)
    for line in (
        "GET /a?q=1",
        "GET /a?bad=1",
        "GET /b",
        "GET /c",
        "POST /c",
        "POST /a",
    ):
        t.ask(app, line)
    t.note(
        "views",
        [[d[0], str(d[1] if isinstance(d[1], str) else d[1].__name__)] for d in a.definitions],
    )


@case
def routes(t: Trial) -> None:
    s = t.service("byroute", pyramid_route="own")
    s.add_view("GET", lambda request: {"route": request.matched_route.name, **request.matchdict})

    class Root:
        def __init__(self, request: Any) -> None:
            self.name = "root"

        def __getitem__(self, key: str) -> Any:
            child = Root(None)
            child.name = key
            return child

    tr = t.service("trav", "/t/{x}", factory=Root, traverse="/{x}")
    tr.add_view("GET", lambda request: {"ctx": request.context.name})
    num = t.service("num", r"/n/{x:\d+}")
    num.add_view("GET", lambda request: request.matchdict)
    rest = t.service("rest", "/rest/*rest")
    rest.add_view("GET", lambda request: request.matchdict)
    same = t.service("same", "/same")
    same.add_view("GET", lambda request: {"who": "first"})
    same2 = t.service("same2", "/same")
    same2.add_view("POST", lambda request: {"who": "second"})
    pred = t.service("pred", "/pred", request_param="x", header="X-It")
    pred.add_view("GET", lambda request: {"who": "pred"})

    def more(config: Any) -> None:
        config.add_route("own", "/own/{z}")

    app = t.app(s, tr, num, rest, same, same2, pred, more=more)
    for line in (
        "GET /own/1",
        "POST /own/1",
        "GET /t/abc",
        "GET /n/12",
        "GET /n/x",
        "GET /rest/a/b",
        "GET /same",
        "POST /same",
        "GET /pred",
        "GET /pred?x=1",
    ):
        t.ask(app, line)
    t.ask(app, "GET /pred?x=1", X_It="1")
    t.note("keys", sorted(app.app.registry.cornice_services))


@case
def route_prefix(t: Trial) -> None:
    def mark(response: Any) -> Any:
        response.headers["X-Mark"] = "1"
        return response

    s = t.service("p", "/p", filters=mark, cors_origins=("*",))

    @s.get()
    def get(request: Any) -> Any:
        known = t.module("util").current_service(request)
        return {
            "service": known and known.name,
            "same": request.current_service is known,
            "url": request.route_path("p"),
        }

    app = t.app(s, prefix="v1")
    t.ask(app, "GET /p")
    t.ask(app, "GET /v1/p")
    t.ask(app, "GET /v1/p", Origin="http://x.org")
    t.ask(app, "OPTIONS /v1/p", Origin="http://x.org", Access_Control_Request_Method="GET")
    t.note("keys", sorted(app.app.registry.cornice_services))


@case
def predicates_and_several_views(t: Trial) -> None:
    s = t.service("sv", "/sv")
    s.add_view("GET", lambda request: {"v": "x"}, request_param="x")
    s.add_view("GET", lambda request: {"v": "header"}, header="X-H")
    s.add_view("POST", lambda request: {"v": "any"})
    only = t.service("only", "/only")
    only.add_view("GET", lambda request: {"v": "x"}, request_param="x")

    def twice(view: Any) -> Any:
        def inner(context: Any, request: Any) -> Any:
            response = view(context, request)
            response.headers["X-Twice"] = "1"
            return response

        return inner

    deco = t.service("deco", "/deco", decorator=twice)
    deco.add_view("GET", lambda request: {})
    deco.add_view("POST", lambda request: {}, decorator=None)
    app = t.app(s, only, deco)
    for line in ("GET /sv?x=1", "GET /sv", "POST /sv", "GET /only", "GET /only?x=1", "GET /deco"):
        t.ask(app, line)
    t.ask(app, "GET /sv", X_H="1")


@case
def raised_errors(t: Trial) -> None:
    s = t.service("e", "/e/{kind}", cors_origins=("*",))

    @s.get()
    def get(request: Any) -> Any:
        kind = request.matchdict["kind"]
        raise {
            "404": HTTPNotFound("no such thing"),
            "403": HTTPForbidden(),
            "303": HTTPSeeOther("/elsewhere"),
            "value": ValueError("x"),
        }[kind]

    app = t.app(s)
    for kind in ("404", "403", "303", "value"):
        t.ask(app, f"GET /e/{kind}", Origin="http://x.org")
    t.ask(app, "GET /zzz", Origin="http://x.org")
    quiet = t.app(s, settings={"handle_exceptions": "false"})
    for kind in ("404", "403", "value"):
        t.ask(quiet, f"GET /e/{kind}", Origin="http://x.org")

    def own(exc: Any, request: Any) -> Any:
        return Response(f"own {type(exc).__name__}", status=500)

    handled = t.app(s, more=lambda config: config.add_view(own, context=ValueError))
    t.ask(handled, "GET /e/value", Origin="http://x.org")
    t.ask(handled, "GET /e/404", Origin="http://x.org")


@case
def ordinary_pyramid_views(t: Trial) -> None:
    def hello(request: Any) -> Any:
        return {
            "validated": request.validated,
            "errors": list(request.errors),
            "status": request.errors.status,
            "info": request.info,
            "service": request.current_service,
        }

    def more(config: Any) -> None:
        config.add_route("hello", "/hello")
        config.add_view(hello, route_name="hello", renderer="cornicejson")
        config.add_route("typed", "/typed")
        config.add_view(hello, route_name="typed", renderer="json", content_type="text/x")

    app = t.app(more=more)
    t.ask(app, "GET /hello")
    t.ask(app, "POST /typed", b"x", Content_Type="text/x; charset=utf-8")
    t.ask(app, "POST /typed", b"x", Content_Type="text/y")
