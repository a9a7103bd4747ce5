"""What applications do with cornice_swagger's classes: hooks, defaults, words of their own."""

from typing import Any, ClassVar

import colander
import pytest
from pyramid.config import Configurator

from chapiteau.cornice import Service
from chapiteau.cornice.swagger import CorniceSwagger, CorniceSwaggerException
from chapiteau.cornice.swagger.converters import ParameterConversionDispatcher, convert_parameter
from chapiteau.cornice.swagger.converters.exceptions import NoSuchConverter
from chapiteau.cornice.swagger.converters.parameters import QueryParameterConverter
from chapiteau.cornice.validators import colander_body_validator, colander_validator


class Cake(colander.MappingSchema):  # type: ignore[misc]
    @colander.instantiate()
    class body(colander.MappingSchema):  # type: ignore[misc]  # noqa: N801 — as parts are named
        size = colander.SchemaNode(colander.Integer(), missing=colander.drop)

    @colander.instantiate()
    class GET(colander.MappingSchema):  # type: ignore[misc]
        fast = colander.SchemaNode(colander.Boolean(), default=True)


def document(service: Service, generator: type[CorniceSwagger] = CorniceSwagger) -> Any:
    return generator([service]).generate("cakes", "1")


def cakes(path: str = "/cakes", **given: Any) -> Service:
    service = Service("cakes", path, **given.pop("own", {}))
    service.add_view("POST", lambda request: {}, **given)
    return service


def test_parts_written_inside_a_schema_are_named_after_it() -> None:
    made = document(cakes(schema=Cake(), validators=(colander_validator,)))
    parameters = made["paths"]["/cakes"]["post"]["parameters"]
    assert [(one["name"], one["in"]) for one in parameters] == [
        ("CakeBody", "body"),
        ("fast", "query"),
    ]
    assert parameters[1]["default"] is True


def test_the_rest_of_a_path_is_a_parameter() -> None:
    for rest in ("subpath", "traverse"):
        entry = document(cakes(f"/cakes/*{rest}"))["paths"]["/cakes/{subpath}"]
        assert entry["parameters"][0]["name"] == "subpath"


def test_a_content_type_that_must_be_asked_for_is_not_told() -> None:
    made = document(cakes(content_type=lambda request: "a/b"))
    assert made["paths"]["/cakes"]["post"]["consumes"] == []


def test_tags_of_the_service_come_before_those_of_the_view() -> None:
    generator = CorniceSwagger([cakes(own={"tags": ["a"]}, tags=["b", "a"])])
    generator.swagger = {"tags": [{"name": "b", "description": "Told."}]}
    made = generator.generate()
    assert made["paths"]["/cakes"]["post"]["tags"] == ["a", "b"]
    assert made["tags"] == [{"name": "b", "description": "Told."}, {"name": "a"}]


def test_words_of_the_wrong_kind_are_refused() -> None:
    class ByName(CorniceSwagger):
        default_op_ids = "x"

    response = colander.MappingSchema()  # without a description
    for given, generator in (
        ({"tags": "a"}, CorniceSwagger),
        ({"own": {"tags": "a"}}, CorniceSwagger),
        ({"api_security": "key"}, CorniceSwagger),
        ({"response_schemas": {"200": response}}, CorniceSwagger),
        ({}, ByName),
    ):
        with pytest.raises(CorniceSwaggerException):
            document(cakes(**given), generator)


def test_an_application_transforms_schemas_and_operations() -> None:
    class More(CorniceSwagger):
        def _extract_operation_from_view(self, view: Any, args: dict[str, Any]) -> dict[str, Any]:
            return {**super()._extract_operation_from_view(view, args), "x-more": 1}

    def with_token(schema: Any, args: dict[str, Any]) -> Any:
        header = colander.MappingSchema(name="header")
        header.add(colander.SchemaNode(colander.String(), name="X-Token"))
        schema.add(header)
        return schema

    body = colander.MappingSchema()
    generator = More([cakes(schema=body, validators=(colander_body_validator,))])
    generator.schema_transformers.append(with_token)
    operation = generator.generate()["paths"]["/cakes"]["post"]
    assert operation["x-more"] == 1
    assert [one["in"] for one in operation["parameters"]] == ["body", "header"]
    assert with_token not in CorniceSwagger.schema_transformers


