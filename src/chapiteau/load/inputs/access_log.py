"""Access logs (common, combined, JSON lines, extended, of load balancers) → requests with the
moments at which they came."""

import datetime
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chapiteau.core.problems import Problem, raise_problems
from chapiteau.load.inputs.access_log_formats import (
    LogEntry,
    parse_extended_line,
    parse_fields_directive,
    parse_load_balancer_line,
)
from chapiteau.load.inputs.recording import RandomFlow, accepted_statuses
from chapiteau.load.inputs.url_encoding import quote
from chapiteau.load.scenario.flow import FlowRequest, FlowState

if TYPE_CHECKING:
    import random

__all__ = ["AccessLog", "LoggedRequest", "ReplayFlow", "read_access_log"]

# host ident user [time] "METHOD path HTTP/1.1" status size, and in the combined form
# "referrer" "agent" (Apache's documentation, mod_log_config; nginx's `combined`).
_LINE: Final = re.compile(
    r"\S+ \S+ .*?\[(?P<time>[^\]]+)\] "
    r'"(?P<method>[A-Z]+) (?P<path>(?:[^"\\]|\\.)*?)(?: HTTP/[\d.]+)?"'
    r" (?P<status>\d{3}) (?:\d+|-)"
    r'(?: "(?P<referrer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)")?.*'
)
_MONTHS: Final = {
    m: i for i, m in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}
