"""The same answers on marshmallow 3, while the environment holds 4."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OLD = HERE.parents[1] / ".tools" / "marshmallow3"
ASKED = ("test_facts.py", "test_quick_load.py", "test_mended.py", "test_sphinxext.py")
CHOSEN = "marshmallow or test_quick_load or test_mended"
# A run of its own: one process can't hold both versions.
RUN = """
import sys, marshmallow, pytest
from importlib.metadata import version
assert version("marshmallow").startswith("3.") and ".tools" in marshmallow.__file__
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_on_marshmallow_3_everything_is_as_on_4() -> None:
    if not OLD.is_dir() and "CI" not in os.environ:
        pytest.skip("`make setup` fetches it into .tools/marshmallow3")
    words = [
        "-n",
        "0",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:cov",
        "-p",
        "no:randomly",
        "-k",
        CHOSEN,
    ]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words, *(str(HERE / name) for name in ASKED)],
        cwd=HERE.parents[1], env={**os.environ, "PYTHONPATH": str(OLD)},
        capture_output=True, text=True, timeout=80, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout.splitlines()[-1]
