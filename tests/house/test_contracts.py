"""The import contracts are real: each one, broken on purpose in a copy, is refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.slow

# file → (a line that breaks a contract, the contract's name, how the judge names the offence)
BREAKS = [
    ("core/units.py", "import chapiteau.io.clock", "Floors", "chapiteau.core.units"),
    ("run/errors.py", "import chapiteau.load.errors", "Floors", "chapiteau.run.errors"),
    ("attic.py", '"""A floor that nobody placed."""', "Floors", "chapiteau.attic"),
    (
        "run/config/spec.py",
        "import chapiteau.run.api.wire",
        "Rooms",
        "chapiteau.run.config.spec",
    ),
    ("run/helpers.py", '"""A room that nobody placed."""', "Rooms", "chapiteau.run.helpers"),
    ("load/stats/series.py", "import time", "What decides", "chapiteau.load.stats.series -> time"),
    (
        "core/text.py",
        "def late():\n    import socket",
        "What decides",
        "chapiteau.core.text -> socket",
    ),
    ("load/errors.py", "import pyramid.config", "Pyramid is met", "chapiteau.load.errors"),
    ("service/errors.py", "import aiohttp", "aiohttp is met", "chapiteau.service.errors"),
    (
        "service/protocol/a.py",
        "import mcp",
        "The mcp library is met",
        "chapiteau.service.protocol.a",
    ),
    (
        "dash/errors.py",
        "import chapiteau.run.supervisor.reload",
        "Nobody but run enters",
        "chapiteau.dash.errors",
    ),
]


def copied(folder: Path) -> Path:
    """The house's sources in another folder, to be judged there."""
    skip = shutil.ignore_patterns("static", "__pycache__", "*.so")
    shutil.copytree(ROOT / "src", folder / "src", ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def judge(folder: Path) -> tuple[int, str]:
    """Exit code and words of import-linter over a copy of the house."""
    code = (
        "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports;"
        "sys.exit(lint_imports('pyproject.toml', no_cache=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": "300"},
    )
    return done.returncode, done.stdout + done.stderr


def test_the_house_as_it_stands_keeps_every_contract(tmp_path: Path) -> None:
    code, words = judge(copied(tmp_path))
    assert code == 0, words


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said when every contract is broken at once."""
    copy = copied(tmp_path_factory.mktemp("house"))
    for file, line, _, _ in BREAKS:
        path = copy / "src" / "chapiteau" / file
        path.write_text(f"{path.read_text() if path.exists() else ''}\n{line}\n")
    code, words = judge(copy)
    assert code != 0
    return words


@pytest.mark.parametrize(("file", "line", "contract", "offence"), BREAKS)
def test_a_broken_contract_is_refused(
    verdict: str, file: str, line: str, contract: str, offence: str
) -> None:
    broken = [row for row in verdict.splitlines() if row.endswith("BROKEN")]
    assert any(row.startswith(contract) for row in broken), broken
    details = verdict.partition("Broken contracts")[2]
    assert offence in details, f"{file}: {line}"
