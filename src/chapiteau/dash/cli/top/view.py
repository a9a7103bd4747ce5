"""What a screen knows of the fleet: filled by the hub's messages, asked by whoever draws.

The messages are those of the page (docs/reference/dash-api.md), so that the page and the terminal
show the same words and the same numbers.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from chapiteau.core.units import format_duration
from chapiteau.dash.fleet.problem import actor_name
from chapiteau.run.events import TONES

__all__ = [
    "CSS",
    "GLYPHS",
    "KEYS",
    "FleetView",
    "ProcessRow",
    "ServiceRow",
    "action_text",
    "event_text",
    "problem_text",
    "state_label",
]


# What the screen says.

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


GLYPHS: Final[dict[str, str]] = {
    "running": "●", "ready": "●", "completed": "✓", "starting": "◐", "waiting": "◌",
    "reloading": "◑", "stopping": "◒", "backoff": "↻", "unhealthy": "▲", "stopped": "■",
    "failed": "✖", "unreachable": "?",
}  # fmt: skip
_WORDS: Final = {"backoff": "backing off"}
_WORST: Final = (
    "failed", "backoff", "unhealthy", "stopping", "starting", "waiting", "reloading",
    "unreachable", "stopped", "running", "completed",
)  # fmt: skip
_EVENTS: Final = 1_000
_BROUGHT: Final = frozenset(
    (
        "service.reloaded", "service.reload_failed",
        "supervisor.config_applied", "supervisor.upgraded",
    )
)  # fmt: skip
_SOON: Final = 30.0  # seconds between a deploy and the end of its command


def state_label(state: str) -> str:
    """A state as every screen shows it: its glyph and its word."""
    return f"{GLYPHS.get(state, '?')} {_WORDS.get(state, state)}"


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A service, on one node."""

    node: str
    name: str
    state: str
    ready: int
    wanted: int
    one_shot: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A process with its newest numbers. `cpu` in percent of a core, `rss` in bytes."""

    node: str
    service: str
    number: int
    pid: int
    state: str
    cpu: float
    rss: int
    started: float  # seconds since 1970; 0 when it does not run
    restarts: int
    reason: str


class FleetView:
    """The last truth known about every node."""

    def __init__(self) -> None:
        self.nodes: dict[str, Mapping[str, Any]] = {}
        self.events: deque[Mapping[str, Any]] = deque(maxlen=_EVENTS)
        self.actions: dict[int, Mapping[str, Any]] = {}
        self._ids: dict[str, tuple[int, Sequence[str]]] = {}
        self._stats: dict[str, Mapping[str, Any]] = {}
        self._hosts: dict[str, Mapping[str, float]] = {}  # the newest, whatever names belong to it

    def take(self, topic: str, data: Mapping[str, Any]) -> None:
        """One message of the hub; a topic that is not known is left alone."""
        if topic == "fleet":
            self._take_node(data)
        elif topic == "stats":
            self._take_stats(data)
        elif topic == "events":
            if data.get("first"):
                self.events.clear()
            self.events.extend(data["events"])
        elif topic == "actions":
            self.actions[int(data["number"])] = data

    def _take_node(self, data: Mapping[str, Any]) -> None:
        if gone := data.get("gone"):
            for known in (self.nodes, self._ids, self._stats, self._hosts):
                known.pop(gone, None)
        else:
            self.nodes[data["name"]] = data

    def _take_stats(self, data: Mapping[str, Any]) -> None:
        if "ids" in data:
            self._ids[data["node"]] = (data["v"], data["ids"])
            self._stats.pop(data["node"], None)
        for node in data.get("nodes", ()):
            if host := node.get("host"):
                self._hosts[node["node"]] = host
            version, ids = self._ids.get(node["node"], (-1, ()))
            if node["v"] == version and len(node["cpu"]) == len(ids):
                self._stats[node["node"]] = node

    def services(self, node: str = "") -> list[ServiceRow]:
        """Every service, or those of one node; the worst first, then by name."""
        found = [
            ServiceRow(
                node=name,
                name=s["name"],
                state="unreachable" if view["away"] else s["state"],
                ready=s["ready"],
                wanted=s["wanted"],
                one_shot=s["one_shot"],
                reason=s["reason"],
            )
            for name, view in self._views(node)
            for s in view["status"].get("services", ())
        ]
        return sorted(found, key=lambda row: (_rank(row.state), row.name, row.node))

    def processes(self, node: str = "", service: str = "") -> list[ProcessRow]:
        """Processes of every node, or narrowed to one node, one service or both."""
        return [
            row
            for name, view in self._views(node)
            for row in self._processes_of(name, view)
            if service in ("", row.service)
        ]

    def _processes_of(self, name: str, view: Mapping[str, Any]) -> Iterator[ProcessRow]:
        stats = self._stats.get(name)
        ids = self._ids.get(name, (-1, ()))[1]
        at = {key: i for i, key in enumerate(ids)} if stats else {}
        for service in view["status"].get("services", ()):
            for process in service["processes"]:
                place = at.get(f"{service['name']}/{process['number']}")
                if stats is None or place is None or not process["pid"]:
                    cpu, rss = process["cpu_percent"], process["rss_bytes"]
                else:
                    cpu, rss = stats["cpu"][place], stats["rss"][place]
                yield ProcessRow(
                    node=name,
                    service=service["name"],
                    number=process["number"],
                    pid=process["pid"],
                    state="unreachable" if view["away"] else process["state"],
                    cpu=cpu,
                    rss=rss,
                    started=process["started_at"] if process["pid"] else 0.0,
                    restarts=process["restarts"],
                    reason=process["reason"] or process["last_exit"].get("cause", ""),
                )

    def problems(self) -> list[Mapping[str, Any]]:
        """What needs attention, the gravest and newest first."""
        found = [problem for view in self.nodes.values() for problem in view["problems"]]
        return sorted(found, key=lambda t: (-t["severity"], -t["since"], t["key"]))

    def deploys(self) -> list[Mapping[str, Any]]:
        """Reloads and applied files, oldest first; a reload by whom its order was."""
        known = list(self.events)
        found: list[Mapping[str, Any]] = []
        for at, event in enumerate(known):
            if event["kind"] not in _BROUGHT:
                continue
            order = next((e for e in known[at + 1 :] if _orders(e, event)), {})
            found.append({**event, "who": event.get("who") or order.get("who", "")})
        return found

    def band(self) -> str:
        """The whole fleet in a line."""
        rows = self.services()
        processes = self.processes()
        running = sum(row.state == "running" for row in processes)
        away = sum(bool(view["away"]) for view in self.nodes.values())
        parts = [f"{len(self.nodes) - away} up"]
        parts += [f"{away} unreachable"] if away else []
        parts += [f"{running} running"]
        for state, word in (("backoff", "backing off"), ("failed", "failed")):
            if count := sum(row.state == state for row in rows):
                parts.append(f"{count} {word}")
        hosts = [
            self._hosts[name]
            for name, v in self.nodes.items()
            if name in self._hosts and not v["away"]
        ]
        if hosts:
            total = sum(host["mem_total"] for host in hosts) or 1
            used = sum(host["mem_used"] for host in hosts)
            parts.append(f"CPU {sum(host['cpu'] for host in hosts) / len(hosts):.0f} %")
            parts.append(f"memory {100 * used / total:.0f} %")
        return " · ".join(parts)

    def _views(self, node: str) -> list[tuple[str, Mapping[str, Any]]]:
        return [(n, v) for n, v in sorted(self.nodes.items()) if node in ("", n)]


def _orders(order: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether this is the end of the command that led to the event."""
    return (
        order["kind"] == "command.done"
        and order["node"] == event["node"]
        and bool(event.get("service"))
        and order.get("service") == event.get("service")
        and order["time"] - event["time"] < _SOON
    )


def _rank(state: str) -> int:
    return _WORST.index(state) if state in _WORST else 3
