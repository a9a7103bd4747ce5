"""The document that cornice_swagger makes."""

import importlib
from typing import Any

import colander

from tests.cornice.probe import Trial, case


class Inner(colander.MappingSchema):
    z = colander.SchemaNode(colander.String())


class Body(colander.MappingSchema):
    "A body."

    name = colander.SchemaNode(
        colander.String(),
        validator=colander.Length(1, 5),
        description="d",
        example="x",
        default="q",
    )
    n = colander.SchemaNode(colander.Integer(), missing=3, validator=colander.Range(1, 9))
    when = colander.SchemaNode(colander.DateTime(), missing=colander.drop)
    email = colander.SchemaNode(colander.String(), validator=colander.Email(), missing=None)
    link = colander.SchemaNode(colander.String(), validator=colander.url, missing="")
    both = colander.SchemaNode(
        colander.String(),
        missing=colander.drop,
        validator=colander.All(colander.Length(max=3), colander.Regex("^a")),
    )
    inner = Inner()

    @colander.instantiate(missing=(), validator=colander.Length(max=3))
    class tags(colander.SequenceSchema):  # noqa: N801
        tag = colander.SchemaNode(colander.String(), validator=colander.OneOf(["a", "b"]))


class Kept(colander.MappingSchema):
    def schema_type(self, **kw: Any) -> Any:
        return colander.Mapping(unknown="preserve")


class Query(colander.MappingSchema):
    limit = colander.SchemaNode(colander.Integer(), missing=10)


class Header(colander.MappingSchema):
    h = colander.SchemaNode(colander.String(), name="X-H")


class Path(colander.MappingSchema):
    id = colander.SchemaNode(colander.Integer())


class Whole(colander.MappingSchema):
    "The whole."

    body = Body(description="The body")
    querystring = Query()
    header = Header()
    path = Path()


class Answer(colander.MappingSchema):
    body = Body()
    header = Header()


def services(t: Trial) -> list[Any]:
    v = t.module("validators")
    s = t.service("s", "/s/{id}", description="The things.")
    s.add_view(
        "PUT",
        described,
        schema=Whole(),
        validators=(v.colander_validator,),
        tags=["one"],
        operation_id="putit",
        content_type="application/json",
        accept=["application/json", "text/x"],
        response_schemas={"200": Answer(description="OK"), "default": Answer(description="oops")},
        api_security=[{"k": ["a"]}],
    )
    s.add_view("GET", plain, schema=Query(), validators=(v.colander_querystring_validator,))
    s.add_view("POST", described, schema=Body(), validators=(v.colander_body_validator,))
    s.add_view("PATCH", plain, schema=Kept, validators=(v.colander_body_validator,))
    k = t.service("k", r"/k/{a:\d+}/{b}/*rest", tags=["svc"])
    k.add_view("GET", "get", klass=Thing)
    k.add_view("DELETE", plain, renderer="string", accept="text/x")
    k.add_view("PUT", plain, renderer="xml")
    return [s, k]


def described(request: Any) -> Any:
    """Puts.

    More.
    """


def plain(request: Any) -> Any:
    return None


class Thing:
    def __init__(self, request: Any) -> None:
        pass

    def get(self) -> Any:
        "By class."


@case
def documents(t: Trial) -> None:
    maker = importlib.import_module(t.swagger).CorniceSwagger
    made = services(t)
    for options in (
        {},
        {"def_ref_depth": 1},
        {"def_ref_depth": -1},
        {"param_ref": True},
        {"resp_ref": True, "def_ref_depth": -1, "param_ref": True},
    ):
        document = maker(made, **options).generate("T", "1.0")
        t.note(str(options), document)
    document = maker(made[1:]).generate(
        "T",
        "1",
        base_path="/v1",
        info={"description": "x"},
        swagger={"host": "h", "tags": [{"name": "svc", "description": "known"}]},
    )
    t.note("merged", document)

    class Mine(maker):  # type: ignore[misc]
        swagger = {"info": {}}  # noqa: RUF012 — cornice_swagger changes the class's own
        summary_docstrings = True
        ignore_methods = ("HEAD", "PATCH")
        api_title = "Mine"
        api_version = "7"

        def default_tags(self, service: Any, method: str) -> Any:
            return ["T" + service.name]

        def default_op_ids(self, service: Any, method: str) -> Any:
            return service.name + method

        def default_security(self, service: Any, method: str) -> Any:
            return [{"x": []}]

    t.note("mine", Mine(made).generate())
    t.note("called", Mine(made[1:])())
    two = t.service("two", "/two")
    two.add_view("GET", plain, accept="a/b")
    two.add_view("GET", plain, accept="c/d")
    t.refused("two views", lambda: maker([two]).generate())
    odd = t.service("odd", "/odd")
    money = colander.Schema(colander.SchemaNode(colander.Money(), name="m"))
    v = t.module("validators")
    odd.add_view("POST", plain, schema=money, validators=(v.colander_body_validator,))
    t.refused("money", lambda: maker([odd]).generate("t", "1"))


@case
def document_views(t: Trial) -> None:
    made = services(t)

    def more(config: Any) -> None:
        config.include(t.swagger)
        config.cornice_enable_openapi_view(api_path="/api", title="T", version="2")
        config.cornice_enable_openapi_explorer(api_explorer_path="/ui")
        config.add_route("kk", "/kk/{z}")

    routed = t.service("rr", pyramid_route="kk")
    routed.add_view("GET", plain)
    app = t.app(*made, routed, more=more)
    t.ask(app, "GET /api")
    answer = app.get("/ui")
    t.note("page", [answer.status, answer.content_type, "/api" in answer.text])
    t.ask(app, "GET /k/1/2/3")
