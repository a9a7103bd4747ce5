"""OpenTelemetry: a span per request, and log lines that belong to it.

Names are those of the semantic conventions for HTTP servers (v1.23 and later, stable).
"""

import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from pyramid.interfaces import IExecutionPolicy
from pyramid.router import default_execution_policy

from chapiteau.service.declare.path import openapi_path
from chapiteau.service.errors import DeclarationError
from chapiteau.service.pipeline.debug_page import UNHANDLED_KEY
from chapiteau.service.pipeline.reply import Reply
from chapiteau.service.protocol.headers import ROUTE_KEY, TRACE_KEY, Environ

__all__ = ["LogLines", "TracedPolicy", "trace_application"]

_NAME: Final = "chapiteau.service"
# A method that nobody knows is the client's word: it must not become the name of a span.
_METHODS: Final = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT QUERY".split())


def trace_application(config: Any, provider: Any = None, logs: Any = None) -> None:
    """`config.add_tracing()`: trace every request of the application, fast lane and normal.

    Without a `provider`, the one that is set for the process is taken, or one is made that sends
    to where OTEL_EXPORTER_OTLP_ENDPOINT says. `logs` is True, or a provider of loggers: then lines
    of Python's logging go out too, with the trace that they belong to.
    Raises DeclarationError when the extra `otel` is not installed.
    """
    tracer = (provider or _spans_out()).get_tracer(_NAME)
    if logs:
        logging.getLogger().addHandler(LogLines(_lines_out() if logs is True else logs))
    registry = config.registry

    def register() -> None:
        inner = registry.queryUtility(IExecutionPolicy, default=default_execution_policy)
        registry.registerUtility(TracedPolicy(inner, tracer), IExecutionPolicy)

    config.action(("chapiteau tracing",), register, order=100)  # when the lanes are laid


class TracedPolicy:
    """An execution policy inside a span, which ends when the answer is whole: a stream's, later."""

    def __init__(self, inner: Callable[[Environ, Any], Any], tracer: Any) -> None:
        from opentelemetry import context, propagate, trace

        self._inner = inner
        self._tracer = tracer
        self._trace = trace
        self._attach, self._detach = context.attach, context.detach
        getter: Any = _Headers()
        self._extract = functools.partial(propagate.extract, getter=getter)

    def __call__(self, environ: Environ, router: Any) -> Any:
        before = self._extract(environ)
        kind = self._trace.SpanKind.SERVER
        method = environ["REQUEST_METHOD"]
        span = self._tracer.start_span(
            method if method in _METHODS else "HTTP", before, kind, _told(environ)
        )
        environ[TRACE_KEY] = f"{span.get_span_context().trace_id:032x}"
        defects = environ.setdefault(UNHANDLED_KEY, [])
        inside = self._trace.set_span_in_context(span, before)
        token = self._attach(inside)
        status, streams = 500, False
        try:
            made = self._inner(environ, router)
            status = int(str(made.status)[:3])
            streams = not isinstance(getattr(made, "app_iter", made), (Reply, list, tuple))
        except BaseException as exc:
            defects.append(exc)
            raise
        else:
            return _Streamed(made, _Open(self, span, inside)) if streams else made
        finally:
            self._detach(token)
            if span.is_recording():
                self._tell(span, environ, status, defects)
            if not streams:
                span.end()

    def _tell(self, span: Any, environ: Environ, status: int, defects: list[Any]) -> None:
        span.set_attribute("http.response.status_code", status)
        if pattern := environ.get(ROUTE_KEY):
            route = _route(pattern)
            span.set_attribute("http.route", route)
            span.update_name(f"{environ['REQUEST_METHOD']} {route}")
        if status >= 500:
            self.blame(span, defects[-1] if defects else None, str(status))

    def blame(self, span: Any, defect: BaseException | None, kind: str) -> None:
        """Say that a request went wrong, and by what."""
        span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
        span.set_attribute("error.type", kind if defect is None else type(defect).__qualname__)
        if defect is not None:
            span.record_exception(defect)

    def within(self, context: Any, call: Callable[[], Any]) -> Any:
        """Call something while the span of a context is current."""
        token = self._attach(context)
        try:
            return call()
        finally:
            self._detach(token)


# ── answers that come piece by piece ─────────────────────────────────────────────────────────
class _Open:
    """A span that is still open; it ends once."""

    def __init__(self, policy: TracedPolicy, span: Any, context: Any) -> None:
        self._policy, self._span, self._context = policy, span, context
        self._ended = False

    def call(self, call: Callable[[], Any]) -> Any:
        """Call something inside the span; what it raises ends it, and is raised again."""
        try:
            return self._policy.within(self._context, call)
        except StopIteration:
            self.end()
            raise
        except BaseException as exc:
            self.end(exc)
            raise

    def end(self, defect: BaseException | None = None, kind: str = "") -> None:
        """End it, unless that has been; and say what went wrong."""
        if self._ended:
            return
        self._ended = True
        if self._span.is_recording() and (defect is not None or kind):
            self._policy.blame(self._span, defect, kind)
        self._span.end()


