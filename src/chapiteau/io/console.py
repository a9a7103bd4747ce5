"""What every command does alike on a terminal: colour or not, JSON or text."""

import json
import os
import sys
from typing import Any, Final, TextIO

__all__ = ["print_json", "styled", "use_colour"]

# Codes of ECMA-48 (SGR). click.style does the same, and importing click costs 30 ms.
_CODES: Final = {
    "red": 31,
    "green": 32,
    "yellow": 33,
    "blue": 34,
    "magenta": 35,
    "cyan": 36,
    "bright_green": 92,
    "bright_cyan": 96,
    "dim": 2,
}


def use_colour(stream: TextIO | None = None) -> bool:
    """Whether to colour this stream: NO_COLOR, FORCE_COLOR, TERM=dumb, then a terminal or not."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    target = stream or sys.stdout
    return os.environ.get("TERM") != "dumb" and target.isatty()


def styled(text: str, style: str) -> str:
    """The text in a colour of a terminal, or "dim"."""
    return f"\033[{_CODES[style]}m{text}\033[0m"


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """One JSON value on one line, flushed, so that a pipe sees it at once."""
    target = stream or sys.stdout
    target.write(json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n")
    target.flush()
