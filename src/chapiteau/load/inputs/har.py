"""HAR 1.2 (what browsers save under "Network"): a visit, sent again by every session."""

import base64
import binascii
import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from chapiteau.core.problems import Problem, raise_problems
from chapiteau.load.inputs.recording import (
    ParsedInput,
    SequenceFlow,
    accepted_statuses,
    filter_host,
    kept_headers,
    with_content_type,
)
from chapiteau.load.inputs.url_encoding import form_encode, url_origin
from chapiteau.load.scenario.flow import FlowRequest

__all__ = ["read_har", "strip_responses"]

_KEPT: Final = ("startedDateTime", "time", "request", "_fromCache", "_fetchType")
_LONGEST_PAUSE: Final = 60.0  # seconds; somebody went to lunch while recording
_LEAST_PAUSE: Final = 0.2  # shorter gaps are the browser's, not the person's
# What a browser keeps in its cache or does for itself.
_NOT_SENT: Final = ("data:", "blob:", "chrome-extension:", "ws:", "wss:", "about:")
# Answers that came from no service: what Chrome and Safari call them.
_CACHED: Final = frozenset({"Memory Cache", "Disk Cache", "Service Worker"})


def read_har(
    text: str | bytes, *, name: str = "har", pauses: bool = True, base: str = ""
) -> ParsedInput:
    """The recorded visit as a session; raises InvalidInputError when nothing in it can be sent.

    Only requests to one host are kept: that of `base` when the visit was there, else the first
    page's (a visit may begin with a redirect to it, or with what a page before had left to do).
    Cookies are left out: a session gets its own from the answers. `pauses` keeps the time that the
    person took between requests.
    """
    log, problems = _log(text, name)
    entries = log["entries"]
    requests = list(_requests(entries, problems, pauses=pauses))
    if cached := sum(map(_from_cache, entries)):
        what = f"{cached} requests that the browser's cache answered are left out"
        problems.append(Problem("/log/entries", what, "to have them, record without the cache"))
    kept, others = filter_host(requests, _home(log, base))
    for host, count in others.items():
        hint = f"if that is the service: --base {host}"
        problems.append(Problem(host, f"{count} requests to another host are left out", hint))
    if not kept:
        raise_problems(name, [*problems, Problem("", "has no request that can be sent")])
    home = url_origin(kept[0].url)
    relative = tuple(replace(r, url=r.url.removeprefix(home) or "/") for r in kept)
    return ParsedInput(flow=SequenceFlow(name, relative), base_url=home, problems=tuple(problems))


def strip_responses(text: str) -> str:
    """The same recording without what was answered, which is nearly all of it; as it is, when it
    is no recording."""
    try:
        log = json.loads(text)["log"]
        entries = [_slim(entry) for entry in log["entries"]]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return text
    slim = {"pages": log.get("pages"), "entries": entries}
    return json.dumps({"log": slim}, separators=(",", ":"))


def _slim(entry: Mapping[str, Any]) -> dict[str, object]:
    response = entry.get("response", {})
    return {
        **{key: entry[key] for key in _KEPT if key in entry},
        "response": {
            "status": response.get("status"),
            "redirectURL": response.get("redirectURL"),
            "content": {"mimeType": _kind(entry)},
        },
    }


def _kind(entry: Any) -> str:
    """The media type of an answer."""
    try:
        return str(entry["response"]["content"]["mimeType"]).partition(";")[0].strip().lower()
    except (LookupError, TypeError):
        return ""


def _home(log: Mapping[str, Any], base: str) -> str:
    """The base URL that the visit was about; "" when that can't be told."""
    entries = [e for e in log["entries"] if isinstance(e, dict)]
    asked = {url_origin(str(e["request"].get("url"))) for e in entries if _asks(e)}
    raw = log.get("pages")
    pages: list[Any] = raw if isinstance(raw, list) else []
    # Chrome calls a page by its URL, others by what stands in its window's title.
    titles = [str(page.get("title")) for page in pages if isinstance(page, dict)]
    for told in (url_origin(base), *map(url_origin, titles)):
        if told and told in asked:
            return told
    for entry in entries:
        html = _kind(entry) in {"text/html", "application/xhtml+xml"}
        if html and _asks(entry) and entry["response"].get("status") == 200:
            return url_origin(str(entry["request"].get("url")))
    return ""


def _from_cache(entry: Any) -> bool:
    """Whether the service was never asked: neither when there was a 304, for which it was."""
    if not isinstance(entry, dict):
        return False
    return bool(entry.get("_fromCache")) or entry.get("_fetchType") in _CACHED


