"""The quick commands understand what click understands, or leave it to click."""

import importlib
import subprocess
import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.cli.groups import main
from chapiteau.cli.main import QUICK, parse_quick

_WORDS = st.sampled_from(
    [
        "status", "run", "daemon", "--json", "-c", "--config", "--config=x", "-o", "name", "brief",
        "-cx", "--output=wide", "--output", "json", "--help", "-h", "--", "web", "*", "", "-",
        "--js", "-oname", "-f", "--follow", "-n", "5", "-n5", "--last=7", "--last", "-1", "٣", " 3",
        "--stream", "stderr", "--process=2", "--process=x", "--grep", "--level=error", "--since",
        "--until=1h", "1" * 30,
    ]
)  # fmt: skip


def by_click(words: list[str], env: dict[str, str]) -> dict[str, object]:
    """What click makes of the words: the parameters of the command that they name."""
    command: click.Command = main
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CHAPITEAU_CONFIG", raising=False)
        for name, value in env.items():
            patch.setenv(name, value)
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None
            command = found
        return command.make_context("x", words).params


@given(st.sampled_from(list(QUICK)), st.lists(_WORDS, max_size=5), st.sampled_from(["", "y"]))
def test_what_is_understood_is_what_click_understands(
    command: tuple[str, ...], words: list[str], config: str
) -> None:
    env = {"CHAPITEAU_CONFIG": config} if config else {}
    found = parse_quick([*command, *words], env)
    if found is not None:
        assert found[1] == by_click([*command, *words], env)


@given(st.lists(_WORDS, max_size=6))
def test_other_commands_are_left_to_click(words: list[str]) -> None:
    if tuple(words[:1]) not in QUICK and tuple(words[:2]) not in QUICK:
        assert parse_quick(words, {}) is None


@pytest.mark.parametrize("quick", QUICK.values(), ids=[" ".join(words) for words in QUICK])
def test_a_quick_command_has_its_function(quick: object) -> None:
    module, _, name = quick.deed.partition(":")  # type: ignore[attr-defined]
    assert callable(getattr(importlib.import_module(module), name))


def test_plain_words_are_understood() -> None:
    deed, given_words = parse_quick(["status", "-o", "brief", "web", "--config=x"], {})
    assert deed.endswith(":show_status")
    assert given_words == {
        "names": ("web",), "config": "x", "json_wanted": False, "output": "brief"
    }  # fmt: skip
    assert parse_quick(["status"], {"_CHAPITEAU_COMPLETE": "zsh_complete"}) is None


def test_no_quick_command_imports_click() -> None:
    modules = {quick.deed.partition(":")[0] for quick in QUICK.values()}
    modules |= {f"chapiteau.run.cli.{name}" for name in ("status_table", "lines")}
    modules |= {"chapiteau.cli.main"}
    words = f"import {', '.join(sorted(modules))}, sys; print(*sys.modules)"
    asked = [sys.executable, "-c", words]
    found = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
    assert "chapiteau.run.cli.status_table" in found
    assert "click" not in found
