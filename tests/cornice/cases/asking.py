"""What services tell about themselves, and hooks."""

from typing import Any

from tests.cornice.probe import Trial, case


def view(request: Any) -> Any:
    "Says hello."
    return {}


@case
def definitions(t: Trial) -> None:
    s = t.service("d", "/d", description="D.", renderer="json", tags=["x"], permission="p")
    s.add_view("get", view, accept="text/x")
    s.decorator("POST", schema=3)(view)
    t.note("repr", repr(s))
    t.note("definitions", [[m, v.__name__, sorted(a)] for m, v, a in s.definitions])
    t.note("methods", list(s.defined_methods))
    t.note(
        "values", [s.name, s.path, s.description, s.renderer, s.tags, s.permission, s.pyramid_route]
    )
    t.note("arguments", sorted(k for k in s.arguments))
    t.note(
        "one",
        [
            s.definitions[0][2]["accept"],
            s.definitions[0][2].get("tags"),
            s.definitions[2][2].get("schema"),
        ],
    )
    t.note("docstring", s.definitions[0][1].__doc__)
    t.note("filters", [len(s.default_filters), len(s.default_validators)])
    t.note("lists", [list(s.list_arguments), list(s.mandatory_arguments)])
    t.note("filter list", sorted(s.filter_argumentlist("GET", "accept")))
    t.note("get_arguments", sorted(s.get_arguments({"validators": view})))
    t.note("validators", [len(s.get_validators("GET")), len(s.get_validators("PUT"))])
    t.refused("no path", lambda: t.service("n"))
    t.refused("path and route", lambda: t.service("n", "/n", pyramid_route="n"))
    t.refused("acl", lambda: t.service("n", "/n", acl=view))
    t.refused("acl of view", lambda: s.add_view("PUT", view, acl=view))
    t.refused("unknown method", lambda: t.app(_with(t, "FOO")))


def _with(t: Trial, method: str) -> Any:
    s = t.service("m", "/m")
    s.add_view(method, view)
    return s


@case
def lists_of_services(t: Trial) -> None:
    m = t.module("service")
    m.clear_services()
    for name in "abc":
        t.service(name, f"/{name}")
    t.note("all", [s.name for s in m.get_services()])
    t.note("names", [s.name for s in m.get_services(names=["a", "c"])])
    t.note("exclude", [s.name for s in m.get_services(exclude=["a"])])
    t.note("global", len(m.SERVICES))
    m.clear_services()
    t.note("cleared", len(m.get_services()))
    t.note("same names", t.module().Service is m.Service)


@case
def own_wrappers(t: Trial) -> None:
    class Mine(t.service):  # type: ignore[misc,name-defined]
        def get_view_wrapper(self, kwargs: Any) -> Any:
            word = str(kwargs.get("renderer"))

            def wrapper(view: Any) -> Any:
                def inner(request: Any) -> Any:
                    return {"word": word, "inner": view(request)}

                return inner

            return wrapper

    s = Mine("w", "/w")

    @s.get(renderer="json")
    def get(request: Any) -> Any:
        return {"a": 1}

    @s.post()
    def post(request: Any) -> Any:
        return {"b": 1}

    s.add_view("PUT", lambda request: {"c": 1})
    t.note("decorated is the function", get.__name__)
    app = t.app(s)
    for line in ("GET /w", "POST /w", "PUT /w"):
        t.ask(app, line)


@case
def current_services(t: Trial) -> None:
    util = t.module("util")

    def show(request: Any) -> Any:
        s = util.current_service(request)
        return {
            "name": s.name if s else None,
            "attr": getattr(request.current_service, "name", None),
        }

    a = t.service("a", "/a/{x}")
    a.add_view("GET", show)
    b = t.service("b", pyramid_route="broute")
    b.add_view("GET", show)

    def more(config: Any) -> None:
        config.add_route("broute", "/b/{x}")
        config.add_route("other", "/other")
        config.add_view(show, route_name="other", renderer="json")
        config.add_view(show, name="traversed", renderer="json")

    app = t.app(a, b, more=more)
    for line in ("GET /a/1", "GET /b/1", "GET /other", "GET /traversed"):
        t.ask(app, line)