def test_what_is_given_wins_over_what_is_found() -> None:
    service = cakes(schema=Cake(), validators=(colander_validator,))
    generator = CorniceSwagger([service], param_ref=True)
    made = generator.generate(swagger={"parameters": {"CakeBody": {"required": "mine"}}})
    assert made["parameters"]["CakeBody"]["required"] == "mine"


def test_of_two_services_at_one_path_the_last_is_shown_and_openapi_joins_them() -> None:
    first, second = cakes(tags=["first"]), cakes(tags=["second"])
    second.add_view("PUT", lambda request: {})
    made = CorniceSwagger([first, second]).generate()
    assert made["paths"]["/cakes"]["post"]["tags"] == ["second"]
    second.definitions[:] = [one for one in second.definitions if one[0] == "PUT"]
    joined = CorniceSwagger([first, second]).generate(openapi="3.1")
    assert set(joined["paths"]["/cakes"]) == {"post", "put"}


def test_a_route_that_is_nowhere_is_a_value_error() -> None:
    config = Configurator()
    generator = CorniceSwagger(
        [Service("cakes", pyramid_route="nowhere")], pyramid_registry=config.registry
    )
    with pytest.raises(ValueError, match="nowhere"):
        generator.generate()


def test_the_old_call_says_that_it_is_old() -> None:
    generator = CorniceSwagger([cakes()])
    with pytest.warns(DeprecationWarning, match="generate"):
        made = generator(title="t")
    assert made["info"]["title"] == "t"


def test_parameters_are_converted_one_by_one_and_by_a_class_of_their_own() -> None:
    node = colander.SchemaNode(colander.Integer(), name=r"id:\d+", description="Which.", default=7)
    assert convert_parameter("path", node) == {
        "name": "id", "in": "path", "required": True, "default": 7, "type": "integer",
        "description": "Which.", "pattern": r"\d+",
    }  # fmt: skip
    named = convert_parameter("headers", colander.SchemaNode(colander.String(), name="X-One"))
    assert named == {"name": "X-One", "in": "header", "required": True, "type": "string"}
    body = convert_parameter("body", _Body(name="body"), lambda _node: {"$ref": "#/definitions/B"})
    assert body["schema"] == {"$ref": "#/definitions/B", "title": "_Body"}
    with pytest.raises(NoSuchConverter):
        convert_parameter("cookies", node)


class _Body(colander.MappingSchema):  # type: ignore[misc]
    size = colander.SchemaNode(colander.Integer())


class _Asked(colander.MappingSchema):  # type: ignore[misc]
    body = _Body()

    @colander.instantiate()
    class querystring(colander.MappingSchema):  # type: ignore[misc]  # noqa: N801 — the part's name
        page = colander.SchemaNode(colander.Integer(), missing=1)


class _Marked(QueryParameterConverter):
    def convert(self, schema_node: Any, definition_handler: Any) -> dict[str, Any]:
        return {**super().convert(schema_node, definition_handler), "x-mine": True}


class _Parameters(ParameterConversionDispatcher):
    converters: ClassVar = {
        **ParameterConversionDispatcher.converters, "querystring": _Marked,
    }  # fmt: skip


def test_a_generator_takes_a_parameter_converter_of_the_applications_own() -> None:
    class Generator(CorniceSwagger):
        parameter_converter = _Parameters

    body, page = Generator([]).parameters.from_schema(_Asked())
    assert (body["name"], body["schema"]["title"]) == ("_Body", "_Body")
    assert (page["name"], page["default"], page["x-mine"]) == ("page", 1, True)
