"""Groups of commands that are imported when they are asked for."""

from __future__ import annotations

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
