"""Cross-origin requests and what a service says about them."""

from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.response import Response

from tests.cornice.probe import Trial, case

ASK = "Access_Control_Request_Method"


@case
def origins(t: Trial) -> None:
    s = t.service(
        "o",
        "/o",
        cors_origins=("http://a.org", "*.b.org"),
        cors_headers=("X-One", "X-Two"),
        cors_max_age=60,
    )
    s.add_view("GET", lambda request: {}, cors_headers=("X-Get",))
    s.add_view("POST", lambda request: {}, cors_origins=("http://p.org",), cors_max_age=5)
    s.add_view("PUT", lambda request: {}, cors_credentials=True)
    s.add_view("DELETE", lambda request: {}, cors_enabled=False)
    s.add_view("PATCH", lambda request: Response("x"), cors_expose_all_headers=False)
    app = t.app(s)
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        t.ask(app, f"{method} /o")
        for origin in ("http://a.org", "http://p.org", "http://x.b.org", "http://evil.org"):
            t.ask(app, f"{method} /o", Origin=origin)
            t.ask(app, "OPTIONS /o", Origin=origin, **{ASK: method})
    t.ask(app, "OPTIONS /o")
    t.ask(app, "OPTIONS /o", Origin="http://a.org")
    t.ask(app, "OPTIONS /o", **{ASK: "GET"})
    t.ask(app, "OPTIONS /o", Origin="http://a.org", **{ASK: "TRACE"})
    t.ask(app, "OPTIONS /o", Origin="http://a.org", **{ASK: "get"})
    for wanted in ("X-One", "x-one, X-TWO", "X-Nope", "X-Get", "Content-Type, Accept", ""):
        t.ask(
            app,
            "OPTIONS /o",
            Origin="http://a.org",
            Access_Control_Request_Headers=wanted,
            **{ASK: "GET"},
        )
    t.note("enabled", s.cors_enabled)
    t.note("methods", list(s.cors_supported_methods))
    t.note("origins", sorted(s.cors_supported_origins))
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        t.note(
            method,
            [
                sorted(s.cors_supported_headers_for(method)),
                sorted(s.cors_origins_for(method)),
                s.cors_support_credentials_for(method),
                s.cors_max_age_for(method),
            ],
        )
    t.note("all", [s.cors_support_credentials_for(), s.cors_max_age_for()])


@case
def policy_and_switches(t: Trial) -> None:
    policy = {"origins": ("http://a.org",), "headers": ("X-A",), "credentials": True, "max_age": 3}
    p = t.service("p", "/p", cors_policy=policy)
    p.add_view("GET", lambda request: {})
    off = t.service("off", "/off", cors_policy={"origins": ("*",), "enabled": False})
    off.add_view("GET", lambda request: {})
    star = t.service("star", "/star", cors_policy={"origins": ("*",), "headers": ("*",)})
    star.add_view("GET", lambda request: {})
    cred = t.service("cred", "/cred", cors_origins=("*",), cors_credentials=True)
    cred.add_view("GET", lambda request: {})
    none = t.service("none", "/none")
    none.add_view("GET", lambda request: {})
    headers = t.service("headers", "/headers", cors_headers=("X-A",))
    headers.add_view("GET", lambda request: {})
    wide = t.service(
        "wide", "/wide", cors_origins=("*",), cors_expose_all_headers=False, cors_headers=("X-B",)
    )
    wide.add_view("GET", lambda request: {})
    services = (p, off, star, cred, none, headers, wide)
    app = t.app(*services)
    for s in services:
        t.note(
            s.name,
            [s.cors_enabled, sorted(s.cors_supported_methods), sorted(s.cors_supported_origins)],
        )
        t.note(
            "attributes", [getattr(s, "cors_expose_all_headers", "-"), sorted(s.defined_methods)]
        )
        t.ask(app, f"GET /{s.name}")
        for origin in ("http://a.org", "null"):
            t.ask(app, f"GET /{s.name}", Origin=origin)
            t.ask(app, f"OPTIONS /{s.name}", Origin=origin, **{ASK: "GET"})
            t.ask(
                app,
                f"OPTIONS /{s.name}",
                Origin=origin,
                Access_Control_Request_Headers="X-A, X-Z",
                **{ASK: "GET"},
            )
    always = t.app(star, none, p, settings={"cornice.always_cors": "true"})
    for name in ("star", "none", "p"):
        t.ask(always, f"GET /{name}")
        t.ask(always, f"OPTIONS /{name}", **{ASK: "GET"})
        t.ask(always, f"GET /{name}", Origin="http://a.org")


