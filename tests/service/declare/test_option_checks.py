"""What a declaration can't mean is refused where it stands, with the fix: never at a request."""

from __future__ import annotations

import enum
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from chapiteau.service import Link, ProblemError, Query, Service
from chapiteau.service.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Colour(enum.Enum):
    RED = "red"


class Place(msgspec.Struct):
    x: int = 0


class GoneError(ProblemError):
    status = 410


async def coroutine() -> int:
    return 1


async def pieces() -> Any:
    yield 1


def plain() -> int:
    return 1


def refused(handler: Callable[..., Any], method: str = "GET", **options: Any) -> DeclarationError:
    service = Service("one", "/one")
    with pytest.raises(DeclarationError) as caught:
        service.add(method, handler, **options)
    assert f"at {__file__}:{handler.__code__.co_firstlineno} " in str(caught.value)
    assert service.operations == []
    return caught.value


@pytest.mark.parametrize("handler", [coroutine, pieces])
def test_a_coroutine_function_is_no_handler(handler: Callable[..., Any]) -> None:
    error = refused(handler)
    assert "is a coroutine function" in str(error)
    assert "`def` instead of `async def`" in error.hint


@pytest.mark.parametrize(
    ("options", "what", "hint"),
    [
        ({"status": "201"}, "has status='201'", "status=201"),
        ({"status": 42}, "has status=42", "from 200 to 599"),
        ({"raises": [ValueError]}, "has ValueError in raises=", "ProblemError"),
        ({"raises": ValueError}, "has ValueError in raises=", "ProblemError"),
        ({"raises": [GoneError()]}, "in raises=", "subclasses"),
        ({"links": Link("nope")}, "has links=<Link to nope>", 'links={"name": Link(…)}'),
        ({"links": {"note": "nope"}}, "has 'nope' in links=", 'links={"name": Link(…)}'),
        ({"callbacks": {"note": plain}}, "in callbacks=", 'callbacks={"name": Callback(…)}'),
    ],
)
def test_an_option_that_means_nothing_is_refused(
    options: dict[str, Any], what: str, hint: str
) -> None:
    error = refused(plain, **options)
    assert what in str(error)
    assert hint in error.hint


def test_options_that_mean_something_are_taken() -> None:
    service = Service("one", "/one")
    made = service.add("GET", plain, status=203, raises=[GoneError], links={"it": Link(plain)})
    assert made.status == 203


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        (int, "ten"),
        (int, None),
        (Annotated[int, Meta(ge=1)], 0),
        (Annotated[str, Query("q")], 1),
        (Colour, "blue"),
        (list[int], ["a"]),
    ],
)
def test_a_default_that_its_type_refuses_is_refused(kind: Any, default: Any) -> None:
    def handler(it: Any = default) -> int:
        return 1

    handler.__annotations__["it"] = kind
    error = refused(handler)
    assert f"parameter 'it' of {handler.__qualname__}" in str(error)
    assert f"has the default {default!r}, which its type refuses" in str(error)


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        (int, 3),
        (float, 1),
        (str | None, None),
        (int | msgspec.UnsetType, msgspec.UNSET),
        (Colour, Colour.RED),
        (date, date(2026, 1, 1)),
        (tuple[int, ...], ()),
        (set[str], frozenset()),
        (list[str], []),
        (Annotated[int, Meta(ge=1), Query("n")], 1),
        (Place, Place(x=1)),
        (dict[str, int], {}),
    ],
)
def test_a_default_of_its_type_is_taken(kind: Any, default: Any) -> None:
    def handler(it: Any = default) -> int:
        return 1

    handler.__annotations__["it"] = kind
    Service("one", "/one").add("POST", handler)


def unannotated() -> Iterator[Callable[..., Any]]:
    def behind_the_request(request, note):  # type: ignore[no-untyped-def]
        return 1

    def with_a_default(request, note=None):  # type: ignore[no-untyped-def]
        return 1

    yield behind_the_request
    yield with_a_default


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("handler", list(unannotated()))
def test_a_body_without_annotation_does_not_become_a_query(
    handler: Callable[..., Any], method: str
) -> None:
    error = refused(handler, method)
    assert "parameter 'note'" in str(error)
    assert "has no annotation" in str(error)
    assert "note: SomeStruct takes the body" in error.hint


def test_what_has_no_annotation_is_the_request_first_and_text_in_the_path() -> None:
    def handler(request, number):  # type: ignore[no-untyped-def]
        return 1

    made = Service("one", "/one/{number}").add("POST", handler)
    assert made.request_argument == "request"
    assert [(p.wire, p.type) for p in made.parameters] == [("number", str)]
