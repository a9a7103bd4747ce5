"""Accept and Content-Type."""

from typing import Any

from tests.cornice.probe import Trial, case


@case
def accepting(t: Trial) -> None:
    s = t.service("a", "/a")
    s.add_view("GET", lambda request: {"v": "json"}, accept="application/json")
    s.add_view("GET", lambda request: "html", accept="text/html", renderer="string")
    s.add_view("POST", lambda request: {"v": "list"}, accept=["application/json", "text/x"])
    s.add_view("PUT", lambda request: {"v": "call"}, accept=lambda request: ["text/call"])
    s.add_view("DELETE", lambda request: {"v": "call"}, accept=lambda request: "text/call")
    s.add_view("PATCH", lambda request: {"v": "any"})
    app = t.app(s)
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        t.ask(app, f"{method} /a")
        for accept in (
            "application/json",
            "text/html",
            "text/*",
            "*/*",
            "text/html;q=0.1, application/json;q=0.9",
            "text/x",
            "text/call",
            "image/png",
            "garbage",
            "application/json; charset=utf-8",
        ):
            t.ask(app, f"{method} /a", Accept=accept)
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        t.note(method, sorted(str(x) for x in s.get_acceptable(method, filter_callables=True)))
        t.note("with callables", len(s.get_acceptable(method)))


@case
def accept_of_the_service(t: Trial) -> None:
    s = t.service("s", "/s", accept="application/json")
    s.add_view("GET", lambda request: {"v": "json"})
    s.add_view("GET", lambda request: "text", accept="text/plain", renderer="string")
    app = t.app(s)
    for accept in ("application/json", "text/plain", "image/png", "*/*"):
        t.ask(app, "GET /s", Accept=accept)
    t.ask(app, "GET /s")
    t.note("get", sorted(s.get_acceptable("GET")))


@case
def content_types(t: Trial) -> None:
    s = t.service("c", "/c")
    s.add_view("POST", lambda request: {"v": "json"}, content_type="application/json")
    s.add_view("PUT", lambda request: {"v": "list"}, content_type=("text/a", "text/b"))
    s.add_view("PATCH", lambda request: {"v": "call"}, content_type=lambda request: ["text/call"])
    s.add_view("DELETE", lambda request: {"v": "call"}, content_type=lambda request: "text/call")
    s.add_view("GET", lambda request: {"v": "get"}, content_type="text/get")
    app = t.app(s)
    for method in ("POST", "PUT", "PATCH", "DELETE", "GET"):
        for kind in (
            "application/json",
            "application/json; charset=utf-8",
            "text/xml",
            "text/a",
            "text/b",
            "text/call",
            "application/vnd.x+json",
            "APPLICATION/JSON",
            "text/get",
            "",
        ):
            t.ask(app, f"{method} /c", b"{}", Content_Type=kind)
        t.ask(app, f"{method} /c", b"")
        t.note(method, sorted(str(x) for x in s.get_contenttypes(method, filter_callables=True)))


@case
def both(t: Trial) -> None:
    s = t.service("b", "/b", cors_origins=("*",))
    s.add_view(
        "POST",
        lambda request: {"v": 1},
        accept=("application/json", "text/json"),
        content_type=("application/json", "text/own"),
    )
    s.add_view("POST", lambda request: {"v": 2}, accept="text/two", content_type="text/two")
    app = t.app(s)
    for accept in ("application/json", "text/two", "image/png", None):
        for kind in ("application/json", "text/two", "text/own", "image/png"):
            headers = {"Content_Type": kind, **({"Accept": accept} if accept else {})}
            t.ask(app, "POST /b", b"{}", **headers)
    t.ask(app, "PUT /b", b"{}", Accept="image/png", Origin="http://o.org")
    t.ask(app, "POST /b", b"{}", Accept="image/png", Origin="http://o.org")


@case
def negotiation_and_errors(t: Trial) -> None:
    from pyramid.response import Response

    def handler(request: Any) -> Any:
        return Response(
            json_body={"where": [e["location"] for e in request.errors]},
            status=request.errors.status,
        )

    s = t.service("e", "/e", error_handler=handler)
    s.add_view("GET", lambda request: {}, accept="text/x", request_param="x")
    s.add_view("POST", lambda request: {}, content_type="text/x", error_handler=handler)
    app = t.app(s)
    t.ask(app, "GET /e?x=1", Accept="text/x")
    t.ask(app, "GET /e", Accept="text/x")


@case
def matching_functions(t: Trial) -> None:
    from pyramid.request import Request

    util = t.module("util")
    request = Request.blank(
        "/", headers={"Content-Type": "text/x; charset=utf-8", "Accept": "text/y"}
    )
    request.info = {}
    t.note("content type", util.content_type_matches(request, ["text/x"]))
    t.note("content type not", util.content_type_matches(request, ["text/y"]))
    t.note("accept", util.match_accept_header(lambda r: ["text/y"], None, request))
    t.note("accept not", util.match_accept_header(lambda r: ["text/z"], None, request))
    t.note("accept one", util.match_accept_header(lambda r: "text/y", None, request))
    t.note("content", util.match_content_type_header(lambda r: ["text/x"], None, request))
    t.note("to_list", [util.to_list(x) for x in (None, "a", ["a"], ("a", "b"), 3, {})])
    t.note("is_string", [util.is_string(x) for x in ("a", b"a", 3)])
    t.note("info", sorted(request.info))
    predicate = util.ContentTypePredicate("text/x", None)
    t.note("text", [predicate.text(), predicate.phash(), predicate(None, request)])
    t.note("name", util.func_name(lambda: None))
