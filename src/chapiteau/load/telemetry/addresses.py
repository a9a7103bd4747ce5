"""Addresses of several schemes, taken apart: `scheme://user:password@host:port/path?query`."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from chapiteau.core.errors import UsageError
from chapiteau.load.inputs.url_encoding import split_query, unquote
from chapiteau.load.protocols.urls import query

__all__ = ["ExportTarget", "UrlParts", "parse_export_target", "parse_url_parts"]

_ONE: Final = re.compile(
    r"(?P<scheme>[a-z+]+)://(?:(?P<user>[^/\s]*)@)?(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^/:?#@\s]+))"
    r"(?::(?P<port>\d{1,5}))?(?P<path>/[^?#\s]*)?(?:\?(?P<query>[^#\s]*))?"
)


@dataclass(frozen=True, slots=True)
class UrlParts:
    """An address. `netloc` is what stands between the slashes; `port` is 0 when none is given."""

    scheme: str
    netloc: str
    host: str
    port: int
    path: str
    query: dict[str, str]
    user: str = ""
    password: str = ""


def parse_url_parts(text: str, what: str, hint: str) -> UrlParts:
    """Take an address apart. Raises UsageError that begins with `what`."""
    found = _ONE.fullmatch(text)
    if found is None or int(found["port"] or 0) > 65535:
        raise UsageError(f"{what} {text!r}: no address", hint=hint)
    user, _, password = (found["user"] or "").partition(":")
    return UrlParts(
        scheme=found["scheme"],
        netloc=text.partition("://")[2].partition("/")[0].partition("?")[0],
        host=found["six"] or found["host"],
        port=int(found["port"] or 0),
        path=found["path"] or "",
        query=dict(split_query("?" + (found["query"] or ""))[1]),
        user=unquote(user),
        password=unquote(password),
    )


# Where a running test's numbers go, as a URL says it.

Form = Literal["otlp", "statsd"]
# Where OTLP is taken; Prometheus takes it from 3.0 on (--web.enable-otlp-receiver).
_PATHS: Final = {"prometheus": "/api/v1/otlp/v1/metrics", "otlp": "/v1/metrics"}
_HINT: Final = (
    "for example otlp+http://host:4318, prometheus+http://host:9090, statsd://host:8125; "
    "other systems take OTLP through an OpenTelemetry collector"
)


@dataclass(frozen=True, slots=True)
class ExportTarget:
    """A system that takes numbers. `url` is "" for statsd, which is a UDP address."""

    form: Form
    url: str
    host: str
    port: int
    tags: bool = False  # statsd: DogStatsD's tags instead of names alone

    def __str__(self) -> str:
        return f"{self.form} at {self.host}:{self.port}"


def parse_export_target(text: str) -> ExportTarget:
    """Read one `--export`. Raises UsageError with examples."""
    parts = parse_url_parts(text, "export", _HINT)
    form, plus, scheme = parts.scheme.partition("+")
    if form == "statsd" and not plus:
        tags = parts.query.get("tags") == "datadog"
        return ExportTarget("statsd", "", parts.host, parts.port or 8125, tags=tags)
    if form not in _PATHS or scheme not in {"http", "https"}:
        raise UsageError(f"export {text!r}: no such system", hint=_HINT)
    path = parts.path if parts.path.strip("/") else _PATHS[form]
    url = f"{scheme}://{parts.netloc}{path}" + (f"?{query(parts.query)}" if parts.query else "")
    port = parts.port or (443 if scheme == "https" else 80)
    return ExportTarget("otlp", url, parts.host, port)
