"""A span per request and the lines that belong to it, seen by exporters of OpenTelemetry's own."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import propagate
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from chapiteau.service import JsonLines, Service
from chapiteau.service.addons.tracing import LogLines
from chapiteau.service.errors import DeclarationError
from chapiteau.service.protocol.headers import trace_id_of
from chapiteau.service.server.options import AccessLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Build = Callable[..., Any]

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def lines() -> Iterator[InMemoryLogRecordExporter]:
    before = list(logging.getLogger().handlers)
    yield InMemoryLogRecordExporter()
    logging.getLogger().handlers[:] = before


def _client(build: Build, spans: Any, lines: Any) -> Any:
    service = Service("item", r"/items/{item:\d+}")

    @service.get()
    def item(item: int) -> dict[str, str]:
        logging.getLogger("shop").warning("asked for %d", item)
        going_out: dict[str, str] = {}
        propagate.inject(going_out)
        return going_out

    @service.post()
    def fails(item: int) -> None:
        raise LookupError(f"no {item}")

    provider, loggers = TracerProvider(), LoggerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(lines))
    return build(service, more=lambda config: config.add_tracing(provider, loggers))


def test_a_request_is_one_span_of_its_callers_trace(build: Build, spans: Any, lines: Any) -> None:
    client = _client(build, spans, lines)
    answer = client.get("/items/7", headers={**GIVEN, "User-Agent": "curl", "Host": "shop:8080"})
    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind) == ("GET /items/{item}", SpanKind.SERVER)
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    told = dict(span.attributes)
    assert told.pop("url.path") == "/items/7"
    assert told["http.route"] == "/items/{item}"
    assert told["http.request.method"] == "GET"
    assert told["http.response.status_code"] == 200
    assert (told["server.address"], told["server.port"]) == ("shop", 8080)
    assert told["user_agent.original"] == "curl"
    assert span.status.status_code is StatusCode.UNSET
    # What a handler sends on belongs to this span, and so does what it logs.
    assert answer.json()["traceparent"] == f"00-{TRACE}-{span.context.span_id:016x}-01"
    (line,) = lines.get_finished_logs()
    assert line.log_record.body == "asked for 7"
    assert (line.log_record.trace_id, line.log_record.span_id) == (
        span.context.trace_id, span.context.span_id,
    )  # fmt: skip
    assert line.log_record.severity_text == "WARNING"
    assert line.log_record.severity_number.value == 13


def test_what_goes_wrong_is_told(build: Build, spans: Any, lines: Any) -> None:
    client = _client(build, spans, lines)
    assert client.post("/items/7").status == 500
    assert client.get("/nothing").status == 404
    assert client.request("BREW", "/items/7").status == 405
    failed, unknown, odd = spans.get_finished_spans()
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes["error.type"] == "LookupError"
    assert failed.events[0].attributes["exception.message"] == "no 7"
    assert (unknown.name, unknown.attributes["http.response.status_code"]) == ("GET", 404)
    assert unknown.status.status_code is StatusCode.UNSET  # a client's mistake is no error here
    assert odd.attributes["http.request.method"] == "_OTHER"
    told = [line.log_record for line in lines.get_finished_logs()]
    assert [record.attributes["exception.type"] for record in told] == ["LookupError"]


def test_the_span_of_a_stream_ends_with_it(build: Build, spans: Any, lines: Any) -> None:
    """And what is logged between two pieces belongs to it."""
    closed: list[str] = []
    service = Service("lines", "/lines/{kind}")

    @service.get()
    def pieces(kind: str) -> JsonLines:
        def made() -> Iterator[int]:
            try:
                for number in range(3):
                    assert not spans.get_finished_spans(), "not before the last piece"
                    logging.getLogger("shop").warning("piece %d", number)
                    yield number
                    if kind == "breaks":
                        raise LookupError("no more")
            finally:
                closed.append(kind)

        return JsonLines(made())

    provider, loggers = TracerProvider(), LoggerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(lines))
    client = build(service, more=lambda config: config.add_tracing(provider, loggers))
    assert client.get("/lines/whole").text == "0\n1\n2\n"
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.UNSET
    told = [line.log_record for line in lines.get_finished_logs()]
    assert [record.body for record in told] == ["piece 0", "piece 1", "piece 2"]
    assert {record.span_id for record in told} == {span.context.span_id}

    spans.clear()
    with pytest.raises(LookupError):
        client.get("/lines/breaks")
    (span,) = spans.get_finished_spans()
    assert (span.status.status_code, span.attributes["error.type"]) == (
        StatusCode.ERROR, "LookupError",
    )  # fmt: skip
    assert span.attributes["http.response.status_code"] == 200

    spans.clear()
    assert client.request("HEAD", "/lines/head").status == 200
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.UNSET

    spans.clear()
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/lines/gone", "QUERY_STRING": ""}
    body: Any = iter(
        client._app({**environ, "SERVER_NAME": "x", "SERVER_PORT": "80"}, lambda *_: None)
    )
    assert next(body) == b"0\n"
    body.close()
    body.close()
    (span,) = spans.get_finished_spans()
    assert span.attributes["error.type"] == "closed early"
    assert closed == ["whole", "breaks", "gone"]


def test_the_access_log_names_the_trace() -> None:
    def line(**more: str) -> dict[str, Any]:
        out = io.StringIO()
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", **more}
        AccessLog(out).write(environ, "200 OK", 0.001, 1.0)
        found: dict[str, Any] = json.loads(out.getvalue())
        return found

    assert line(**{"chapiteau.trace_id": TRACE})["trace_id"] == TRACE
    assert line(HTTP_TRACEPARENT=GIVEN["traceparent"])["trace_id"] == TRACE
    assert "trace_id" not in line()
    for bad in ("", "x", f"00-{'0' * 32}-{PARENT}-01", GIVEN["traceparent"] + "\n"):
        assert trace_id_of({"HTTP_TRACEPARENT": bad}) == ""


def test_lines_of_the_exporters_do_not_feed_themselves(lines: Any) -> None:
    loggers = LoggerProvider()
    loggers.add_log_record_processor(SimpleLogRecordProcessor(lines))
    handler = LogLines(loggers)
    for name in ("opentelemetry.sdk", "shop"):
        handler.emit(logging.LogRecord(name, logging.INFO, "f.py", 1, "said", (), None))
    assert [line.log_record.attributes["logger.name"] for line in lines.get_finished_logs()] == [
        "shop"
    ]


def test_without_the_library_the_way_to_it_is_told(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(DeclarationError) as told:
        build(more=lambda config: config.add_tracing())
    assert "chapiteau[otel]" in (told.value.hint or "")
