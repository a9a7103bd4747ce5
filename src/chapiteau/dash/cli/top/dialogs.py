"""Dialogs: to be sure, to pick, to look up a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, OptionList, Static

from chapiteau.dash.cli.top.source import Source
from chapiteau.dash.cli.top.view import ServiceRow
from chapiteau.dash.fleet.action import Target
from chapiteau.dash.fleet.problem import command_line

__all__ = ["ActionApp", "ChoiceDialog", "ConfirmDialog", "KeysDialog"]


class ConfirmDialog(ModalScreen[bool]):
    """Yes or no, with the command line that would do the same."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss(False)", "no"),
        ("n", "dismiss(False)", "no"),
        ("y", "dismiss(True)", "yes"),
    ]

    def __init__(self, question: str, line: str) -> None:
        super().__init__()
        self._question = question
        self._line = line

    def compose(self) -> ComposeResult:
        """The question, the line, two buttons; nothing is chosen beforehand."""
        with Vertical(classes="dialog"):
            yield Static(self._question, markup=False)
            yield Static(self._line, classes="line", markup=False)
            with Horizontal():
                yield Button("No (n)", id="no")
                yield Button("Yes (y)", id="yes", variant="error")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """As the key."""
        self.dismiss(event.button.id == "yes")


class ChoiceDialog(ModalScreen[str | None]):
    """One of a few."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "none")]

    def __init__(self, title: str, options: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._options = options

    def compose(self) -> ComposeResult:
        """A list."""
        with Vertical(classes="dialog"):
            yield Static(self._title, markup=False)
            yield OptionList(*self._options)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one."""
        self.dismiss(self._options[event.option_index])


class KeysDialog(ModalScreen[None]):
    """Which key does what."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss(None)", "close"),
        ("question_mark", "dismiss(None)", "close"),
    ]

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Two columns."""
        with Vertical(classes="dialog"):
            for key, does in self._keys:
                yield Static(f"{key:<12} {does}", markup=False)


# What a person may do on the screen of `chapiteau top`.

_SIGNALS: Final = ("HUP", "USR1", "USR2", "TERM", "QUIT", "INT", "KILL")
_ENDING: Final = frozenset(("TERM", "QUIT", "INT", "KILL"))  # what most programs end by


class ActionApp(App[None]):
    """Actions on the chosen service; whatever stops something asks first."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source

    @property
    def chosen(self) -> ServiceRow | None:
        """The service under the cursor."""
        raise NotImplementedError

    def action_deed(self, verb: str) -> None:
        """Reload or restart the chosen service."""
        if chosen := self.chosen:
            self._wish(verb, [chosen], {}, ask=verb != "reload")

    def action_stop_or_start(self) -> None:
        """Stop what runs, start what does not."""
        if chosen := self.chosen:
            stopped = chosen.state in ("stopped", "failed", "completed")
            self._wish("start" if stopped else "stop", [chosen], {}, ask=not stopped)

    def action_scale(self, by: int) -> None:
        """One process more or less."""
        if chosen := self.chosen:
            self._wish("scale", [chosen], {"by": by}, ask=chosen.wanted + by <= 0)

    def action_signal(self) -> None:
        """Pick a signal, then send it."""
        chosen = self.chosen
        if chosen is None:
            return

        def picked(name: str | None) -> None:
            if name:
                self._wish("signal", [chosen], {"signal": name}, ask=name in _ENDING)

        self.push_screen(
            ChoiceDialog(f"Signal to {chosen.name} on {chosen.node}", _SIGNALS), picked
        )

    def _wish(
        self, verb: str, rows: Sequence[ServiceRow], options: dict[str, Any], *, ask: bool
    ) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                targets = [Target(row.node, row.name) for row in rows]
                self.run_worker(self._act(verb, targets, options))

        if ask:
            row = rows[0]
            line = command_line(verb, row.name, options)
            what = (
                f"{verb.capitalize()} {options['signal']} to" if verb == "signal" else verb.title()
            )
            self.push_screen(ConfirmDialog(f"{what} {row.name} on {row.node}?", line), answered)
        else:
            answered(True)

    async def _act(self, verb: str, targets: list[Target], options: dict[str, Any]) -> None:
        if wrong := await self.source.act(verb, targets, options):
            self.notify(wrong, severity="error", timeout=15)
