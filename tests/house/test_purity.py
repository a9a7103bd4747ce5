"""The guard of tests/conftest.py: a logic test that does something fails."""

import pytest

from tests.support import ROOT

pytest_plugins = ["pytester"]

DEEDS = {
    "sleeps": "import time; time.sleep(0)",
    "opens a socket": "import socket; socket.socket()",
    "starts a process": "import subprocess; subprocess.run(['true'])",
    "starts a process by fork": "import os; os.fork()",
}


@pytest.mark.parametrize("folder", ["wing/logic", "core"])
@pytest.mark.parametrize("deed", DEEDS)
def test_a_logic_test_may_not_do_anything(
    pytester: pytest.Pytester, folder: str, deed: str
) -> None:
    place = pytester.mkdir("tests")
    (place / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    (place / folder).mkdir(parents=True)
    (place / folder / "test_it.py").write_text(f"def test_it():\n    {DEEDS[deed]}\n")
    done = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:xdist")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*a logic test *"])


def test_other_tests_may(pytester: pytest.Pytester) -> None:
    place = pytester.mkdir("tests")
    (place / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    (place / "engine").mkdir()
    (place / "engine" / "test_it.py").write_text("def test_it():\n    " + DEEDS["sleeps"])
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1)
