"""The screen of `chapiteau top`: what is wrong, services, processes, output; and the deeds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.coordinate import Coordinate
from textual.widgets import DataTable, Footer, Input, RichLog, Static

from chapiteau.core.units import format_duration, format_size
from chapiteau.dash.cli.top.dialogs import ActionApp, KeysDialog
from chapiteau.dash.cli.top.source import Source
from chapiteau.dash.cli.top.view import (
    CSS,
    KEYS,
    FleetView,
    ProcessRow,
    ServiceRow,
    action_text,
    event_text,
    problem_text,
    state_label,
)
from chapiteau.io.clock import SystemClock

__all__ = ["Top"]

_MOST: Final = 500  # rows of processes; a filter narrows what is more
_AFTER: Final = 0.4  # seconds in which kept output comes
_TOLD: Final = 50  # events at once
_LINES: Final = 2_000  # of output kept on the screen
_SORTS: Final = {"cpu": "cpu", "memory": "rss", "threads": "cpu", "name": "service"}


class Top(ActionApp):
    """`source` is watched while it runs; the caller opens and closes it."""

    CSS = CSS
    TITLE = "chapiteau top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "keys", "keys"),  # first: a narrow screen cuts the last ones
        Binding("q", "quit", "quit"),
        Binding("slash", "filter", "filter"),
        Binding("n", "next_problem", "next problem"),
        Binding("r", "deed('reload')", "reload"),
        Binding("R", "deed('restart')", "restart"),
        Binding("s", "stop_or_start", "stop/start"),
        Binding("plus", "scale(1)", "one more", show=False),
        Binding("minus", "scale(-1)", "one less", show=False),
        Binding("exclamation_mark", "signal", "signal"),
        Binding("l", "focus('log')", "log", show=False),
        Binding("d", "deploys", "deploys", show=False),
        Binding("e", "events", "events"),
        Binding("t", "theme", "theme", show=False),
        Binding("escape", "clear", show=False),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    def __init__(self, source: Source, *, sort: str = "cpu") -> None:
        super().__init__(source)
        self.view = FleetView()
        self.words = ""  # the filter
        self.link = "connecting …"
        self._sort = _SORTS[sort]
        self._clock = SystemClock()
        self._rows: list[ServiceRow] = []
        self._shown = ""  # whose output is in the log
        self._problem = -1
        self._told: set[tuple[int, bool]] = set()
        self._dirty = True

    def compose(self) -> ComposeResult:
        """Band, problems, services and processes side by side, output below."""
        yield Static(id="band")
        yield Static(id="problems")
        yield Input(placeholder="a name, a server, failed", id="filter")
        with Horizontal(id="tables"):
            yield DataTable(id="services", cursor_type="row")
            yield DataTable(id="processes", cursor_type="row")
        with Vertical(id="below"):
            yield Static("log", id="log-title")
            yield RichLog(id="log", max_lines=_LINES, wrap=False, auto_scroll=True)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to watch."""
        services, processes = self._table("services"), self._table("processes")
        services.add_columns("SERVICE", "SERVER", "STATE", "READY")
        processes.add_columns(
            "PROCESS", "SERVER", "PID", "STATE", "CPU%", "MEMORY", "UP", "RESTARTS", "REASON"
        )
        self.query_one("#filter").display = False
        services.focus()
        self.run_worker(self.source.watch(self._take), name="watch", exit_on_error=True)
        self.set_interval(0.25, self._draw)

    # ── what comes in ──

    def _take(self, topic: str, data: Mapping[str, Any]) -> None:
        if topic == "link":
            self.link = "live" if data["up"] else f"reconnecting ({data['why']})"
        else:
            self.view.take(topic, data)
        if topic == "actions":
            self._tell(data)
        self._dirty = True

    def _tell(self, action: Mapping[str, Any]) -> None:
        done = bool(action["ended"])
        key = (int(action["number"]), done)
        # A page's older actions are history, not news.
        if key in self._told or self._clock.wall() - action["began"] > 60:
            return
        self._told.add(key)
        text, good = action_text(action)
        self.notify(text, severity="information" if good else "error", timeout=5 if good else 15)

    # ── drawing ──

    def _draw(self) -> None:
        # A timer may fire once more while the screen is taken down.
        if not self._dirty or not self.query("#band"):
            return
        self._dirty = False
        band = Text(f"{self.source.where}  ", style="bold")
        band.append(self.view.band(), style="default")
        band.append(f"  ● {self.link}", style="green" if self.link == "live" else "red")
        self.query_one("#band", Static).update(band)
        self._draw_problems()
        self._draw_services()
        self._draw_processes()

    def _draw_problems(self) -> None:
        found = self.view.problems()
        box = self.query_one("#problems", Static)
        lines = [problem_text(problem, self._clock.wall()) for problem in found[:3]]
        if len(found) > 3:
            lines.append(f"  and {len(found) - 3} more; n shows the next")
        box.update(Text("\n".join(lines) or "● Nothing needs attention."))
        box.set_class(bool(found), "wrong")

    def _draw_services(self) -> None:
        rows = [row for row in self.view.services() if self._fits(row.node, row.name, row.state)]
        table = self._table("services")
        lines = [
            (
                row.name,
                row.node,
                state_label(row.state),
                "once" if row.one_shot else f"{row.ready}/{row.wanted}",
            )
            for row in rows
        ]
        chosen = self.chosen
        self._rows = rows
        _fill(table, lines)
        if chosen is not None:
            places = [i for i, row in enumerate(rows) if _same(row, chosen)]
            if places and places[0] != table.cursor_row:
                table.move_cursor(row=places[0])
        self._follow()

    def _draw_processes(self) -> None:
        chosen = self.chosen
        rows = self.view.processes(chosen.node, chosen.name) if chosen else []
        numeric = self._sort != "service"
        rows.sort(key=lambda row: getattr(row, self._sort), reverse=numeric)
        now = self._clock.wall()
        _fill(self._table("processes"), [_cells(row, now) for row in rows[:_MOST]])

    def _fits(self, *texts: str) -> bool:
        return all(any(word in text for text in texts) for word in self.words.lower().split())

    def _table(self, name: str) -> DataTable[str]:
        return self.query_one(f"#{name}", DataTable)

    # ── the chosen service and its output ──

    @property
    def chosen(self) -> ServiceRow | None:
        """The service under the cursor."""
        at = self._table("services").cursor_row
        return self._rows[at] if 0 <= at < len(self._rows) else None

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Another service: its processes and its output."""
        # An event may still wait while the app closes and its tables are gone.
        if event.data_table.id == "services" and event.data_table.is_attached:
            self._dirty = True
            self._follow()

    def _follow(self) -> None:
        chosen = self.chosen
        key = f"{chosen.node}/{chosen.name}" if chosen else ""
        if key == self._shown:
            return
        self._shown = key
        self.query_one("#log", RichLog).clear()
        self.query_one("#log-title", Static).update(Text(f"log of {key}" if key else "log"))
        if chosen:
            self._read(chosen.node, chosen.name)

    @work(exclusive=True, group="log")
    async def _read(self, node: str, service: str) -> None:
        log = self.query_one("#log", RichLog)
        query = {"service": service, "last": "200"}
        try:
            async for _time, _node, _service, number, stream, text, *_ in self.source.logs(
                [node], query
            ):
                line = Text.assemble((f"#{number} ", "cyan")) if number else Text()
                line.append_text(Text.from_ansi(text))
                if stream == "stderr":
                    line.stylize("yellow", 0, 2)
                log.write(line)
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # noqa: BLE001 — shown where the output would be
            log.write(Text(f"no output to be had: {exc}", style="red"))

    # ── getting about ──

    def action_filter(self) -> None:
        """Open the filter."""
        box = self.query_one("#filter", Input)
        box.display = True
        # At once: `focus()` waits its turn, and keys typed ahead would be deeds until then.
        self.screen.set_focus(box)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow while typing."""
        self.words = event.value
        self._dirty = True

    def on_input_submitted(self, _event: Input.Submitted) -> None:
        """Back to the table, narrowed."""
        self._table("services").focus()

    def action_clear(self) -> None:
        """Drop the filter."""
        box = self.query_one("#filter", Input)
        box.value = ""
        box.display = False
        self._table("services").focus()

    def action_next_problem(self) -> None:
        """Put the cursor on the next service that has a problem."""
        found = [problem for problem in self.view.problems() if problem["service"]]
        if not found:
            return
        self._problem = (self._problem + 1) % len(found)
        at = found[self._problem]
        for i, row in enumerate(self._rows):
            if (row.node, row.name) == (at["node"], at["service"]):
                self._table("services").move_cursor(row=i)
        # Below the output of the service, which is only now begun to be read.
        self.set_timer(_AFTER, lambda: self._tell_why(at))

    def _tell_why(self, problem: Mapping[str, Any]) -> None:
        if problem["lines"] and self._shown == f"{problem['node']}/{problem['service']}":
            log = self.query_one("#log", RichLog)
            log.write(Text(f"── why: {problem['cause'] or problem['what']}", style="bold red"))
            for line in problem["lines"]:
                log.write(Text.from_ansi(line))

    def action_events(self) -> None:
        """The newest events, into the log."""
        self._tell_events("events", list(self.view.events)[-_TOLD:])

    def action_deploys(self) -> None:
        """The last deploy, by whom, and why it was refused; into the log."""
        self._tell_events("deploys", self.view.deploys()[-_TOLD:])

    def _tell_events(self, title: str, found: Sequence[Mapping[str, Any]]) -> None:
        log = self.query_one("#log", RichLog)
        log.write(Text(f"── {title}" if found else f"── no {title} yet", style="bold"))
        for event in found:
            log.write(Text.assemble(*event_text(event)))
            if event["kind"] == "service.reload_failed":
                for line in event.get("data", {}).get("lines", ())[-8:]:
                    log.write(Text.assemble("    | ", Text.from_ansi(line)))

    def action_keys(self) -> None:
        """The sheet of keys."""
        self.push_screen(KeysDialog(KEYS))

    def action_theme(self) -> None:
        """Light or dark."""
        self.theme = "textual-light" if self.theme == "textual-dark" else "textual-dark"

    def action_down(self) -> None:
        """As the arrow."""
        if isinstance(self.focused, DataTable):
            self.focused.action_cursor_down()

    def action_up(self) -> None:
        """As the arrow."""
        if isinstance(self.focused, DataTable):
            self.focused.action_cursor_up()


def _same(one: ServiceRow, other: ServiceRow) -> bool:
    return (one.node, one.name) == (other.node, other.name)


def _cells(row: ProcessRow, now: float) -> tuple[str, ...]:
    return (
        f"{row.service} #{row.number}",
        row.node,
        str(row.pid or "–"),
        state_label(row.state),
        f"{row.cpu:.1f}",
        format_size(row.rss) if row.rss else "–",
        format_duration(int(now - row.started)) if row.started else "–",
        str(row.restarts),
        row.reason,
    )


def _fill(table: DataTable[str], lines: Sequence[tuple[str, ...]]) -> None:
    """Change only the cells that differ: the cursor and the scroll stay where they are."""
    while table.row_count > len(lines):
        table.remove_row(table.coordinate_to_cell_key(Coordinate(table.row_count - 1, 0)).row_key)
    for at, line in enumerate(lines):
        if at >= table.row_count:
            table.add_row(*line)
            continue
        for column, (old, new) in enumerate(zip(table.get_row_at(at), line, strict=True)):
            if old != new:
                table.update_cell_at(Coordinate(at, column), new, update_width=True)
