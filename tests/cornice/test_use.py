"""What applications of Cornice's time do beside its recorded facts: scans, subclasses, tests."""

import sys
import types
from typing import Any, ClassVar
from unittest import mock

import colander
import pytest
from pyramid.authorization import ACLHelper, Deny, Everyone
from pyramid.config import Configurator
from pyramid.request import Request
from webtest import TestApp

import chapiteau.cornice as cornice
from chapiteau.cornice import Service, renderer, util
from chapiteau.cornice.resource import add_resource, resource, view
from chapiteau.cornice.validators import (
    colander_body_validator,
    colander_validator,
    extract_cstruct,
)


@resource(collection_path="/scanned", path="/scanned/{id}")
class Scanned:
    """Found by a scan."""

    renderer = "string"

    def __init__(self, request: Any, context: Any = None) -> None:
        self.request = request

    def collection_get(self) -> str:
        """All of them."""
        return "all"

    @view(filters=("shout",), renderer="json")
    def get(self) -> Any:
        return {"id": self.request.matchdict["id"]}

    def shout(self, response: Any) -> Any:
        response.headers["X-Shout"] = self.request.matchdict["id"].upper()
        return response


class Nobody:
    """A security policy that asks the ACL alone."""

    def permits(self, request: Any, context: Any, permission: str) -> Any:
        return ACLHelper().permits(context, [Everyone], permission)


class Closed:
    """A root that lets nobody in."""

    __acl__: ClassVar[Any] = [(Deny, Everyone, "read")]

    def __init__(self, request: Any) -> None:
        pass


def application(*services: Service, **settings: str) -> TestApp:
    config = Configurator(settings=settings)
    config.include("chapiteau.cornice")
    for service in services:
        config.add_cornice_service(service)
    return TestApp(config.make_wsgi_app())


def test_a_scan_finds_resources() -> None:
    config = Configurator()
    config.include("chapiteau.cornice")
    config.scan("tests.cornice.test_use")
    app = TestApp(config.make_wsgi_app())
    assert app.get("/scanned").text == "all"  # by the renderer that the class names
    answer = app.get("/scanned/ab")
    assert answer.json == {"id": "ab"}
    assert answer.headers["X-Shout"] == "AB"  # a filter may be a method's name


def test_definitions_show_the_method_of_a_resource() -> None:
    service = Scanned._services["collection_scanned"]  # type: ignore[attr-defined]
    shown = service.definitions[0][1]
    assert (shown.__doc__, shown.__name__) == ("All of them.", "Scanned.collection_get")
    assert service.__doc__ == "Found by a scan."


@pytest.mark.parametrize("word", ["path", "pyramid_route"])
def test_a_resource_and_its_collection_in_one_place_are_warned_of(word: str) -> None:
    given: dict[str, Any] = {word: "/x", f"collection_{word}": "/x"}
    with pytest.warns(UserWarning, match=f"collection_{word} and {word} are not distinct"):
        add_resource(type("Thing", (), {}), name="x", **given)


def test_class_attributes_of_a_service_are_options_of_its_route() -> None:
    class Guarded(Service):
        factory = Closed

    guarded = Guarded("guarded", "/guarded")
    guarded.add_view("GET", lambda request: {}, permission="read")
    config = Configurator()
    config.include("chapiteau.cornice")
    config.set_security_policy(Nobody())
    config.add_cornice_service(guarded)
    TestApp(config.make_wsgi_app()).get("/guarded", status=403)


def test_validators_of_the_class_come_before_the_default_ones() -> None:
    class Project(Service):
        validators: Any = (1,)
        default_validators = (2,)

    assert Project("p", "/p", validators=[3]).validators == [1, 2, 3]


def test_the_decorator_option_leaves_the_method_alone() -> None:
    seen = []

    def outer(inner: Any) -> Any:
        seen.append(1)
        return inner

    service = Service("d", "/d", decorator=outer)

    @service.decorator("get")
    def get(request: Any) -> Any:
        return {}

    application(service).get("/d")
    assert seen == [1, 1]  # GET and HEAD


def test_a_function_view_needs_no_object_of_the_services_class() -> None:
    service = Service("k", "/k", klass=None.__class__)
    service.add_view("GET", lambda request: {"made": False})
    assert application(service).get("/k").json == {"made": False}