@case
def sharing_and_other_answers(t: Trial) -> None:
    def deny(request: Any) -> None:
        raise HTTPNotFound()

    def bad(request: Any, **kw: Any) -> None:
        request.errors.add("body", "x", "y")

    own_options = t.service("own", "/own", cors_origins=("*",))
    own_options.add_view("GET", lambda request: {})
    own_options.add_view("OPTIONS", lambda request: {"own": True})
    s = t.service("s", "/s", cors_origins=("http://a.org",))
    s.add_view("GET", deny)
    s.add_view("POST", lambda request: {}, validators=bad)
    s.add_view("PUT", lambda request: {}, accept="application/json")
    s.add_view("PATCH", lambda request: 1 / 0)
    s.add_view("DELETE", lambda request: {}, permission="never")

    class Deny:
        def __init__(self, request: Any) -> None:
            pass

    class Policy:
        def permits(self, request: Any, context: Any, permission: Any) -> bool:
            return False

        def identity(self, request: Any) -> None:
            return None

        authenticated_userid = identity

        def forget(self, request: Any) -> list[Any]:
            return []

    def more(config: Any) -> None:
        config.set_security_policy(Policy())
        config.set_default_permission("everything")

    app = t.app(own_options, s, more=more)
    for line in (
        "GET /own",
        "OPTIONS /own",
        "GET /s",
        "POST /s",
        "DELETE /s",
        "TRACE /s",
        "GET /zz",
    ):
        t.ask(app, line, Origin="http://a.org")
    t.ask(app, "OPTIONS /s", Origin="http://a.org", **{ASK: "DELETE"})
    t.ask(app, "OPTIONS /s", Origin="http://e.org", **{ASK: "DELETE"})
    app = t.app(s)
    for line in ("GET /s", "POST /s", "DELETE /s", "PATCH /s", "TRACE /s"):
        t.ask(app, line, Origin="http://a.org")
        t.ask(app, line, Origin="http://evil.org")
    t.ask(app, "PUT /s", Origin="http://a.org", Accept="text/html")


@case
def sharing_functions(t: Trial) -> None:
    from pyramid.request import Request

    cors = t.module("cors")
    t.note("parameters", list(cors.CORS_PARAMETERS))
    s = t.service(
        "s", "/s", cors_origins=("http://a.org",), cors_credentials=True, cors_headers=("X-A",)
    )
    s.add_view("GET", lambda request: {})
    t.app(s)
    request = Request.blank("/s", headers={"Origin": "http://a.org"})
    request.info = {}
    request.errors = t.module("errors").Errors()
    request.registry = t.configurator().registry
    response = Response()
    cors.ensure_origin(s, request, response)
    t.note("ensured", sorted([k, v] for k, v in response.headers.items() if k.startswith("Access")))
    t.note("info", request.info)
    request.info = {}
    response = Response()
    cors.apply_cors_post_request(s, request, response)
    t.note("applied", sorted([k, v] for k, v in response.headers.items() if k.startswith("Access")))
    request = Request.blank("/s", headers={"Origin": "http://e.org"})
    request.info = {}
    request.errors = t.module("errors").Errors()
    request.registry = t.configurator().registry
    cors.ensure_origin(s, request)
    t.note("errors", list(request.errors))
    view = cors.get_cors_preflight_view(s)
    t.note("preflight", callable(view))
    t.note("validator", callable(cors.get_cors_validator(s)))
