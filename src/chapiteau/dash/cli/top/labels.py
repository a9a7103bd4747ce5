"""What the screen says."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from chapiteau.core.units import format_duration
from chapiteau.dash.fleet.problem import actor_name
from chapiteau.run.events import TONES

__all__ = ["CSS", "KEYS", "action_text", "event_text", "problem_text"]

CSS: Final = """
#band { height: 1; padding: 0 1; background: $surface; }
#problems { height: auto; max-height: 5; padding: 0 1; color: $success; text-wrap: nowrap;
  text-overflow: ellipsis; }
#problems.wrong { color: $error; }
#tables { height: 2fr; }
DataTable { scrollbar-size-horizontal: 0; }
#services { width: 2fr; min-width: 44; }
#processes { width: 3fr; }
#below { height: 1fr; min-height: 4; border-top: solid $primary; }
#log-title { height: 1; padding: 0 1; color: $text-muted; }
#log { height: 1fr; padding: 0 1; }
#filter { height: 3; }
Ask, Pick, Keys { align: center middle; }
.dialog { width: auto; max-width: 90%; height: auto; max-height: 90%; padding: 1 2;
  border: round $primary; background: $surface; }
.dialog Static { width: auto; max-width: 100%; }
.dialog Horizontal { width: auto; height: auto; }
.dialog OptionList { width: 24; height: auto; }
.dialog Button { margin: 1 2 0 0; }
.line { color: $text-muted; margin: 1 0 0 0; }
"""

_LOOKS: Final = {
    "bad": ("✖", "red"), "warn": ("▼", "yellow"), "good": ("●", "green"), "people": ("◆", "blue"),
}  # fmt: skip

KEYS: Final = (
    ("/", "filter what is shown; Esc drops it"),
    ("n", "next problem, with the last lines that say why"),
    ("j k ↑ ↓ Tab", "move; to the next pane"),
    ("r  R", "reload, restart the service"),
    ("s", "stop or start it"),
    ("+  −", "one process more, one less"),
    ("!", "send a signal"),
    ("l", "into the log"),
    ("d", "deploys: reloads and applied files, by whom, and why one was not taken"),
    ("e", "the newest events"),
    ("t", "light or dark"),
    ("q", "leave"),
)


def problem_text(problem: Mapping[str, Any], now: float) -> str:
    """One problem as a line: what, where, since when, why."""
    mark = "✖" if problem["severity"] > 1 else "▲"
    where = f"{problem['node']} {problem['service']}".strip()
    since = f", for {format_duration(int(now - problem['since']))}" if problem["since"] else ""
    cause = f" — {problem['cause']}" if problem["cause"] else ""
    return f"{mark} {where}  {problem['what']}{since}{cause}"


def event_text(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """An event as pieces of a line, each with its style: when, where, what, by whom."""
    tone = TONES.get(event["kind"], "")
    when = datetime.fromtimestamp(event["time"]).strftime("%H:%M:%S")  # noqa: DTZ006 — here
    place = f"{event['node']} {event.get('service', '')}".strip()
    said = event.get("text") or event["kind"].partition(".")[2].replace("_", " ")
    who = f" — by {actor_name(event['who'])}" if event.get("who") else ""
    glyph, style = _LOOKS.get(tone, ("·", ""))
    return [
        (f"{when} ", "dim"), (f"{glyph} ", style), (f"{place} ", "bold"), (f"{said}{who}", ""),
    ]  # fmt: skip


def action_text(action: Mapping[str, Any]) -> tuple[str, bool]:
    """An action's state in words, and whether nothing failed."""
    targets = action["targets"]
    names = ", ".join(sorted({target["service"] for target in targets}))
    results = [target["result"] for target in targets if target["result"]]
    bad = [result for result in results if not result.get("ok")]
    if not action["ended"]:
        return f"… {action['verb']} {names}", True
    if bad:
        first = bad[0]
        hint = f" ({first['hint']})" if first.get("hint") else ""
        return f"✖ {action['verb']} {names}: {first.get('error', '')}{hint}", False
    said = results[0].get("text", "") if len(results) == 1 else f"{len(results)} done"
    return f"✓ {action['verb']} {names}: {said}", True