def test_each_validator_of_a_method_is_told_once() -> None:
    service = Service("v", "/v")
    service.add_view("GET", lambda request: {}, validators=(1, 1))
    service.add_view("GET", lambda request: {}, validators=2)
    assert service.get_validators("get") == [1, 2]


def test_methods_are_named_in_any_case() -> None:
    service = Service("c", "/c", cors_origins=["a"])
    service.add_view("GET", lambda request: {}, cors_max_age=5, cors_credentials=True)
    assert service.cors_max_age_for("get") == 5
    assert service.cors_support_credentials_for("get")


def test_a_route_predicate_of_the_application_chooses_between_services() -> None:
    class Kind:
        def __init__(self, val: str, config: Any) -> None:
            self.val = val

        def text(self) -> str:
            return f"kind = {self.val}"

        phash = text

        def __call__(self, context: Any, request: Any) -> bool:
            return bool(request.params.get("kind") == self.val)

    config = Configurator()
    config.include("chapiteau.cornice")
    config.add_route_predicate("kind", Kind)
    config.commit()
    for kind in ("a", "b"):
        service = Service(f"kind-{kind}", "/kind", kind=kind)
        service.add_view("GET", lambda request, kind=kind: kind, accept="application/json")
        config.add_cornice_service(service)
    app = TestApp(config.make_wsgi_app())
    assert [app.get(f"/kind?kind={kind}").json for kind in "ab"] == ["a", "b"]
    app.get("/kind?kind=c", status=404)


def test_colanders_own_messages_are_translated() -> None:
    schema = colander.MappingSchema()
    schema.add(colander.SchemaNode(colander.Integer(), name="n", validator=colander.Range(max=3)))
    service = Service("t", "/t")
    service.add_view(
        "POST", lambda request: {}, schema=schema, validators=(colander_body_validator,)
    )
    app = application(service, available_languages="en fr")
    for language, word in (("fr", "plus grand"), ("en", "greater"), ("ru", "greater")):
        answer = app.post_json("/t", {"n": 9}, headers={"Accept-Language": language}, status=400)
        assert word in answer.json["errors"][0]["description"]


def test_what_a_request_has_already_is_kept() -> None:
    config = Configurator()
    config.add_request_method(lambda request: {"mine": 1}, "info", reify=True)
    config.include("chapiteau.cornice")
    service = Service("i", "/i")
    service.add_view("GET", lambda request: request.info)
    config.add_cornice_service(service)
    assert TestApp(config.make_wsgi_app()).get("/i").json == {"mine": 1}


def test_parts_are_read_from_a_bare_request_too() -> None:
    request = Request.blank("/?a=1", POST=b'{"x": "\xc3\xb6"}', content_type="application/json")
    request.matchdict = {}
    parts = extract_cstruct(request)
    assert parts["body"] == {"x": "ö"}
    assert type(parts["header"]) is dict
    assert type(parts["cookies"]) is dict


def test_old_helpers_say_that_they_are_old() -> None:
    request = Request.blank("/", POST={"a": "1"})
    with pytest.warns(DeprecationWarning, match="extract_cstruct"):
        assert util.extract_form_urlencoded_data(request)["a"] == "1"
    with pytest.warns(DeprecationWarning, match="extract_cstruct"):
        assert util.extract_json_data(Request.blank("/")) == {}
    request = types.SimpleNamespace(validated={}, errors=[], method="GET", url="", matchdict={})
    with pytest.warns(DeprecationWarning, match="instance"):
        colander_validator(request, colander.MappingSchema, lambda request: {})


def test_a_mocked_request_has_a_service() -> None:
    request = mock.MagicMock()
    request.matched_route.pattern = "/a"
    request.registry.cornice_services = {"/a": "it"}
    assert util.current_service(request) == "it"


def test_the_bytes_adapter_leaves_other_things() -> None:
    assert [renderer.bytes_adapter(x, None) for x in (b"a", "b", None, 1)] == ["a", "b", None, 1]


def test_names_of_the_package() -> None:
    for name in ("CorniceRenderer", "ContentTypePredicate", "current_service", "wrap_request"):
        assert hasattr(cornice, name)
    assert sys.modules["chapiteau.cornice.renderer"].CorniceRenderer is cornice.CorniceRenderer


def test_a_service_without_views_is_not_found() -> None:
    application(Service("empty", "/empty")).get("/empty", status=404)