@case
def filters_and_statuses(t: Trial) -> None:
    from pyramid.httpexceptions import HTTPNotFound
    from pyramid.response import Response

    def mark(response: Any) -> Any:
        response.headers["X-Mark"] = "1"
        return response

    def bad(request: Any, **kw: Any) -> None:
        request.errors.add("body", "x", "y")

    def status(request: Any) -> Any:
        request.response.status = 404
        return {}

    def raises(request: Any) -> Any:
        raise HTTPNotFound()

    s = t.service(
        "f", "/f", filters=mark, cors_origins=("*",), error_handler=lambda request: Response("ok")
    )
    s.add_view("GET", status)
    s.add_view("POST", raises)
    s.add_view("PUT", lambda request: Response("x", status=500))
    s.add_view("PATCH", lambda request: {}, validators=bad)
    s.add_view("DELETE", lambda request: HTTPNotFound())
    app = t.app(s)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        t.ask(app, f"{method} /f")

    def replaced(response: Any) -> Any:
        return Response("other")

    n = t.service("n", "/n", filters=replaced)
    n.add_view("GET", lambda request: {})
    t.ask(t.app(n), "GET /n")


@case
def languages(t: Trial) -> None:
    from pyramid.i18n import get_localizer

    s = t.service("l", "/l")
    s.add_view(
        "GET",
        lambda request: {"locale": request.locale_name, "lang": get_localizer(request).locale_name},
    )
    app = t.app(
        s, settings={"available_languages": "en fr de-AT", "pyramid.default_locale_name": "en"}
    )
    for accept in ("fr", "fr-FR", "de", "de-AT", "es", "es, fr;q=0.5", "*"):
        t.ask(app, "GET /l", Accept_Language=accept)
    t.ask(app, "GET /l")
    plain = t.app(s)
    t.ask(plain, "GET /l", Accept_Language="fr")


@case
def permissions(t: Trial) -> None:
    class Policy:
        def permits(self, request: Any, context: Any, permission: Any) -> bool:
            return request.headers.get("X-May") == permission

        def identity(self, request: Any) -> None:
            return None

        authenticated_userid = identity

    s = t.service("p", "/p", permission="read")
    s.add_view("GET", view)
    s.add_view("POST", view, permission="write")
    app = t.app(s, more=lambda config: config.set_security_policy(Policy()))
    t.ask(app, "GET /p")
    t.ask(app, "GET /p", X_May="read")
    t.ask(app, "POST /p", X_May="read")
    t.ask(app, "POST /p", X_May="write")
    t.ask(app, "PUT /p")
    t.ask(app, "GET /p", Accept="application/json")


@case
def translated_errors(t: Trial) -> None:
    from pyramid.i18n import TranslationString

    def bad(request: Any, **kw: Any) -> None:
        request.errors.add(
            "body", "x", TranslationString("hello", default="Hello ${n}", mapping={"n": 1})
        )

    s = t.service("tr", "/tr")
    s.add_view("GET", view, validators=bad)
    t.ask(t.app(s), "GET /tr")
    t.ask(t.app(s, settings={"available_languages": "en fr"}), "GET /tr", Accept_Language="fr")


FACES = {
    "": "includeme set_localizer_for_languages setup_localization Service Errors",
    "cors": "CORS_PARAMETERS apply_cors_post_request ensure_origin get_cors_preflight_view "
    "get_cors_validator",
    "errors": "Errors",
    "pyramidhook": "add_nosniff_header apply_filters get_fallback_view handle_exceptions "
    "register_resource_views register_service_views wrap_request",
    "renderer": "CorniceRenderer JSONError bytes_adapter",
    "resource": "add_resource add_view resource view",
    "service": "DEFAULT_FILTERS DEFAULT_VALIDATORS SERVICES Service clear_services decorate_view "
    "get_services",
    "util": "ContentTypePredicate content_type_matches current_service "
    "extract_form_urlencoded_data extract_json_data func_name is_string match_accept_header "
    "match_content_type_header to_list",
    "validators": "DEFAULT_FILTERS DEFAULT_VALIDATORS extract_cstruct colander_validator "
    "colander_body_validator colander_headers_validator colander_path_validator "
    "colander_querystring_validator marshmallow_validator marshmallow_body_validator "
    "marshmallow_headers_validator marshmallow_path_validator marshmallow_querystring_validator",
}
METHODS = (
    "__init__ add_view cors_max_age_for cors_origins_for cors_support_credentials_for "
    "cors_supported_headers_for decorator default_error_handler delete filter_argumentlist get "
    "get_acceptable get_arguments get_contenttypes get_validators options patch post put"
)


@case
def module_faces(t: Trial) -> None:
    import inspect

    for name, names in FACES.items():
        for one in names.split():
            value = getattr(t.module(name), one)
            shown = list(inspect.signature(value).parameters) if callable(value) else "value"
            t.note(f"{name}.{one}", shown)
    for one in METHODS.split():
        t.note(one, list(inspect.signature(getattr(t.service, one)).parameters))
