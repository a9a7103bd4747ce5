"""`make demo`, as its user sees it: every step holds, and Ctrl-C leaves nothing behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    """A copy of the example on a port of its own, without its dashboard's fixed one."""
    folder = tmp_path / "atlas"
    skip = shutil.ignore_patterns(".chapiteau", "data", "__pycache__")
    shutil.copytree(ROOT / "examples" / "atlas", folder, ignore=skip)
    config = folder / "chapiteau.toml"
    config.write_text(re.sub(r"^port = \d+", "port = 0", config.read_text(), flags=re.MULTILINE))
    return folder


@pytest.fixture
def demo(atlas: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    output = tmp_path / "output"
    with output.open("wb") as out:
        running = subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "demo.py"), "stay", str(atlas)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "DEMO_BUDGET": "15s", "NO_COLOR": "1"},
        )
    try:
        yield running, output
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
            running.wait(60)


def test_the_demo_holds_and_ctrl_c_leaves_nothing(
    demo: tuple[subprocess.Popen[bytes], Path],
) -> None:
    running, output = demo
    wait_for(
        lambda: "It runs on" in output.read_text() or running.poll() is not None,
        200,
        "the demo has shown everything",
    )
    running.send_signal(signal.SIGINT)
    code = running.wait(60)
    said = output.read_text()
    assert code == 0, said
    assert "everything held: no request was lost" in said
    assert said.rstrip().endswith("nothing is left behind."), said
    assert "the dashboard   http://127.0.0.1:" in said
    for title in ("1. A service", "2. How much", "3. SIGKILL", "4. Reload", "5. Verdict"):
        assert title in said
    counts = re.findall(r"(wrk|curl|strict client) +([\d,]+) requests, (\d+) failed", said)
    names = ["wrk", "strict client", "curl", "strict client", "wrk", "strict client"]
    assert [name for name, _, _ in counts] == names
    assert all(int(number.replace(",", "")) > 100 for _, number, _ in counts)
    assert all(failed == "0" for _, _, failed in counts)