def _asks(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("request"), dict)


def _log(text: str | bytes, name: str) -> tuple[Mapping[str, Any], list[Problem]]:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise_problems(name, [Problem("", f"is not JSON: {exc}", "a HAR file is JSON")])
    log = raw.get("log") if isinstance(raw, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        hint = "save it from the browser's network panel: Save all as HAR"
        raise_problems(name, [Problem("/log/entries", "is missing: this is no HAR file", hint)])
    return {**(log or {}), "entries": list(entries or ())}, []


def _requests(
    entries: list[Any], problems: list[Problem], *, pauses: bool
) -> Iterator[FlowRequest]:
    ended = 0.0
    followed = ""  # where the answer before pointed to: a session follows that by itself
    for number, entry in enumerate(entries):
        where = f"/log/entries/{number}"
        raw = entry.get("request") if isinstance(entry, dict) else None
        url = raw.get("url") if isinstance(raw, dict) else None
        if not isinstance(raw, dict) or not isinstance(url, str) or not url:
            problems.append(Problem(where, "has no request"))
            continue
        if url.startswith(_NOT_SENT) or _from_cache(entry):
            continue
        started = _moment(entry.get("startedDateTime"))
        pause = started - ended if ended and started else 0.0
        ended = started + _seconds(entry.get("time"))
        if url == followed:
            followed = ""
            continue
        response = entry.get("response")
        response = response if isinstance(response, dict) else {}
        target = str(response.get("redirectURL") or "")
        # One of the two hosts is left out, and then nothing leads to the other.
        followed = target if url_origin(target) in {"", url_origin(url)} else ""
        think = min(pause, _LONGEST_PAUSE) if pauses and pause >= _LEAST_PAUSE else 0.0
        request = _request(raw, url, response.get("status"), think)
        told = _length(raw)
        if told is not None and told != len(request.body) and request.method != "GET":
            what = f"its body had {told} bytes, and the recording has {len(request.body)} of them"
            problems.append(Problem(where, what, "browsers keep neither files nor long bodies"))
        yield request


def _request(raw: Mapping[str, Any], url: str, status: Any, think: float) -> FlowRequest:
    body, content_type = _body(raw.get("postData"), _length(raw))
    headers = kept_headers(_pairs(raw.get("headers")))
    headers = tuple(h for h in headers if h[0].lower() != "cookie")
    return FlowRequest(
        method=str(raw.get("method") or "GET").upper(),
        url=url.partition("#")[0],
        headers=with_content_type(headers, content_type),
        body=body,
        expect=accepted_statuses(status),
        think=round(think, 3),
    )


def _pairs(raw: Any) -> Iterator[tuple[str, str]]:
    for item in raw if isinstance(raw, list) else ():
        if isinstance(item, dict):
            yield str(item.get("name", "")), str(item.get("value", ""))


def _length(raw: Mapping[str, Any]) -> int | None:
    """How many bytes the request's body had, as its own header says."""
    for name, value in _pairs(raw.get("headers")):
        if name.lower() == "content-length" and value.isdecimal() and len(value) < 16:
            return int(value)
    return None


def _body(raw: Any, length: int | None) -> tuple[bytes, str]:
    if not isinstance(raw, dict):
        return b"", ""
    kind = str(raw.get("mimeType") or "")
    text = raw.get("text")
    if isinstance(text, str) and text:
        if raw.get("encoding") == "base64":
            try:
                return base64.b64decode(text, validate=True), kind
            except (binascii.Error, ValueError):
                pass  # marked so by mistake: what stands there is the body
        return _bytes(text, kind, length), kind
    return form_encode(_pairs(raw.get("params"))).encode(), kind


def _bytes(text: str, kind: str, length: int | None) -> bytes:
    """The body of this text. Firefox writes what is no UTF-8 byte by byte, as letters up to ÿ, and
    may put the head of an uploaded form before it."""
    head, blank, rest = text.partition("\r\n\r\n")
    form = kind.lower().startswith(("multipart/", "application/x-www-form-urlencoded"))
    if blank and form and head.lower().startswith(("content-type:", "content-length:")):
        text = rest
    body = text.encode("utf-8", "replace")
    if length == len(text) != len(body) and max(text) <= "\xff":
        return text.encode("latin-1")
    return body


def _moment(raw: Any) -> float:
    try:
        return datetime.datetime.fromisoformat(str(raw)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _seconds(raw: Any) -> float:
    """Milliseconds as HAR has them, in seconds; 0 for what is no time."""
    good = isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw < 1e9
    return raw / 1000 if good else 0.0
