"""Every command against the table of exit codes: an error never looks like a verdict."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest
from click.testing import CliRunner

from chapiteau.cli.groups import main
from chapiteau.core.errors import ChapiteauError
from chapiteau.core.exit_codes import EXIT_CODES, JUDGED, exit_codes_of
from chapiteau.load.verdict.run_verdict import Verdict

ERRORS: Final = range(1, 7)


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command that is no group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        if isinstance(one, click.Group):
            yield from commands(one, (*path, name))
        elif one is not None and not one.context_settings.get("ignore_unknown_options"):
            yield (*path, name)


def code_of(*words: str) -> int:
    """What the front door ends with."""
    result = CliRunner().invoke(main, words)
    if isinstance(result.exception, ChapiteauError):
        return result.exception.exit_code
    return result.exit_code


@pytest.mark.parametrize("words", list(commands(main)), ids=" ".join)
def test_a_wrong_option_is_2_in_every_command(words: tuple[str, ...]) -> None:
    assert code_of(*words, "--no-such-option") == 2


@pytest.mark.parametrize("command", sorted(JUDGED))
def test_a_command_that_judges_says_its_codes(command: str) -> None:
    told = CliRunner().invoke(main, [*command.split(), "--help"]).output

    assert " ".join(exit_codes_of(command).split()) in " ".join(told.split())


def test_no_verdict_has_the_code_of_an_error() -> None:
    for command, codes in JUDGED.items():
        assert not set(codes) & set(ERRORS), command
        assert set(codes) <= set(EXIT_CODES), command


def test_the_words_of_a_load_test_are_in_the_table() -> None:
    words = ("met", "none", "not met", "unsure", "generator-limited", "broken")
    assert {Verdict(word, "").exit_code for word in words} == set(JUDGED["load run"])


@pytest.mark.parametrize(
    "words",
    [
        ("check", "-c", "absent/chapiteau.toml"),
        ("run", "doctor", "-c", "absent/chapiteau.toml"),
        ("import", "absent.ini"),
        ("import", "cornice", "absent"),
        ("load", "ab", "absent.py", "absent.py"),
        ("load", "attach", "7"),
        ("load", "capacity", "absent.py", "--objective", "p99 < 1s"),
        ("load", "compare", "7", "8"),
        ("load", "run", "absent.py"),
        ("load", "show", "7"),
        ("service", "check", "absent.json"),
        ("service", "diff", "absent.json", "absent.json"),
    ],
    ids=" ".join,
)
def test_what_is_missing_is_3_in_every_command_that_judges(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert code_of(*words) == 3


def test_a_file_with_problems_is_judged(tmp_path: Path) -> None:
    file = tmp_path / "chapiteau.toml"
    file.write_text("[service.web]\ncomand = 'x'\n")

    assert code_of("check", "-c", str(file)) == 8
    assert code_of("check", "-c", str(file), "--json") == 8
    assert code_of("up", "-c", str(file)) == 2
