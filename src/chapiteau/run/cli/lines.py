"""Lines of output and events as people read them on a terminal."""

import re
from typing import Final

from chapiteau.core.text import escape_control
from chapiteau.io.console import styled
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import Gap, LogLine

__all__ = ["LinePrinter", "event_line"]

_PALETTE: Final = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green")
_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")  # colours (SGR); every other escape is shown as text
_BAD: Final = ("failed", "exited", "unhealthy", "killed", "dropped", "brain_died", "safe_mode")
_GOOD: Final = ("ready", "reloaded", "recovered", "completed")


class LinePrinter:
    """`web.1 | line`, with one colour for each service and the names aligned."""

    def __init__(self, *, colour: bool, width: int = 0) -> None:
        self._colour = colour
        self._width = width
        self._colours: dict[str, str] = {}

    def line(self, item: LogLine | Gap) -> str:
        """One line of output."""
        if isinstance(item, Gap):
            return f"… {item.count} lines lost: this reader was too slow"
        name = f"{item.service}.{item.process}" if item.process else item.service
        self._width = max(self._width, len(name))
        head = f"{name:<{self._width}} |"
        if not self._colour:
            return f"{head} {escape_control(_STYLE.sub('', item.text))}"
        chosen = self._colours.setdefault(
            item.service, _PALETTE[len(self._colours) % len(_PALETTE)]
        )
        text = _coloured(item.text)
        if item.stream == "stderr" and text == item.text:
            text = styled(text, "dim")
        return f"{styled(head, chosen)} {text}"


def _coloured(text: str) -> str:
    """The program's own colours, and nothing else that a terminal would obey."""
    if "\x1b" not in text:
        return escape_control(text)
    pieces = _STYLE.split(text)
    styles = _STYLE.findall(text)
    made = escape_control(pieces[0])
    for style, piece in zip(styles, pieces[1:], strict=True):
        made += style + escape_control(piece)
    return made + "\x1b[0m"


def event_line(event: Event, *, colour: bool, wall: bool = True) -> str:
    """`12:30:05 web.1 process.exited  ended with code 1`."""
    from datetime import UTC, datetime  # who prints lines needs none

    when = datetime.fromtimestamp(event.time, UTC).astimezone().strftime("%H:%M:%S ")
    who = f"{event.service}.{event.process}" if event.process else event.service
    kind = event.kind
    if colour:
        kind = styled(kind, _kind_colour(kind))
    text = escape_control(event.text).replace("\n", "\n    ")
    return " ".join(p for p in (when.strip() if wall else "", kind, who, text) if p)


def _kind_colour(kind: str) -> str:
    if kind.endswith(_BAD):
        return "red"
    return "green" if kind.endswith(_GOOD) else "cyan"
