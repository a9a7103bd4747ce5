"""Picks values out of answers, for the requests that follow (correlation)."""

import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any, Final

__all__ = ["MISSING", "form_fields", "matched", "picked"]

MISSING: Final = object()
_STEP: Final = re.compile(r"\[(-?\d+)\]|([^.\[\]]+)")


def picked(value: Any, path: str, default: Any = MISSING) -> Any:
    """What lies at a path like `items[0].id` or `data.users[-1].name`.

    Steps are names joined by dots and [indexes]. Raises LookupError saying how far it came.
    """
    at = value
    seen = ""
    for index, name in _steps(path):
        try:
            at = _step(at, index, name)
        except LookupError:
            if default is not MISSING:
                return default
            raise LookupError(f"no {path} in the answer: {_there(at, seen)}") from None
        seen += f"[{index}]" if index is not None else f".{name}" if seen else name
    return at


def _steps(path: str) -> list[tuple[int | None, str]]:
    steps, end = [], 0
    for match in _STEP.finditer(path):
        if path[end : match.start()] not in {"", "."}:
            break
        steps.append((int(match[1]) if match[1] else None, match[2] or ""))
        end = match.end()
    if end != len(path) or not steps:
        raise LookupError(f"{path!r} is no path; for example items[0].id")
    return steps


def _step(at: Any, index: int | None, name: str) -> Any:
    if index is not None:
        if isinstance(at, Sequence) and not isinstance(at, str):
            return at[index]
        raise LookupError
    if isinstance(at, Mapping):
        return at[name]
    raise LookupError


def _there(at: Any, seen: str) -> str:
    place = seen or "it"
    if isinstance(at, Mapping):
        return f"{place} has {', '.join(map(str, list(at)[:10])) or 'nothing'}"
    if isinstance(at, Sequence) and not isinstance(at, str):
        return f"{place} has {len(at)} items"
    return f"{place} is {type(at).__name__}"


def matched(text: str, pattern: str, default: Any = MISSING) -> str:
    """The first group (or all) of the first place where a regular expression matches.

    Raises LookupError when there is none.
    """
    found = re.search(pattern, text)
    if found is None:
        if default is not MISSING:
            return str(default)
        raise LookupError(f"nothing in the answer matches {pattern!r}")
    return str(found[1] if found.re.groups else found[0])


def form_fields(html: str, number: int = 0) -> dict[str, str]:
    """Names and values of a page's form as a browser would send them untouched, hidden ones too.

    Raises LookupError when the page has no such form.
    """
    reader = _Forms()
    reader.feed(html)
    if number >= len(reader.forms):
        raise LookupError(f"the page has {len(reader.forms)} forms")
    return reader.forms[number]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self._select = ""
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({})
        if not self.forms:
            return
        name, form = given.get("name", ""), self.forms[-1]
        if tag == "input" and name:
            kind = given.get("type", "text").lower()
            if kind in {"submit", "button", "image", "reset", "file"}:
                return
            if kind not in {"checkbox", "radio"} or "checked" in given:
                form[name] = given.get("value", "on" if kind in {"checkbox", "radio"} else "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in form:
                form[self._select] = given.get("value", "")
        elif tag == "textarea" and name:
            self._area = name
            form[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.forms[-1][self._area] += data
