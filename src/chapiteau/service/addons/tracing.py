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
    """`config.add_tracing()`: trace every request of the application, on both paths.

    Without a `provider`, the one that is set for the process is taken, or one is made that sends
    to where OTEL_EXPORTER_OTLP_ENDPOINT says. `logs` is True, or a provider of loggers: then lines
    of Python's logging go out too, with the trace that they belong to.
    Raises DeclarationError when the extra `otel` is not installed.
    """
    tracer = (provider or _default_tracer_provider()).get_tracer(_NAME)
    if logs:
        logging.getLogger().addHandler(
            LogLines(_default_logger_provider() if logs is True else logs)
        )
    registry = config.registry

    def register() -> None:
        inner = registry.queryUtility(IExecutionPolicy, default=default_execution_policy)
        registry.registerUtility(TracedPolicy(inner, tracer), IExecutionPolicy)

    config.action(("chapiteau tracing",), register, order=100)  # when the policy is known


class TracedPolicy:
    """An execution policy inside a span, which ends when the answer is whole: a stream's, later."""

    def __init__(self, inner: Callable[[Environ, Any], Any], tracer: Any) -> None:
        from opentelemetry import context, propagate, trace

        self._inner = inner
        self._tracer = tracer
        self._trace = trace
        self.attach, self.detach = context.attach, context.detach
        getter: Any = _Headers()
        self._extract = functools.partial(propagate.extract, getter=getter)

    def __call__(self, environ: Environ, router: Any) -> Any:
        before = self._extract(environ)
        kind = self._trace.SpanKind.SERVER
        method = environ["REQUEST_METHOD"]
        span = self._tracer.start_span(
            method if method in _METHODS else "HTTP", before, kind, _attributes(environ)
        )
        environ[TRACE_KEY] = f"{span.get_span_context().trace_id:032x}"
        errors = environ.setdefault(UNHANDLED_KEY, [])
        inside = self._trace.set_span_in_context(span, before)
        token = self.attach(inside)
        status, streams = 500, False
        try:
            made = self._inner(environ, router)
            status = int(str(made.status)[:3])
            streams = not isinstance(getattr(made, "app_iter", made), (Reply, list, tuple))
        except BaseException as exc:
            errors.append(exc)
            raise
        else:
            return _Streamed(made, self, span, inside) if streams else made
        finally:
            self.detach(token)
            if span.is_recording():
                self._record(span, environ, status, errors)
            if not streams:
                span.end()

    def _record(self, span: Any, environ: Environ, status: int, errors: list[Any]) -> None:
        span.set_attribute("http.response.status_code", status)
        if pattern := environ.get(ROUTE_KEY):
            route = _route(pattern)
            span.set_attribute("http.route", route)
            span.update_name(f"{environ['REQUEST_METHOD']} {route}")
        if status >= 500:
            self.blame(span, errors[-1] if errors else None, str(status))

    def blame(self, span: Any, error: BaseException | None, kind: str) -> None:
        """Say that a request went wrong, and by what."""
        span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
        span.set_attribute("error.type", kind if error is None else type(error).__qualname__)
        if error is not None:
            span.record_exception(error)


class _Streamed:
    """An answer that comes piece by piece, each made inside its span, which ends once."""

    def __init__(self, made: Any, policy: TracedPolicy, span: Any, context: Any) -> None:
        self._made, self._policy, self._span, self._context = made, policy, span, context
        self._body: Any = ()
        self._next: Callable[[], bytes] = iter(()).__next__
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body: Iterable[bytes] = self._inside(lambda: self._made(environ, start_response))
        if isinstance(body, list | tuple):  # HEAD
            self._end()
            return body
        self._body, self._next = body, iter(body).__next__
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece: bytes = self._inside(self._next)
        return piece

    def close(self) -> None:
        """As PEP 3333 has it; too early when there would have been more."""
        try:
            if (close := getattr(self._body, "close", None)) is not None:
                self._inside(close)
        finally:
            self._end(kind="closed early")

    def _inside(self, call: Callable[[], Any]) -> Any:
        """Call something inside the span; what it raises ends it, and is raised again."""
        token = self._policy.attach(self._context)
        try:
            return call()
        except StopIteration:
            self._end()
            raise
        except BaseException as exc:
            self._end(exc)
            raise
        finally:
            self._policy.detach(token)

    def _end(self, error: BaseException | None = None, kind: str = "") -> None:
        """End the span, unless that has been; and record what went wrong."""
        if self._ended:
            return
        self._ended = True
        if self._span.is_recording() and (error is not None or kind):
            self._policy.blame(self._span, error, kind)
        self._span.end()


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


def _attributes(environ: Environ) -> dict[str, Any]:
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
def _default_tracer_provider() -> Any:
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


def _default_logger_provider() -> Any:
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
