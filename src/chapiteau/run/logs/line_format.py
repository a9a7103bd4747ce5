"""How lines of output look in line mode: text for people, JSON for machines, syslog, journald."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Final

from chapiteau.core.text import detect_level
from chapiteau.run.logs.messages import LogLine

__all__ = [
    "format_journal",
    "format_json",
    "format_syslog",
    "format_timestamp",
    "join_lines",
    "json_head",
    "json_rest",
    "line_prefix",
]

_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

_FACILITY_USER: Final = 1
_LONGEST_JOINED: Final = 1 << 16  # characters
_SEVERITY: Final = {
    "trace": 7, "debug": 7, "info": 6, "notice": 5, "warning": 4, "warn": 4, "error": 3, "err": 3,
    "critical": 2, "fatal": 2, "panic": 0, "emerg": 0,
}  # fmt: skip


@lru_cache(maxsize=8)  # all lines that were read at once have one
def format_timestamp(when: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(when, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def line_prefix(when: float, service: str, process: int, stream: str) -> str:
    """What stands before each line of text."""
    mark = "!" if stream == "stderr" else "|"
    return f"{format_timestamp(when)} {service}.{process} {mark} "


def format_json(line: LogLine, node: str) -> str:
    """One JSON object; a line that is an object itself keeps its own keys under `fields`."""
    head = json_head(line.time, node, line.service, line.process, line.stream)
    return head + json_rest(line.text)


@lru_cache(maxsize=64)
def json_head(when: float, node: str, service: str, process: int, stream: str) -> str:
    """How the objects of all lines that came at once begin; `json_rest` ends them."""
    facts = {
        "time": format_timestamp(when),
        "node": node,
        "service": service,
        "process": process,
        "stream": stream,
    }
    return _JSON.encode(facts)[:-1]


def json_rest(text: str) -> str:
    """The part of a JSON object that is the line itself."""
    level = detect_level(text)
    graded = f',"level":"{level}"' if level else ""
    if (own := _object(text)) is not None:
        return f'{graded},"fields":{_JSON.encode(own)}}}'
    return f'{graded},"message":{encode_basestring(text)}}}'


def _object(text: str) -> dict[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def format_syslog(line: LogLine, node: str) -> bytes:
    """A message of the syslog protocol (RFC 5424, §6); PROCID is the process number."""
    severity = _SEVERITY.get(detect_level(line.text), 4 if line.stream == "stderr" else 6)
    app = re.sub(r"[^!-~]", "_", line.service)[:48] or "-"
    priority = _FACILITY_USER * 8 + severity
    head = f"<{priority}>1 {format_timestamp(line.time)} {node} {app} {line.process or '-'} - - "
    return head.encode() + line.text.encode("utf-8", "replace")


def format_journal(line: LogLine) -> bytes:
    """A datagram of systemd's native journal protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    severity = _SEVERITY.get(detect_level(line.text), 4 if line.stream == "stderr" else 6)
    fields = {
        "PRIORITY": str(severity),
        "SYSLOG_IDENTIFIER": line.service,
        "CHAPITEAU_SERVICE": line.service,
        "CHAPITEAU_PROCESS": str(line.process),
        "CHAPITEAU_STREAM": line.stream,
    }
    made = b"".join(f"{name}={value}\n".encode() for name, value in fields.items())
    message = line.text.encode("utf-8", "replace")
    if b"\n" in message:
        return made + b"MESSAGE\n" + len(message).to_bytes(8, "little") + message + b"\n"
    return made + b"MESSAGE=" + message + b"\n"


def join_lines(
    lines: Sequence[LogLine], start: "re.Pattern[str]", held: LogLine | None
) -> tuple[list[LogLine], LogLine | None]:
    """Lines that do not match `start` continue the one before: (complete ones, the one held).

    The last one is held back, since its continuation may still come.
    """
    done: list[LogLine] = []
    for line in lines:
        if held is not None and not start.search(line.text):
            held = _longer(held, line)
        else:
            if held is not None:
                done.append(held)
            held = line
    return done, held


def _longer(first: LogLine, more: LogLine) -> LogLine:
    return replace(first, text=f"{first.text}\n{more.text}"[:_LONGEST_JOINED], at=0)
