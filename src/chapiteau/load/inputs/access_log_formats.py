"""Lines of load balancers' logs, and of logs that name their columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chapiteau.load.inputs.url_encoding import unquote

__all__ = ["LogEntry", "parse_extended_line", "parse_fields_directive", "parse_load_balancer_line"]

# AWS' application and classic load balancers: type, time, balancer, client, target, three times,
# two statuses, two sizes, "request", "agent" … (their documentation, "Access log entries").
_AWS: Final = re.compile(
    r"(?:(?:https?|h2|wss?|grpcs?) )?(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z) \S+ \S+:\d+ \S+"
    r" -?[\d.]+ -?[\d.]+ -?[\d.]+ (?P<status>\d{3}|-) \S+ \d+ \d+"
    r' "(?P<method>[A-Z]+) (?P<path>\S+) [^"]*"(?: "(?P<agent>[^"]*)")?.*'
)
# HAProxy's `option httplog`, with or without syslog's beginning; its time has no zone.
_HAPROXY: Final = re.compile(
    r".*?\[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:[\d:]{8})(?P<part>\.\d+)?\] \S+ \S+ [-+\d/]+"
    r' (?P<status>\d{3}) .*"(?P<method>[A-Z]+) (?P<path>\S+)(?: HTTP/[\d.]+)?"'
)
_FIELDS: Final = "#Fields:"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A request as a log has it. `moment` as it stands there, `after` seconds behind it."""

    moment: str
    after: float = 0.0
    method: str
    path: str
    status: int
    referrer: str = ""
    agent: str = ""


def parse_load_balancer_line(line: str) -> LogEntry | None:
    """A line of AWS' load balancers or of HAProxy."""
    if found := _AWS.fullmatch(line):
        status = int(found["status"]) if found["status"] != "-" else 200
        return LogEntry(
            moment=found["time"], method=found["method"], path=found["path"],
            status=status, agent=found["agent"] or "",
        )  # fmt: skip
    if found := _HAPROXY.fullmatch(line):
        return LogEntry(
            moment=f"{found['time']} +0000", after=float(found["part"] or 0),
            method=found["method"], path=found["path"], status=int(found["status"]),
        )  # fmt: skip
    return None


def parse_fields_directive(line: str) -> tuple[str, ...] | None:
    """The columns that a line of an extended log (W3C: IIS, CloudFront) names for those below."""
    return tuple(line[len(_FIELDS) :].split()) if line.startswith(_FIELDS) else None


def parse_extended_line(line: str, columns: Sequence[str]) -> LogEntry | None:
    """A line of such a log. Times are in UTC; agents have `+` or `%20` for blanks."""
    values = line.split("\t") if "\t" in line else line.split()
    row = dict(zip(columns, values, strict=False))
    try:
        query = row.get("cs-uri-query", "-")
        return LogEntry(
            moment=f"{row['date']}T{row['time']}+00:00",
            method=row["cs-method"],
            path=row["cs-uri-stem"] + (f"?{query}" if query not in {"-", ""} else ""),
            status=int(row.get("sc-status", "200")),
            referrer=unquote(row.get("cs(Referer)", "")),
            agent=unquote(row.get("cs(User-Agent)", ""), plus=True),
        )
    except (KeyError, ValueError):
        return None
