"""Every action has its command line."""

import shlex
from typing import Any

import pytest

from chapiteau.dash.logic.lines import command_line


@pytest.mark.parametrize(
    ("verb", "options", "line"),
    [
        ("restart", {}, "chapiteau restart web"),
        ("scale", {"processes": 6}, "chapiteau scale web 6"),
        ("scale", {"processes": 0}, "chapiteau scale web 0"),
        ("scale", {"by": 1}, "chapiteau scale web +1"),
        ("scale", {"by": -2}, "chapiteau scale web -2"),
        ("signal", {"signal": "HUP"}, "chapiteau signal web HUP"),
        ("signal", {"signal": "HUP", "process": 2}, "chapiteau signal web HUP --process 2"),
    ],
)
def test_lines(verb: str, options: dict[str, Any], line: str) -> None:
    assert command_line(verb, "web", options) == line


def test_a_strange_name_is_quoted() -> None:
    assert shlex.split(command_line("stop", "web; rm -rf /", {}))[2] == "web; rm -rf /"
