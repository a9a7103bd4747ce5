"""Dialogs: to be sure, to pick, to look up a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, OptionList, Static

__all__ = ["Ask", "Keys", "Pick"]


class Ask(ModalScreen[bool]):
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


class Pick(ModalScreen[str | None]):
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


class Keys(ModalScreen[None]):
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
