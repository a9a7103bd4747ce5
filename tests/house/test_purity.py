"""The guard of tests/conftest.py: a logic test that does something fails."""

import re
from pathlib import Path

import pytest

from tests.support import ROOT

pytest_plugins = ["pytester"]

DEEDS = {
    "sleeps": "import time; time.sleep(0)",
    "opens a socket": "import socket; socket.socket()",
    "starts a process": "import subprocess; subprocess.run(['true'])",
    "starts a process by fork": "import os; os.fork()",
}


@pytest.fixture
def place(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tests under our guard, without the plugins that it does not need."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    place = pytester.mkdir("tests")
    (place / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    return place


@pytest.mark.parametrize("folder", ["load/verdict", "core"])
def test_a_logic_test_may_not_do_anything(
    pytester: pytest.Pytester, place: Path, folder: str
) -> None:
    (place / folder).mkdir(parents=True)
    tests = (f"def test_{number}():\n    {deed}\n" for number, deed in enumerate(DEEDS.values()))
    (place / folder / "test_it.py").write_text("\n".join(tests))
    done = pytester.runpytest_subprocess()
    done.assert_outcomes(failed=len(DEEDS))
    said = re.findall(r"(?m)^E .*NotPureError: a logic test ", done.stdout.str())
    assert len(said) == len(DEEDS)


def test_other_tests_may(pytester: pytest.Pytester, place: Path) -> None:
    (place / "run").mkdir()
    (place / "run" / "test_it.py").write_text("def test_it():\n    " + DEEDS["sleeps"])
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
