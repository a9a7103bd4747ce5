"""What every command does alike on a terminal: colour or not, JSON or text."""

import json
import os
import sys
from typing import Any, TextIO

__all__ = ["colour_wanted", "print_json"]


def colour_wanted(stream: TextIO | None = None) -> bool:
    """Whether to colour this stream: NO_COLOR, FORCE_COLOR, TERM=dumb, then a terminal or not."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    target = stream or sys.stdout
    return os.environ.get("TERM") != "dumb" and target.isatty()


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """One JSON value on one line, flushed, so that a pipe sees it at once."""
    target = stream or sys.stdout
    target.write(json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n")
    target.flush()