class _Streamed:
    """An answer whose span goes on behind its head."""

    def __init__(self, made: Any, open_span: _Open) -> None:
        self._made, self._open = made, open_span

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body: Iterable[bytes] = self._open.call(lambda: self._made(environ, start_response))
        if isinstance(body, list | tuple):  # HEAD
            self._open.end()
            return body
        return _Pieces(body, self._open)


class _Pieces:
    """The pieces of a stream, each made inside its span."""

    def __init__(self, body: Iterable[bytes], open_span: _Open) -> None:
        self._body, self._open = body, open_span
        self._next = iter(body).__next__

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece: bytes = self._open.call(self._next)
        return piece

    def close(self) -> None:
        """As PEP 3333 has it; too early when there would have been more."""
        try:
            if (close := getattr(self._body, "close", None)) is not None:
                self._open.call(close)
        finally:
            self._open.end(kind="closed early")


@functools.lru_cache(maxsize=4096)
def _route(pattern: str) -> str:
    return openapi_path(pattern)


class _Headers:
    """Reads propagation headers out of a WSGI environ."""

    def get(self, environ: Environ, key: str) -> list[str] | None:
        """The value of a header, as a list, or None."""
        found = environ.get("HTTP_" + key.upper().replace("-", "_"))
        return None if found is None else [found]

    def keys(self, environ: Environ) -> list[str]:
        """Names of all headers."""
        return [k[5:].lower().replace("_", "-") for k in environ if k.startswith("HTTP_")]


def _told(environ: Environ) -> dict[str, Any]:
    """What is known of a request before anybody has looked at it."""
    method = environ["REQUEST_METHOD"]
    host, _, port = str(environ.get("HTTP_HOST", "")).rpartition(":")
    if not port.isdigit():
        host, port = environ.get("HTTP_HOST", ""), environ.get("SERVER_PORT", "")
    found: dict[str, Any] = {
        "http.request.method": method if method in _METHODS else "_OTHER",
        "url.scheme": environ.get("wsgi.url_scheme", "http"),
        "url.path": environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace"),
        "server.address": host,
        "client.address": environ.get("REMOTE_ADDR", ""),
        "user_agent.original": environ.get("HTTP_USER_AGENT", ""),
        "url.query": environ.get("QUERY_STRING", ""),
        "network.protocol.version": environ.get("SERVER_PROTOCOL", "").removeprefix("HTTP/"),
    }
    if method not in _METHODS:
        found["http.request.method_original"] = method
    if port.isdigit():
        found["server.port"] = int(port)
    return {name: value for name, value in found.items() if value != ""}


# ── logs ─────────────────────────────────────────────────────────────────────────────────────
class LogLines(logging.Handler):
    """Sends lines of Python's logging to OpenTelemetry, inside the span that is current."""

    def __init__(self, provider: Any) -> None:
        super().__init__()
        from opentelemetry import _logs, context

        self._logger = provider.get_logger(_NAME)
        self._record, self._number = _logs.LogRecord, _logs.SeverityNumber
        self._context = context.get_current

    def emit(self, record: logging.LogRecord) -> None:
        """As logging.Handler; what the exporters themselves say is left out."""
        if record.name.startswith("opentelemetry"):
            return
        attributes: dict[str, Any] = {
            "logger.name": record.name,
            "code.file.path": record.pathname,
            "code.line.number": record.lineno,
        }
        if record.exc_info and record.exc_info[0] is not None:
            attributes["exception.type"] = record.exc_info[0].__qualname__
            attributes["exception.message"] = str(record.exc_info[1])
        self._logger.emit(
            self._record(
                timestamp=int(record.created * 1e9),
                context=self._context(),
                severity_text=record.levelname,
                severity_number=self._number(min(24, max(1, record.levelno * 4 // 10 + 1))),
                body=record.getMessage(),
                attributes=attributes,
            )
        )


# ── where it goes when nobody has said ───────────────────────────────────────────────────────
def _spans_out() -> Any:
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise _missing() from None
    found = trace.get_tracer_provider()
    if isinstance(found, trace.ProxyTracerProvider):
        found = TracerProvider()  # its resource is that of OTEL_SERVICE_NAME
        found.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(found)
    return found


def _lines_out() -> Any:
    try:
        from opentelemetry import _logs
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    except ImportError:
        raise _missing() from None
    found = _logs.get_logger_provider()
    if not isinstance(found, LoggerProvider):
        found = LoggerProvider()
        found.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        _logs.set_logger_provider(found)
    return found


def _missing() -> DeclarationError:
    return DeclarationError(
        "add_tracing needs OpenTelemetry, which is not installed",
        hint="pip install 'chapiteau[otel]'",
    )
