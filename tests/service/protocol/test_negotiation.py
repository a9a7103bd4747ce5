"""Which media type, which view, or why none."""

from __future__ import annotations

import pytest

from chapiteau.service.protocol.negotiation import (
    Refusal,
    View,
    acceptable_media,
    choose_media,
    select_view,
)

OFFERS = ("application/json", "application/msgpack", "text/csv")


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        pytest.param(None, "application/json", id="no header"),
        pytest.param("", "application/json", id="empty header"),
        pytest.param("*/*", "application/json", id="anything"),
        pytest.param("text/csv", "text/csv", id="exactly one"),
        pytest.param("text/*", "text/csv", id="a range"),
        pytest.param("application/json;q=0.1, text/csv;q=0.9", "text/csv", id="the better liked"),
        pytest.param("*/*, application/json;q=0", "application/msgpack", id="all but one"),
        pytest.param("application/*;q=0.5, application/msgpack", "application/msgpack", id="special wins"),  # noqa: E501
        pytest.param("image/png", None, id="nothing fits"),
        pytest.param("application/json;q=0", None, id="refused"),
        pytest.param("garbage", "application/json", id="can't be read"),
        pytest.param("TEXT/CSV; charset=utf-8", "text/csv", id="case and parameters"),
    ],
)  # fmt: skip
def test_choose(header: str | None, chosen: str | None) -> None:
    assert choose_media(header, OFFERS) == chosen


def test_accepted_sorts_by_liking() -> None:
    assert acceptable_media("text/csv, application/json;q=0.5", OFFERS) == [
        "text/csv",
        "application/json",
    ]


VIEWS = (
    View(method="GET", produces=("application/json",)),
    View(method="GET", produces=("text/csv",)),
    View(method="POST", consumes=("application/json",)),
    View(method="POST", consumes=("text/csv", "text/plain"), produces=("text/html",)),
)


@pytest.mark.parametrize(
    ("method", "accept", "content_type", "found"),
    [
        ("GET", None, None, 0),
        ("GET", "text/csv", None, 1),
        ("GET", "image/png", None, Refusal(406, ("application/json", "text/csv"))),
        ("PUT", None, None, Refusal(405, ("GET", "POST"))),
        ("POST", None, "application/json; charset=utf-8", 2),
        ("POST", None, "application/vnd.shop+json", 2),
        ("POST", "text/html", "text/plain", 3),
        ("POST", "image/png", "text/plain", Refusal(406, ("text/html",))),
        (
            "POST",
            None,
            "image/png",
            Refusal(415, ("application/json", "text/csv", "text/plain")),
        ),
        ("POST", None, None, 2),
    ],
)
def test_select_view(
    method: str, accept: str | None, content_type: str | None, found: int | Refusal
) -> None:
    assert select_view(VIEWS, method, accept, content_type) == found
