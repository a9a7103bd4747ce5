"""Results for people and machines: one document, several renderings of it."""

import json
from collections.abc import Callable
from typing import Any, Final

from chapiteau.load.report.formats import as_csv, as_junit, as_markdown
from chapiteau.load.report.html import as_html

__all__ = ["render"]


def _as_json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


_FORMS: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "html": as_html,
    "json": _as_json,
    "csv": as_csv,
    "junit": as_junit,
    "markdown": as_markdown,
    "md": as_markdown,
}


def render(document: dict[str, Any], form: str) -> str:
    """The result as html, json, csv, junit, markdown or md."""
    return _FORMS[form](document)
