"""The import contracts are real: each one, broken on purpose in a copy, is refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
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
    )
    return done.returncode, done.stdout + done.stderr


def test_the_house_as_it_stands_keeps_every_contract(copy: Path) -> None:
    code, words = judge(copy)
    assert code == 0, words


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("core/units.py", "import chapiteau.plumbing.clock", "Floors"),
        ("run/logic/spec.py", "import chapiteau.load.logic.scenario", "Floors"),
        ("run/logic/spec.py", "import time", "Logic decides"),
        ("run/logic/spec.py", "def late():\n    import socket", "Logic decides"),
        ("load/logic/scenario.py", "import pyramid.config", "Pyramid is met"),
        ("run/logic/spec.py", "import chapiteau.run.engine.port", "Rooms"),
        ("dash/web/__init__.py", "import chapiteau.run.engine.port", "Nobody but run"),
        ("run/helpers.py", '"""A room that nobody placed."""', "Rooms"),
        ("attic.py", '"""A floor that nobody placed."""', "Floors"),
        ("service/logic/path.py", "import aiohttp", "aiohttp is met"),
    ],
)
def test_a_broken_contract_is_refused(copy: Path, file: str, line: str, contract: str) -> None:
    path = copy / "src" / "chapiteau" / file
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        code, words = judge(copy)
    finally:
        path.unlink() if before is None else path.write_text(before)
    assert code != 0
    assert contract in words
