"""Operations are told apart by what their exporters call path and method."""

from __future__ import annotations

import pytest

from chapiteau.dash.fleet.operations import by_operation, path_shape

OURS = """# TYPE chapiteau_request_duration_seconds histogram
chapiteau_request_duration_seconds_bucket{service="item",path="/items/{id}",method="GET",status="200",le="0.1"} 3
chapiteau_request_duration_seconds_bucket{service="item",path="/items/{id}",method="GET",status="200",le="+Inf"} 4
chapiteau_request_duration_seconds_count{service="item",path="/items/{id}",method="GET",status="200"} 4
chapiteau_request_duration_seconds_count{service="item",path="/items/{id}",method="GET",status="503"} 1
chapiteau_request_duration_seconds_count{service="item",path="/items/{id}",method="other",status="405"} 9
# EOF
"""  # noqa: E501


def test_each_operation_has_its_own_sums() -> None:
    found = by_operation(OURS, "chapiteau_request_duration_seconds")
    assert set(found) == {("GET", "/items/{}"), ("OTHER", "/items/{}")}
    read = found["GET", "/items/{}"]
    assert (read.count, read.errors, read.buckets) == (5, 1, ((0.1, 3), (float("inf"), 4)))


@pytest.mark.parametrize(
    "labels",
    [
        'handler="/items/{item_id}",method="GET"',
        'http_route="/items/<int:id>",http_request_method="GET"',
        'route="/items/:id",method="get"',
    ],
)
def test_other_exporters_are_understood_too(labels: str) -> None:
    text = f"# TYPE http_request_duration_seconds histogram\nhttp_request_duration_seconds_count{{{labels}}} 2\n"  # noqa: E501
    assert set(by_operation(text, "http_request_duration_seconds")) == {("GET", "/items/{}")}


def test_without_paths_nothing_is_told_apart() -> None:
    text = '# TYPE http_requests_total counter\nhttp_requests_total{method="GET"} 5\n'
    assert by_operation(text, "http_requests") == {}


def test_names_of_parameters_do_not_matter() -> None:
    assert path_shape("/a/{x}/b/{y:int}") == path_shape("/a/<x>/b/:y") == "/a/{}/b/{}"
