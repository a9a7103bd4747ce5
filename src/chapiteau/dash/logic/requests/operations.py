"""Which operations a service's own figures tell apart: by method and path template."""

import re
from collections import defaultdict
from typing import Final

from chapiteau.dash.logic.requests.reading import Totals, read_totals

__all__ = ["by_operation", "shape_of"]

Operation = tuple[str, str]  # "GET", "/items/{}"

_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# As usual exporters call them, the surest first.
_PATHS: Final = ("path", "http_route", "route", "handler", "path_template", "endpoint", "uri")
_METHODS: Final = ("method", "http_request_method", "http_method", "verb")
_PLACE: Final = re.compile(r"\{[^}]*\}|<[^>]*>|(?<=/):\w+")
_MOST: Final = 1_000  # operations; who puts whole addresses into a label has more


def shape_of(path: str) -> str:
    """A path template whatever its parameters are called and however they are marked."""
    return _PLACE.sub("{}", path)


def by_operation(text: str, family: str) -> dict[Operation, Totals]:
    """The sums of a family for each operation; empty when its labels name no paths."""
    lines: dict[Operation, list[str]] = defaultdict(list)
    for line in text.splitlines():
        if not line.startswith(family):
            continue
        labels = dict(_LABEL.findall(line))
        path = next((labels[name] for name in _PATHS if name in labels), "")
        method = next((labels[name] for name in _METHODS if name in labels), "")
        if path.startswith("/") and method and len(lines) < _MOST:
            lines[method.upper(), shape_of(path)].append(line)
    aside = "\n".join(line for line in text.splitlines() if line.startswith("process_start_time"))
    return {
        operation: read_totals("\n".join([*its, aside]), family) for operation, its in lines.items()
    }
