"""Colour or not, and JSON on one line."""

import io
import json

import click
import pytest

from chapiteau.io.console import print_json, styled, use_colour


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("env", "terminal", "wanted"),
    [
        pytest.param({}, True, True, id="a terminal is coloured"),
        pytest.param({}, False, False, id="a pipe is not"),
        pytest.param({"NO_COLOR": "1"}, True, False, id="NO_COLOR says no"),
        pytest.param({"NO_COLOR": ""}, True, True, id="an empty NO_COLOR says nothing"),
        pytest.param({"FORCE_COLOR": "1"}, False, True, id="FORCE_COLOR says yes"),
        pytest.param({"FORCE_COLOR": "0"}, False, False, id="FORCE_COLOR=0 says nothing"),
        pytest.param({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False, id="no beats yes"),
        pytest.param({"TERM": "dumb"}, True, False, id="a dumb terminal has no colour"),
    ],
)
def test_colour(
    env: dict[str, str], terminal: bool, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert use_colour(Terminal() if terminal else io.StringIO()) is wanted


def test_json_is_one_flushed_line_in_plain_letters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"city": "Zürich", "n": [1, 2]})
    assert capsys.readouterr().out == '{"city":"Zürich","n":[1,2]}\n'
    out = io.StringIO()
    print_json("a\nb", out)
    assert out.getvalue().count("\n") == 1
    assert json.loads(out.getvalue()) == "a\nb"


@pytest.mark.parametrize("colour", ["red", "green", "yellow", "blue", "magenta", "bright_cyan"])
def test_paint_is_that_of_click(colour: str) -> None:
    assert styled("web.1 |", colour) == click.style("web.1 |", fg=colour)
    assert styled("web.1 |", "dim") == click.style("web.1 |", dim=True)