_MOMENT: Final = re.compile(
    r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"
)
# Names under which servers write the same fact; nested names are reached by dots.
_TIME_KEYS: Final = "time ts timestamp @timestamp time_iso8601 time_local StartUTC msec at".split()
_METHOD_KEYS: Final = (
    "method request_method request.method RequestMethod http.request.method"
).split()
_PATH_KEYS: Final = (
    "request_uri uri url path target request.uri RequestPath url.original url.path"
).split()
_STATUS_KEYS: Final = "status code response_status OriginStatus http.response.status_code".split()
_MOST_PROBLEMS: Final = 10  # lines that are told one by one
# What nginx and Apache write for letters that would end a field: `\x22`, `\"`, `\\`.
_ESCAPED: Final = re.compile(r'\\x([0-9A-Fa-f]{2})|\\(["\\])')
_SHOWN: Final = 20
_PLACE: Final = "place in the log"  # key in Seen.memory
_IN_A_TARGET: Final = "/?#[]@!$&'()*+,;=:%"  # as it was sent: escapes are escapes already


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One line of the log: seconds since the first, and the request."""

    at: float
    request: FlowRequest


@dataclass(frozen=True, slots=True)
class ReplayFlow:
    """The log's requests one after the other, one a session; `moments` say when each is due."""

    name: str
    moments: tuple[float, ...]  # seconds from the start
    requests: tuple[FlowRequest, ...]

    def next(self, _chance: "random.Random", seen: FlowState) -> FlowRequest | None:
        """The first request that no session has taken yet."""
        if seen.steps:
            return None
        place: int = seen.memory.get(_PLACE, 0)
        seen.memory[_PLACE] = place + 1
        return self.requests[place] if place < len(self.requests) else None

    def outline(self) -> list[str]:
        """The first requests, with their moments."""
        pairs = list(zip(self.moments, self.requests, strict=True))
        lines = [f"{at:8.3f} s  {r.method} {r.url}" for at, r in pairs[:_SHOWN]]
        more = len(pairs) - _SHOWN
        return [*lines, f"… and {more} more"] if more > 0 else lines


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """A log ready to be replayed, in order of time; `problems` tells lines that were left out."""

    name: str
    visits: tuple[LoggedRequest, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def seconds(self) -> float:
        """From the first request to the last."""
        return self.visits[-1].at if self.visits else 0.0

    def replay(self, part: int = 0, parts: int = 1, speed: float = 1.0) -> ReplayFlow:
        """The log with its own timing, `speed` times as fast; of several parts, every n-th."""
        mine = self.visits[part::parts]
        moments = tuple(v.at / speed for v in mine)
        return ReplayFlow(self.name, moments, tuple(v.request for v in mine))

    @property
    def flow(self) -> RandomFlow:
        """The same requests without their timing: any one a session."""
        return RandomFlow(self.name, tuple(v.request for v in self.visits))


def read_access_log(
    text: str, *, name: str = "access log", methods: frozenset[str] = frozenset({"GET", "HEAD"})
) -> AccessLog:
    """The requests of these methods; raises InvalidInputError when no line is one.

    A log has no bodies, so only reads are replayed by default. Requests that were refused then
    (4xx) may be refused now.
    """
    visits: list[tuple[float, FlowRequest]] = []
    problems: list[Problem] = []
    left_out = 0
    columns: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            columns = parse_fields_directive(line) or columns
            continue
        found = _json_line(line) if line.lstrip().startswith("{") else _text_line(line, columns)
        if found is None:
            problems.append(Problem(f"{name}:{number}", f"is no line of a log: {line[:60]!r}"))
        elif found[1].method in methods:
            visits.append(found)
        else:
            left_out += 1
    if len(problems) > _MOST_PROBLEMS:
        what = f"{len(problems) - _MOST_PROBLEMS} more lines are none of a log"
        problems[_MOST_PROBLEMS:] = [Problem(name, what)]
    if left_out:
        hint = "a log holds no bodies"
        problems.append(Problem(name, f"{left_out} requests that change things are left out", hint))
    if not visits:
        raise_problems(name, problems[:_MOST_PROBLEMS] or [Problem(name, "has no request in it")])
    visits.sort(key=lambda pair: pair[0])
    first = visits[0][0]
    return AccessLog(
        name=name,
        visits=tuple(LoggedRequest(round(at - first, 6), request) for at, request in visits),
        problems=tuple(problems),
    )


def _text_line(line: str, columns: tuple[str, ...]) -> tuple[float, FlowRequest] | None:
    line = line.strip()
    entry = (
        parse_extended_line(line, columns)
        if columns
        else _entry(line) or parse_load_balancer_line(line)
    )
    at = _moment(entry.moment) if entry else None
    if entry is None or at is None:
        return None
    headers = []
    if entry.referrer not in {"-", ""}:
        headers.append(("Referer", _visible(entry.referrer)))
    if entry.agent not in {"-", ""}:
        headers.append(("User-Agent", _visible(entry.agent)))
    return _visit(at + entry.after, entry.method, entry.path, entry.status, tuple(headers))


def _entry(line: str) -> LogEntry | None:
    """A line in the common or the combined form."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    return LogEntry(
        moment=found["time"],
        method=found["method"],
        path=_ESCAPED.sub(lambda m: f"%{m[1]}" if m[1] else str(m[2]), found["path"]),
        status=int(found["status"]),
        referrer=found["referrer"] or "",
        agent=found["agent"] or "",
    )


def _visit(
    at: float, method: str, path: str, status: int, headers: tuple[tuple[str, str], ...] = ()
) -> tuple[float, FlowRequest] | None:
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2] if "://" in path else ""
    url = quote(path, _IN_A_TARGET)
    if not url:
        return None
    return at, FlowRequest(
        method=method, url=url, headers=headers, expect=accepted_statuses(status)
    )


def _visible(text: str) -> str:
    plain = _ESCAPED.sub(lambda m: chr(int(m[1], 16)) if m[1] else str(m[2]), text)
    return "".join(c for c in plain if " " <= c <= "~").strip()


def _moment(text: str) -> float | None:
    """`10/Oct/2026:13:55:36 +0000`, ISO 8601, or seconds since 1970, as seconds since 1970."""
    found = _MOMENT.fullmatch(text.strip())
    try:
        if found is None:
            return _iso_moment(text)
        day, month, year, hour, minute, second, sign, off_h, off_m = found.groups()
        away = datetime.timedelta(hours=int(off_h), minutes=int(off_m))
        zone = datetime.timezone(away if sign == "+" else -away)
        clock = (int(hour), int(minute), int(second))
        return datetime.datetime(
            int(year), _MONTHS[month], int(day), *clock, tzinfo=zone
        ).timestamp()
    except (ValueError, KeyError, OverflowError):
        return None


def _iso_moment(text: str) -> float | None:
    try:
        return _sane(float(text))
    except ValueError:
        moment = datetime.datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _sane(number: float) -> float | None:
    """Seconds since 1970, also where milliseconds or nanoseconds were written."""
    for scale in (1.0, 1e3, 1e6, 1e9):
        if 0 <= number / scale < 1e10:
            return number / scale
    return None


def _json_line(line: str) -> tuple[float, FlowRequest] | None:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict):
        return None
    at = _moment(str(_first(raw, _TIME_KEYS)))
    method, path = _first(raw, _METHOD_KEYS), _first(raw, _PATH_KEYS)
    request = raw.get("request")
    if isinstance(request, str) and request.count(" ") >= 1:  # nginx: "$request"
        method, path = request.split(" ")[:2]
    if at is None or not isinstance(path, str) or not isinstance(method, str | None):
        return None
    status = _first(raw, _STATUS_KEYS)
    code = int(status) if str(status).isdecimal() and len(str(status)) == 3 else 200
    return _visit(at, (method or "GET").upper(), path, code)


def _first(raw: Mapping[str, Any], keys: Sequence[str]) -> Any:
    for key in keys:
        value = next(_reached(raw, key), None)
        if value is not None and not isinstance(value, dict | list):
            return value
    return None


def _reached(raw: Mapping[str, Any], key: str) -> Iterator[Any]:
    if key in raw:
        yield raw[key]
    head, dot, rest = key.partition(".")
    inner = raw.get(head)
    if dot and isinstance(inner, Mapping):
        yield from _reached(inner, rest)
