"""An essential service ends the whole set: with its own exit code, wherever that is looked for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.support import alive, as_root, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.project import Project

pytestmark = pytest.mark.slow
New = "Callable[[str], Project]"

CHAPITEAU = [sys.executable, "-m", "chapiteau"]


def _ends(folder: Path, toml: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "chapiteau.toml").write_text(textwrap.dedent(toml))
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_daemon_leaves_with_the_code_and_its_log_says_why(tmp_path: Path) -> None:
    toml = """
        [service.main]
        command = ["sh", "-c", "until [ -s other ]; do sleep 0.01; done; exit 7"]
        essential = true
        restart.policy = "never"
        [service.other]
        command = ["sh", "-c", "echo $$ >other; exec sleep 600"]
    """
    done = _ends(tmp_path, toml, *CHAPITEAU, "run", "daemon")
    assert done.returncode == 7
    assert "exit code 7: main is essential and is down: exit 7" in done.stderr
    assert not alive(int((tmp_path / "other").read_text()))


@as_root
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare (util-linux)")
def test_as_the_first_process_of_a_container_it_tells_a_signal_as_128_and_more(
    tmp_path: Path,
) -> None:
    toml = """
        [service.main]
        command = ["sh", "-c", "kill -SEGV $$"]
        essential = true
        restart.policy = "never"
        [service.other]
        command = "sleep 600"
    """
    first = ("unshare", "--pid", "--fork", "--mount-proc", *CHAPITEAU, "up")
    done = _ends(tmp_path, toml, *first)
    assert done.returncode == 128 + 11, done.stderr
    assert "main is essential and is down: killed by SIGSEGV" in done.stderr


def test_one_that_ends_well_for_good_ends_everything_with_0(tmp_path: Path) -> None:
    toml = """
        [service.tests]
        command = ["sh", "-c", "sleep 0.2"]
        essential = true
        restart.policy = "never"
        ready.alive = "50ms"
        [service.other]
        command = "sleep 600"
    """
    done = _ends(tmp_path, toml, *CHAPITEAU, "up")
    assert done.returncode == 0, done.stderr
    assert "tests is essential and has ended: exit 0" in done.stderr


def test_the_code_survives_the_death_of_the_brain_that_began_the_end(project: New) -> None:
    """The next brain goes on with the shutdown, and ends with the code of the first."""
    p: Project = project("""
        [service.main]
        command = ["sh", "-c", "while [ ! -e go ]; do sleep 0.02; done; exit 5"]
        essential = true
        restart.policy = "never"
        ready.alive = "50ms"
        [service.slow]
        command = ["sh", "-c", "trap 'touch asked; sleep 1; exit' TERM; while :; do sleep .1; done"]
        ready.alive = "50ms"
    """).up()
    p.until("slow", "running")
    brain = p.status().pid
    (p.folder / "go").touch()
    wait_for((p.folder / "asked").exists)
    os.kill(brain, signal.SIGKILL)
    wait_for(lambda: not alive(p.keeper))
    log = (p.folder / ".chapiteau" / "supervisor.log").read_text()
    assert "ends with exit code 5: main is essential" in log
