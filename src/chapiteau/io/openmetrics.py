"""OpenMetrics text, for Prometheus and its kin.

Format: https://prometheus.io/docs/specs/om/open_metrics_spec/ (version 1.0.0).
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

__all__ = ["CONTENT_TYPE", "Family", "Sample", "format_labels", "format_openmetrics"]

CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_SUFFIX: Final = {"counter": "_total", "info": "_info"}


class Sample(NamedTuple):
    """One value and what it belongs to."""

    labels: Mapping[str, str]
    value: float


class Family(NamedTuple):
    """All samples of one name; `kind` is a metric type of the format, `unit` may be empty."""

    name: str
    kind: str
    unit: str
    text: str
    samples: list[Sample]


def format_openmetrics(families: Iterable[Family]) -> str:
    """All families, each with its type, unit and help; ends with # EOF."""
    lines: list[str] = []
    for name, kind, unit, text, samples in families:
        lines.append(f"# TYPE {name} {kind}")
        if unit:
            lines.append(f"# UNIT {name} {unit}")
        lines.append(f"# HELP {name} {text}")
        full = name + _SUFFIX.get(kind, "")
        lines += [f"{full}{format_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join([*lines, "# EOF", ""])


def format_labels(labels: Mapping[str, str]) -> str:
    """Labels as they follow a name: nothing when there are none."""
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}"


def _number(value: float) -> str:
    """All its digits: bytes and moments are larger than what %g keeps."""
    whole = math.isfinite(value) and value == math.floor(value)
    return str(int(value)) if whole else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
