"""What a person may do on the screen of `chapiteau top`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from textual.app import App

from chapiteau.dash.commands.top.asking import Ask, Pick
from chapiteau.dash.engine.actions import Target
from chapiteau.dash.engine.terminal.source import Source
from chapiteau.dash.logic.lines import command_line
from chapiteau.dash.logic.terminal.fleetview import ServiceRow

__all__ = ["Deeds"]

_SIGNALS: Final = ("HUP", "USR1", "USR2", "TERM", "QUIT", "INT", "KILL")
_ENDING: Final = frozenset(("TERM", "QUIT", "INT", "KILL"))  # what most programs end by


class Deeds(App[None]):
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

        self.push_screen(Pick(f"Signal to {chosen.name} on {chosen.node}", _SIGNALS), picked)

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
            self.push_screen(Ask(f"{what} {row.name} on {row.node}?", line), answered)
        else:
            answered(True)

    async def _act(self, verb: str, targets: list[Target], options: dict[str, Any]) -> None:
        if wrong := await self.source.act(verb, targets, options):
            self.notify(wrong, severity="error", timeout=15)
