"""`down` is the end of everything, also when no brain can be asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import chapiteau.run.keeper
from chapiteau.io.unix_http import control_path
from tests.support import alive, run_cli, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

pytestmark = pytest.mark.slow
KEEPER = Path(chapiteau.run.keeper.__file__).parent


def test_down_ends_what_a_hung_brain_does_not(project: Callable[[str], Project]) -> None:
    p = project("""
        [service.web]
        command = "sleep 600"
        ready.alive = "50ms"
    """).up()
    p.until("web", "running")
    pids = p.pids("web")
    os.kill(p.status().pid, signal.SIGSTOP)
    done = run_cli("down", "--force", cwd=p.folder)
    assert done.returncode == 0, done.stderr
    assert f"the brain does not answer: asking the keeper (pid {p.keeper})" in done.stderr
    assert "stopped by the keeper" in done.stderr
    assert not any(map(alive, [*pids, p.keeper]))


# A brain that starts one process, notes how it wants to end, and dies, as every later one does.
DIES = r"""
import json, os, socket, sys, time
link = socket.socket(fileno=int(os.environ["CHAPITEAU_KEEPER_FD"]))
if os.environ["CHAPITEAU_BRAIN_START"] == "0":
    script = "import os, signal, time\n" \
        "signal.signal(signal.SIGUSR1, lambda *_: (open('asked', 'w').close(), os._exit(0)))\n" \
        "os.fork() or (os.setsid(), signal.signal(signal.SIGTERM, signal.SIG_IGN))\n" \
        "open('up.%d' % os.getpid(), 'w').close()\n" \
        "time.sleep(600)"
    link.send(json.dumps({"op": "spawn", "id": 1, "key": "a", "cwd": os.environ["HERE"],
        "argv": [sys.executable, "-c", script], "env": {}, "memo": {"stop": [10, 5.0]}}).encode())
    link.recv(1 << 16)
"""


def test_when_no_brain_lives_the_keeper_asks_then_kills_and_leaves_nothing(tmp_path: Path) -> None:
    brain = [sys.executable, "-I", "-S", "-c", DIES]
    words = [sys.executable, "-I", "-S", str(KEEPER), "start", "-", "run", str(tmp_path), "0", "-1"]
    keeper = subprocess.Popen(
        [*words, *brain],
        env={**os.environ, "HERE": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    found = wait_for(lambda: (f := list(tmp_path.glob("up.*"))) and len(f) == 2 and f)
    keeper.send_signal(signal.SIGTERM)
    assert keeper.wait(60) == 1
    assert keeper.stderr is not None
    assert "the keeper does it by itself" in keeper.stderr.read()
    keeper.stderr.close()
    assert (tmp_path / "asked").exists(), "it was asked with the signal that was noted for it"
    assert not any(alive(int(path.suffix[1:])) for path in found), "its escaped child is gone too"


def test_the_short_folder_of_a_deep_project_goes_away(tmp_path: Path) -> None:
    from tests.run.project import Project

    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    p = Project(deep, '[service.web]\ncommand = "sleep 600"\n').up()
    short = control_path(deep / ".chapiteau").parent
    assert short.exists()
    assert short.parent.name == f"chapiteau-{os.getuid()}"
    p.down()
    assert not short.exists()
