"""A search can't hold up the supervisor: patterns that could take for ever are refused."""

from __future__ import annotations

import pytest

from chapiteau.core.errors import UsageError
from chapiteau.run.logs.grep import compile_grep


@pytest.mark.parametrize(
    "text",
    [
        "error",
        r"timed? out",
        r'HTTP/1.1" 5\d\d',
        "(?i)warn|error",
        r"^\d{4}-\d{2}-\d{2}.*(GET|POST) /items/\d+ .* 50[0-9]$",
        r"(\d{1,3}\.){3}\d{1,3}",
        r"(?:[0-9a-f]{2}:){5}",
        "a+b+c*",
        "(?=x)y",
        "(?P<n>a)(?P=n)",
        "",
    ],
)
def test_what_people_look_for_is_taken(text: str) -> None:
    compile_grep(text)


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+$",
        "(a*)*b",
        "(a|aa)+$",
        "(.*a){20}",
        r"(\w+\s?)*:",
        "((a+)b?)*$",
        "(?=(a+)+$)a",
        "(?:x(?P<n>a+))*b",
        "(a+?)+?$",
    ],
)
def test_what_could_take_for_ever_is_refused_with_a_way_out(text: str) -> None:
    with pytest.raises(UsageError, match="could take for ever") as told:
        compile_grep(text)
    assert "[ab]+" in told.value.hint


@pytest.mark.parametrize("text", ["(", "[z-a]", "*", "a" * 2000, "(" * 500])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="grep: "):
        compile_grep(text)
