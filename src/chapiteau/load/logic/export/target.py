"""Where a running test's numbers go, as a URL says it."""

from dataclasses import dataclass
from typing import Final, Literal

from chapiteau.core.errors import UsageError
from chapiteau.load.logic.export.address import parts_of
from chapiteau.load.logic.urls import query

__all__ = ["ExportTarget", "parse_target"]

Form = Literal["prometheus", "otlp", "influx", "statsd"]
_PATHS: Final = {"prometheus": "/api/v1/write", "otlp": "/v1/metrics", "influx": "/write?db=load"}
_HINT: Final = (
    "for example prometheus+http://host:9090, otlp+http://host:4318, "
    "influx+http://host:8086/api/v2/write?org=o&bucket=b, statsd://host:8125"
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


def parse_target(text: str) -> ExportTarget:
    """Read one `--export`. Raises UsageError with examples."""
    parts = parts_of(text, "export", _HINT)
    form, plus, scheme = parts.scheme.partition("+")
    if form == "statsd" and not plus:
        tags = parts.query.get("tags") == "datadog"
        return ExportTarget("statsd", "", parts.host, parts.port or 8125, tags=tags)
    if form not in _PATHS or scheme not in {"http", "https"}:
        raise UsageError(f"export {text!r}: no such system", hint=_HINT)
    default, _, ask = _PATHS[form].partition("?")
    path = parts.path if parts.path.strip("/") else default
    asked = parts.query or (dict([ask.split("=")]) if ask and path == default else {})
    if form == "influx":
        asked = {**asked, "precision": "ns"}
    url = f"{scheme}://{parts.netloc}{path}" + (f"?{query(asked)}" if asked else "")
    port = parts.port or (443 if scheme == "https" else 80)
    return ExportTarget(form, url, parts.host, port)  # type: ignore[arg-type]
