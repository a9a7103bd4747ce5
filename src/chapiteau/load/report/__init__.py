"""Results for people and machines: one document, several renderings of it."""

from collections.abc import Callable
from typing import Final

import msgspec

from chapiteau.load.report.formats import as_csv, as_junit, as_markdown
from chapiteau.load.report.html import as_html
from chapiteau.load.report.result import LoadResult

__all__ = ["render"]


def _as_json(document: LoadResult) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


_FORMS: Final[dict[str, Callable[[LoadResult], str]]] = {
    "html": as_html,
    "json": _as_json,
    "csv": as_csv,
    "junit": as_junit,
    "markdown": as_markdown,
    "md": as_markdown,
}


def render(document: LoadResult, form: str) -> str:
    """The result as html, json, csv, junit, markdown or md."""
    return _FORMS[form](document)
