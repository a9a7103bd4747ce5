"""Groups of commands that are imported when they are asked for."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from chapiteau.cli.groups import main


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("statu", "did you mean 'status'?"),
        ("doctor", "it is `chapiteau run doctor`"),
        ("capacity", "it is `chapiteau load capacity`"),
        ("xyzzy", "known: check,"),
    ],
)
def test_a_command_that_is_not_here_is_told_where_it_is(word: str, hint: str) -> None:
    done = CliRunner().invoke(main, [word], prog_name="chapiteau")
    assert done.exit_code == 2
    assert f"no command {word!r}: {hint}" in done.output


def test_help_is_grouped_by_what_a_person_wants_and_new_comes_first() -> None:
    text = CliRunner().invoke(main, ["--help"], prog_name="chapiteau").output
    lines = text.splitlines()
    heads = ["Start:", "Look:", "Change:", "Test:", "Servers:"]
    assert [line for line in lines if line in heads] == heads
    assert lines[lines.index("Start:") + 1].split()[0] == "new"
    assert "https://" in text
    named = [line.split()[0] for line in lines if line.startswith("  ") and line.split()]
    assert all(named.count(name) == 1 for name in main.list_commands(click.Context(main)))
