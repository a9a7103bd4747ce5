"""Requests out of what services export: ours, and what is met elsewhere."""

from __future__ import annotations

import math

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.dash.fleet.request_rates import find_family, read_totals
from chapiteau.service.addons import Metrics

FOREIGN = """\
# HELP process_start_time_seconds Start time of the process.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.7642e+09
# TYPE http_client_request_duration_seconds histogram
http_client_request_duration_seconds_bucket{le="+Inf"} 900
http_client_request_duration_seconds_count 900
# TYPE http_response_size_bytes histogram
http_response_size_bytes_count 5
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{handler="/a}b",status="200",le="0.1"} 3 # {trace="1"} 0.05 1.5
http_request_duration_seconds_bucket{handler="/a}b",status="200",le="+Inf"} 4
http_request_duration_seconds_count{handler="/a}b",status="200"} 4
http_request_duration_seconds_bucket{handler="/metrics",status="200",le="0.1"} 70
http_request_duration_seconds_bucket{handler="/metrics",status="200",le="+Inf"} 70
http_request_duration_seconds_count{handler="/metrics",status="200"} 70
http_request_duration_seconds_bucket{handler="\\"x",status="5xx",le="0.1"} 0.0
http_request_duration_seconds_bucket{handler="\\"x",status="5xx",le="+Inf"} 1.0 1764200000
http_request_duration_seconds_count{handler="\\"x",status="5xx"} 1.0 1764200000
http_request_duration_seconds_created{handler="/a}b"} 1.7642e+09
"""


def test_what_our_services_write_is_read_without_the_scrapes_themselves() -> None:
    metrics = Metrics(ManualClock())
    for seconds in (0.004, 0.004, 0.2):
        metrics.observe("items", "GET", 200, seconds)
    metrics.observe("items", "GET", 503, 20.0)
    metrics.observe("metrics", "GET", 200, 0.001)
    text = metrics.text()
    totals = read_totals(text, find_family(text), "/metrics")
    assert (totals.count, totals.errors) == (4, 1)
    counts = dict(totals.buckets)
    assert (counts[0.005], counts[0.25], counts[math.inf]) == (2, 3, 4)
    assert totals.origin.isdigit()  # a process that counts alone says which it is


def test_foreign_text_is_read_by_what_its_names_say() -> None:
    assert find_family(FOREIGN) == "http_request_duration_seconds"
    totals = read_totals(FOREIGN, find_family(FOREIGN), "/metrics")
    assert (totals.count, totals.errors) == (5, 1)
    assert list(totals.buckets) == [(0.1, 3), (math.inf, 5)]
    assert totals.origin == "1.7642e+09"


@pytest.mark.parametrize(
    ("types", "wanted", "found"),
    [
        (["x_requests_total counter"], "", "x_requests"),
        (["x_requests counter", "rpc_latency_seconds summary"], "", "x_requests"),
        (
            ["http_latency_seconds summary", "http_requests_total counter"],
            "",
            "http_latency_seconds",
        ),
        (["http_request_duration_seconds histogram", "mine histogram"], "mine", "mine"),
        (["http_request_duration_seconds histogram"], "mine", ""),
        (["http_request_size_bytes histogram", "go_goroutines gauge"], "", ""),
        (["http_server_duration_milliseconds histogram"], "", "http_server_duration_milliseconds"),
        ([], "", ""),
        # As libraries and servers name them.
        (
            ["promhttp_metric_handler_requests_total counter", "nginx_http_requests_total counter"],
            "",
            "nginx_http_requests",
        ),
        (
            [
                "caddy_admin_http_requests_total counter",
                "caddy_http_request_duration_seconds histogram",
            ],
            "",
            "caddy_http_request_duration_seconds",
        ),
        (
            ["django_http_requests_latency_seconds_by_view_method histogram"],
            "",
            "django_http_requests_latency_seconds_by_view_method",
        ),
        (["http_server_requests_seconds summary"], "", "http_server_requests_seconds"),
        (["grpc_server_handling_seconds histogram"], "", "grpc_server_handling_seconds"),
        (["http_request_queue_duration_seconds histogram"], "", ""),
    ],
)
def test_which_family_is_meant(types: list[str], wanted: str, found: str) -> None:
    text = "".join(f"# TYPE {one}\n" for one in types)
    assert find_family(text, wanted) == found


def test_failures_are_counted_elsewhere_where_the_histogram_has_no_statuses() -> None:
    text = """\
# TYPE http_requests_total counter
http_requests_total{handler="/a",method="GET",status="2xx"} 7.0
http_requests_total{handler="/a",method="GET",status="5xx"} 2.0
http_requests_total{handler="/metrics",method="GET",status="5xx"} 40.0
# TYPE http_request_duration_highr_seconds histogram
http_request_duration_highr_seconds_bucket{le="0.1"} 8.0
http_request_duration_highr_seconds_bucket{le="+Inf"} 9.0
http_request_duration_highr_seconds_count 9.0
"""
    totals = read_totals(text, find_family(text), "/metrics")
    assert (totals.count, totals.errors) == (9, 2)


def test_milliseconds_are_seconds_and_counters_have_no_buckets() -> None:
    text = 'http_ms_milliseconds_bucket{le="250"} 2\nhttp_ms_milliseconds_count 2\n'
    assert read_totals(text, "http_ms_milliseconds").buckets == ((0.25, 2),)
    totals = read_totals(
        'http_requests_total{code="500"} 3\nhttp_requests_total NaN\n', "http_requests"
    )
    assert (totals.count, totals.errors, totals.buckets) == (3, 3, ())
