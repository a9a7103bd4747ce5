"""Every action has its command line, which does the same when it is pasted."""

import shlex
from typing import Any

import pytest

from chapiteau.dash.fleet.problem import command_line
from chapiteau.run.cli import verbs as deeds

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("restart", {}, "chapiteau restart web"),
    ("scale", {"processes": 6}, "chapiteau scale web=6"),
    ("scale", {"processes": 0}, "chapiteau scale web=0"),
    ("scale", {"by": 1}, "chapiteau scale web=+1"),
    ("scale", {"by": -2}, "chapiteau scale web --by -2"),
    ("signal", {"signal": "HUP"}, "chapiteau signal HUP web"),
    ("signal", {"signal": "HUP", "process": 2}, "chapiteau signal HUP web --process 2"),
    ("restart", {"process": 2}, "chapiteau restart web --process 2"),
]


@pytest.mark.parametrize(("verb", "options", "line"), CASES)
def test_lines(verb: str, options: dict[str, Any], line: str) -> None:
    assert command_line(verb, "web", options) == line


@pytest.mark.parametrize(("verb", "options", "line"), CASES)
def test_the_command_line_does_what_the_button_does(
    verb: str, options: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str, dict[str, Any]]] = []

    class Noted:
        @classmethod
        def find(cls, _: object) -> "Noted":
            return cls()

        def command(self, verb: str, service: str, **options: Any) -> None:
            done.append((verb, service, options))

    monkeypatch.setattr(deeds, "Client", Noted)
    monkeypatch.setattr(deeds, "print_outcome", lambda *_, **__: None)
    command = getattr(deeds, verb)
    command.main(shlex.split(command_line(verb, "web", options))[2:], standalone_mode=False)
    assert [(verb, service) for verb, service, _ in done] == [(verb, "web")]
    assert options.items() <= done[0][2].items()


def test_a_strange_name_is_quoted() -> None:
    assert shlex.split(command_line("stop", "web; rm -rf /", {}))[2] == "web; rm -rf /"
