"""What people say to a running test: that it shall end, what happens now, that load comes on top.

One JSON object a line, written by whoever says it and read by the test, and by who watches it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

__all__ = [
    "MAX_MARK_LENGTH",
    "ControlMessage",
    "format_message",
    "marks",
    "marks_section",
    "parse_messages",
    "stopped_by",
]

MAX_MARK_LENGTH: Final = 200  # letters of a mark
_MOST: Final = 200  # remarks that are read; nobody looks at more


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlMessage:
    """One of them; `time` in seconds since 1970."""

    time: float
    what: Literal["mark", "stop", "add"]
    who: str
    text: str = ""
    users: int = 0  # (add) so many more
    rate: float = 0.0  # (add) so many sessions a second more


def format_message(remark: ControlMessage) -> str:
    """As it is appended to the test's file."""
    return json.dumps(asdict(remark)) + "\n"


def parse_messages(text: str) -> Iterator[ControlMessage]:
    """What is in a file; a line that can't be read is left out: it may be half written."""
    for line in text.splitlines()[:_MOST]:
        try:
            raw = json.loads(line)
            yield ControlMessage(
                time=float(raw["time"]),
                what=raw["what"] if raw["what"] in ("stop", "add") else "mark",
                who=str(raw["who"]),
                text=str(raw["text"])[:MAX_MARK_LENGTH],
                users=int(raw.get("users", 0)),
                rate=float(raw.get("rate", 0.0)),
            )
        except (ValueError, KeyError, TypeError, OverflowError):
            continue


def marks(found: Sequence[ControlMessage], started: float) -> list[dict[str, Any]]:
    """The marked moments in seconds after the test's start, as its result keeps them."""
    return [
        {"t": round(max(0.0, one.time - started), 1), "who": one.who, "text": one.text}
        for one in sorted(found, key=lambda one: one.time)
        if one.what == "mark"
    ]


def marks_section(
    found: Sequence[ControlMessage],
    started: float,
    lost: Mapping[str, float] | None = None,
    more: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What a result document gets of them, of machines that were lost (name → seconds), and of
    `more` marks."""
    made = [*marks(found, started), *map(dict, more)]
    made += [{"t": t, "who": name, "text": "was lost"} for name, t in (lost or {}).items()]
    made.sort(key=lambda one: float(one["t"]))
    return {"marks": made} if made else {}


def stopped_by(found: Sequence[ControlMessage]) -> str:
    """Who asked for the end first; "" when nobody did."""
    return next((one.who for one in found if one.what == "stop"), "")
