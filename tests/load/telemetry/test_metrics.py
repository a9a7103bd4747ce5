"""What monitoring systems are sent, read by their own libraries."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from google.protobuf.json_format import Parse
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from chapiteau.core.errors import UsageError
from chapiteau.io.telemetry import statsd_packets
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from chapiteau.load.telemetry.addresses import parse_export_target
from chapiteau.load.telemetry.metrics import Metric, collect_metrics, otlp_body, statsd_lines
from chapiteau.load.telemetry.notify import parse_recipient

COMMON = (("test", "a shop"), ("target", "http://127.0.0.1:1/"))
TEXT = st.text(max_size=20)


def counted() -> list[Metric]:
    recorder, totals = Recorder(), Totals()
    row = recorder.row("GET /a b")
    row.latency[4] += [1000, 2000, 3000]
    row.bad[4] += 1
    totals.add(replace(recorder.flush(), running={4: 7}, cpu={4: [0.1]}))
    return collect_metrics(totals, 4)


def test_opentelemetry_reads_what_is_written() -> None:
    body = otlp_body(counted(), COMMON, 1_000, 2_000)
    request = Parse(body, ExportMetricsServiceRequest())

    (resource,) = request.resource_metrics
    assert {a.key: a.value.string_value for a in resource.resource.attributes} == {
        "service.name": "chapiteau-load", **dict(COMMON)
    }  # fmt: skip
    metrics = {m.name: m for m in resource.scope_metrics[0].metrics}
    total = metrics["chapiteau.load.requests"].sum
    assert (total.is_monotonic, total.aggregation_temporality) == (True, 2)
    point = total.data_points[0]
    assert (point.as_double, point.start_time_unix_nano, point.time_unix_nano) == (3, 1000, 2000)
    quantiles = {p.attributes[0].value.string_value: p.as_double
                 for p in metrics["chapiteau.load.latency_seconds"].gauge.data_points}  # fmt: skip
    assert quantiles["0.99"] == pytest.approx(0.003)
    assert metrics["chapiteau.load.latency_seconds"].unit == "s"


@given(TEXT, TEXT)
def test_a_name_never_breaks_a_statsd_line(one: str, other: str) -> None:
    metrics = [Metric("n", 1.0, labels=(("request", one),)), Metric("m", 1.0)]

    for tags in (False, True):
        lines = statsd_lines(metrics, {}, (("test", other),), tags=tags)
        (packet,) = statsd_packets(lines)
        assert packet.count(b"\n") == 1


def test_statsd_counters_are_what_came_since() -> None:
    labels = (("request", "GET /a b"),)
    before = {("requests_total", labels): 2.0, ("errors_total", labels): 5.0}
    lines = statsd_lines(counted(), before, COMMON, tags=False)
    tagged = statsd_lines(counted(), {}, COMMON, tags=True)

    assert "chapiteau.load.requests_total.GET_a_b:1|c" in lines
    assert "chapiteau.load.errors_total.GET_a_b:1|c" in lines  # it began to count anew
    assert "chapiteau.load.latency_seconds.0_99:0.003|g" in lines
    assert "chapiteau.load.sessions_running:7|g|#test:a_shop,target:http://127.0.0.1:1/" in tagged


@pytest.mark.parametrize(
    ("text", "form", "url"),
    [
        ("prometheus+http://h:9090", "otlp", "http://h:9090/api/v1/otlp/v1/metrics"),
        ("prometheus+https://h/x/push", "otlp", "https://h/x/push"),
        ("otlp+http://h:4318/", "otlp", "http://h:4318/v1/metrics"),
        ("otlp+http://h/v1/metrics?tenant=a", "otlp", "http://h/v1/metrics?tenant=a"),
        ("statsd://[::1]:8125?tags=datadog", "statsd", ""),
    ],
)  # fmt: skip
def test_targets_are_read(text: str, form: str, url: str) -> None:
    target = parse_export_target(text)

    assert (target.form, target.url) == (form, url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://h",
        "otlp+ftp://h",
        "statsd://",
        "otlp+http://h:99999",
        "influx+http://h:8086",
        "x+http://h",
    ],
)
def test_what_is_no_target_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_export_target(text)
    assert "otlp+http" in caught.value.hint


def test_observers_are_read() -> None:
    mail = parse_recipient(
        "mailto:a@x.org,b@x.org?server=smtps://me:p%40ss@m.x.org&from=load@x.org"
    )

    assert (mail.to, mail.host, mail.port, mail.tls) == (
        ("a@x.org", "b@x.org"), "m.x.org", 465, True
    )  # fmt: skip
    assert (mail.user, mail.password, mail.sender) == ("me", "p@ss", "load@x.org")
    assert str(parse_recipient("https://hooks.x.org/secret/path")) == "the webhook at hooks.x.org"
    for text in ("ftp://x", "mailto:", "mailto:a@x?server=http://h", "mailto:no one"):
        with pytest.raises(UsageError):
            parse_recipient(text)


def test_every_second_is_json_ready() -> None:
    assert json.loads(otlp_body(collect_metrics(Totals(), 0), COMMON, 0, 1))
