"""The front door is light: help and completion import nothing heavy."""

import json
import subprocess
import sys

import click
import pytest

from chapiteau.cli.groups import COMMANDS, main

HEAVY = ("aiohttp", "asyncio", "msgspec", "pyramid", "rich", "webob", "ssl")
LIGHT_COMMANDS = ("status", "stop", "restart", "scale", "down", "reload", "check")


def imported_by(code: str) -> set[str]:
    """Top-level names that a fresh interpreter has imported after running the code."""
    script = (
        f"{code}\nimport json, sys\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


HELP = """
import contextlib, io, sys
from chapiteau.cli.main import run
sys.argv = ["chapiteau", "--help"]
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
    run()
assert "--help" in out.getvalue()
"""


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import chapiteau", id="the package"),
        pytest.param("import chapiteau.cli.main", id="the door"),
        pytest.param("import chapiteau.pytest_plugin", id="the pytest plugin"),
        pytest.param(HELP, id="chapiteau --help"),
        pytest.param(
            HELP.replace('"--help"', '"service", "--help"'), id="chapiteau service --help"
        ),
    ],
)
def test_nothing_heavy_is_imported_by(code: str) -> None:
    heavy = set(HEAVY) if "pytest" not in code else set(HEAVY) - {"asyncio", "ssl"}
    assert imported_by(code) & heavy == set()


@pytest.mark.parametrize("name", LIGHT_COMMANDS)
def test_talking_to_the_supervisor_needs_no_web_library(name: str) -> None:
    module = COMMANDS[name][0].partition(":")[0]
    heavy = {"aiohttp", "pyramid", "rich"}
    assert imported_by(f"import {module}") & heavy == set()


def test_the_short_answer_needs_neither_click_nor_dataclasses() -> None:
    code = "import chapiteau.cli.main, chapiteau.run.cli.show"
    assert imported_by(code) & {"click", "dataclasses", "inspect", "tomllib"} == set()


def test_the_brain_imports_no_web_library() -> None:
    """It is started again after every death: what it imports is what that costs."""
    code = "import chapiteau.run.supervisor.__main__, chapiteau.run.api.server"
    heavy = {"aiohttp", "click", "msgspec", "pyramid", "rich"}
    assert imported_by(code) & heavy == set()


def test_nothing_that_the_first_start_does_without_delays_it() -> None:
    code = "import chapiteau.run.supervisor.daemon, chapiteau.run.supervisor.__main__"
    assert imported_by(code) & {"bz2", "ctypes", "gzip", "lzma", "shutil"} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_and_says_the_same(name: str) -> None:
    command = main.get_command(click.Context(main), name)  # type: ignore[attr-defined]
    assert command is not None
    assert command.get_short_help_str(200), f"chapiteau {name} --help says nothing"
