"""Values are written as the styles of OpenAPI 3.1 (4.8.12.4, "Style Examples") say."""

from typing import Any

import pytest

from chapiteau.load.inputs.openapi.operations import Parameter
from chapiteau.load.inputs.openapi.serialization import (
    serialize_cookie,
    serialize_header,
    serialize_path,
    serialize_query,
)

ARRAY = ["blue", "black", "brown"]
TABLE = {"R": 100, "G": 200, "B": 150}


def parameter(place: str, style: str, explode: bool, **more: Any) -> Parameter:
    return Parameter(name="color", place=place, style=style, explode=explode, **more)


ROWS = [
    ("path", "matrix", False, "blue", ";color=blue"),
    ("path", "matrix", False, ARRAY, ";color=blue,black,brown"),
    ("path", "matrix", False, TABLE, ";color=R,100,G,200,B,150"),
    ("path", "matrix", True, ARRAY, ";color=blue;color=black;color=brown"),
    ("path", "matrix", True, TABLE, ";R=100;G=200;B=150"),
    ("path", "label", False, "blue", ".blue"),
    ("path", "label", False, ARRAY, ".blue,black,brown"),
    ("path", "label", True, ARRAY, ".blue.black.brown"),
    ("path", "label", True, TABLE, ".R=100.G=200.B=150"),
    ("path", "simple", False, ARRAY, "blue,black,brown"),
    ("path", "simple", False, TABLE, "R,100,G,200,B,150"),
    ("path", "simple", True, TABLE, "R=100,G=200,B=150"),
    ("path", "simple", False, "a/b ü", "a%2Fb%20%C3%BC"),
    ("path", "simple", False, "", "-"),
    ("query", "form", True, "", "color="),
    ("query", "form", True, "blue", "color=blue"),
    ("query", "form", True, ARRAY, "color=blue&color=black&color=brown"),
    ("query", "form", False, ARRAY, "color=blue,black,brown"),
    ("query", "form", True, TABLE, "R=100&G=200&B=150"),
    ("query", "form", False, TABLE, "color=R,100,G,200,B,150"),
    ("query", "spaceDelimited", False, ARRAY, "color=blue%20black%20brown"),
    ("query", "pipeDelimited", False, ARRAY, "color=blue%7Cblack%7Cbrown"),
    ("query", "deepObject", True, TABLE, "color[R]=100&color[G]=200&color[B]=150"),
    ("query", "deepObject", True, {"a": {"b": [1, 2]}}, "color[a][b]=1&color[a][b]=2"),
    ("query", "form", True, "a&b=c", "color=a%26b%3Dc"),
    ("query", "form", True, True, "color=true"),
    ("query", "form", True, 3.0, "color=3"),
]


@pytest.mark.parametrize(("place", "style", "explode", "value", "text"), ROWS)
def test_styles(place: str, style: str, explode: bool, value: Any, text: str) -> None:
    write = serialize_path if place == "path" else serialize_query
    assert write(parameter(place, style, explode), value) == text


def test_reserved_characters_stay_where_they_are_allowed() -> None:
    allowed = parameter("query", "form", True, keep_reserved=True)
    assert serialize_query(allowed, "a/b?c&d#e") == "color=a/b?c%26d%23e"


def test_content_is_written_as_json() -> None:
    with_content = parameter("query", "form", True, media="application/json")
    assert serialize_query(with_content, {"a": [1]}) == "color=%7B%22a%22%3A%5B1%5D%7D"
    assert (
        serialize_header(parameter("header", "simple", False, media="application/json"), [1])
        == "[1]"
    )


def test_headers_are_one_line() -> None:
    assert serialize_header(parameter("header", "simple", False), ARRAY) == "blue,black,brown"
    assert serialize_header(parameter("header", "simple", True), TABLE) == "R=100,G=200,B=150"
    assert serialize_header(parameter("header", "simple", False), "a\r\nX: b") == "aX: b"


def test_cookies_are_pairs() -> None:
    assert serialize_cookie(parameter("cookie", "form", True), "a;b") == "color=a%3Bb"
    assert serialize_cookie(parameter("cookie", "form", False), ARRAY) == "color=blue,black,brown"
