"""Whatever goes wrong is a problem document, in both paths."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from pyramid.httpexceptions import HTTPConflict, HTTPFound, HTTPUnauthorized

from chapiteau.service import ProblemError, Service

if TYPE_CHECKING:
    pass

Build = "Callable[..., Any]"


class TeapotError(ProblemError):
    """Short and stout."""

    status = 418
    code = "teapot"
    title = "I am a teapot"


def raising(error: Exception) -> Service:
    service = Service("boom", "/boom")

    @service.get()
    def boom() -> None:
        raise error

    return service


def test_a_named_problem_keeps_its_name(build: Build) -> None:
    answer = build(raising(TeapotError("no coffee", handle="left"))).get("/boom")
    assert answer.status == 418
    document = answer.json()
    assert document.pop("request_id") == answer.headers["x-request-id"]
    assert document == {
        "type": "urn:problem:teapot",
        "title": "I am a teapot",
        "status": 418,
        "code": "teapot",
        "detail": "no coffee",
        "handle": "left",
    }


def test_a_member_named_like_a_standard_one_sets_it(build: Build) -> None:
    own = {"status": 409, "code": "taken", "title": "Taken", "type": "https://api.test/taken"}
    answer = build(raising(ProblemError("by Ann", **own, by="Ann"))).get("/boom")
    assert answer.status == 409
    document = answer.json()
    del document["request_id"]
    assert document == {**own, "detail": "by Ann", "by": "Ann"}
    other = build(raising(TeapotError(status=HTTPStatus.IM_A_TEAPOT + 6))).get("/boom")
    assert (other.status, other.json()["status"]) == (424, 424)
    assert (TeapotError.status, ProblemError().status) == (418, 500)


@pytest.mark.parametrize(
    "members",
    [{"status": "409"}, {"status": 200}, {"status": 1000}, {"code": 7}, {"request_id": "mine"}],
)
def test_a_member_that_would_contradict_the_answer_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(members))):
        ProblemError("odd", **members)


def test_a_defect_is_500_and_tells_nothing_outward(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = build(raising(ValueError("secret"))).get("/boom")
    assert answer.status == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["x-request-id"] in caplog.text
    assert "secret" in caplog.text


def test_pyramids_own_exceptions_become_problems(build: Build) -> None:
    answer = build(raising(HTTPConflict("taken"))).get("/boom")
    assert (answer.status, answer.json()["detail"]) == (409, "taken")
    asked = build(raising(HTTPUnauthorized(headers={"WWW-Authenticate": "Basic"}))).get("/boom")
    assert (asked.status, asked.headers["www-authenticate"]) == (401, "Basic")


def test_a_redirect_stays_a_redirect(build: Build) -> None:
    answer = build(raising(HTTPFound("/there"))).get("/boom")
    assert answer.status == 302
    assert answer.headers["location"].endswith("/there")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/nothing", 404, id="unknown"),
        pytest.param("//boom", 404, id="two slashes"),
        pytest.param("/%00", 404, id="NUL"),
        pytest.param("/%FF", 400, id="not UTF-8"),
        pytest.param("/boom/..", 404, id="dots are not followed"),
    ],
)
def test_odd_paths(build: Build, path: str, status: int) -> None:
    answer = build(raising(TeapotError())).get(path)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_sane_request_id_of_the_client_is_kept(build: Build) -> None:
    client = build(raising(TeapotError()))
    assert client.get("/boom", headers={"X-Request-ID": "a-1"}).json()["request_id"] == "a-1"
    odd = client.get("/boom", headers={"X-Request-ID": 'x"\n<script>'})
    assert odd.json()["request_id"] != 'x"\n<script>'


def test_an_application_may_have_its_own_view_for_its_own_errors(build: Build) -> None:
    class OwnError(Exception):
        pass

    def view(error: Any, request: Any) -> Any:
        from pyramid.response import Response

        return Response("mine", status=409)

    answer = build(
        raising(OwnError()), more=lambda config: config.add_exception_view(view, context=OwnError)
    ).get("/boom")
    assert (answer.status, answer.text) == (409, "mine")


def test_request_ids_are_not_repeated(build: Build) -> None:
    client = build(raising(TeapotError()))
    ids = {client.get("/boom").headers["x-request-id"] for _ in range(50)}
    assert len(ids) == 50
