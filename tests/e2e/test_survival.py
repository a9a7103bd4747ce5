"""Kill the supervisor as often as you like: no service, request, line or exit code is lost."""

from __future__ import annotations

import os
import random
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.run.load import Clients
from tests.run.project import Project
from tests.support import alive, wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

TOML = f"""
    [socket.web]
    [log]
    max_size = "20MB"
    keep = 200
    [service.web]
    app = "tiny:make"
    processes = 3
    sockets = ["web"]
    [service.writer]
    command = ["{sys.executable}", "-S", "writer.py"]
    ready.alive = "100ms"
"""
APP = """
    def make(*a, **k):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "2")])
            return [b"ok"]
        return app
"""
# Numbered lines, about 100,000 a second in bursts, and a last word with the count.
WRITER = """
    import os, signal, sys, time
    stop = []
    signal.signal(signal.SIGTERM, lambda *a: stop.append(1))
    n = 0
    while not stop:
        lines = b"".join(b"line %08d of the writer, as long as lines are\\n" % i
                         for i in range(n, n + 1000))
        view = memoryview(lines)
        while view:
            view = view[os.write(1, view):]
        n += 1000
        time.sleep(0.01)
    os.write(2, b"%d\\n" % n)
    sys.exit(42)
"""


def numbers_in(folder: Path) -> list[int]:
    """Every number in the writer's files, oldest first; a torn line fails."""
    files = sorted(
        folder.glob("1.stdout.log*"),
        key=lambda path: -int(path.suffix[1:]) if path.suffix[1:].isdigit() else 0,
    )
    found = []
    for path in files:
        for line in path.read_bytes().splitlines(keepends=True):
            assert line.startswith(b"line "), line[:60]
            assert line.endswith(b"lines are\n"), line[-60:]
            found.append(int(line[5:13]))
    return found


def start(tmp_path: Path) -> Project:
    p = Project(tmp_path, TOML)
    p.file("tiny.py", APP)
    p.file("writer.py", WRITER)
    p.up()
    p.until("web", "running")
    p.until("writer", "running")
    return p


def test_sigkill_of_the_brain_loses_nothing(tmp_path: Path) -> None:
    p = start(tmp_path)
    try:
        pids = p.pids("web") + p.pids("writer")
        with Clients(p.address("web"), keep=True) as seen:
            for _ in range(8):
                p.kill_brain()
        assert p.pids("web") + p.pids("writer") == pids, "never two copies, never another one"
        assert seen.failed == []
        assert seen.done > 100
        # It dies while no brain lives; the exact code comes out all the same.
        brain = p.status().pid
        os.kill(p.pids("writer")[0], signal.SIGTERM)
        os.kill(brain, signal.SIGKILL)
        ends = p.when(lambda: p.events("process.exited", "writer"))
        assert ends[0].data["code"] == 42
        p.when(lambda: p.service("writer").restarts == 1)
        log = tmp_path / ".chapiteau" / "log" / "writer"
        written = int((log / "1.stderr.log").read_text().splitlines()[0])
        p.client.command("stop", "writer")
        assert numbers_in(log)[:written] == list(range(written)), "lost, doubled or out of order"
    finally:
        p.down()


def test_sigkill_of_worker_and_brain_together_loses_no_new_connection(tmp_path: Path) -> None:
    """A worker's own running request dies with it; nobody else's does, and the set is whole."""
    p = start(tmp_path)
    chance = random.Random(4)
    try:
        with Clients(p.address("web"), keep=True) as seen:
            for _ in range(5):
                brain = p.status().pid
                os.kill(chance.choice(p.pids("web")), signal.SIGKILL)
                os.kill(brain, signal.SIGKILL)
                p.when(lambda b=brain: len(p.pids("web")) == 3 and p.status().pid != b, 30)
        p.when(lambda: p.service("web").state == "running")
        assert seen.failed == []
        assert seen.done > 100
    finally:
        p.down()


def test_the_keeper_renews_itself_under_load(tmp_path: Path) -> None:
    p = start(tmp_path)
    try:
        before = p.status()
        pids = p.pids("web") + p.pids("writer")
        with Clients(p.address("web"), keep=False) as seen:
            for _ in range(5):
                brain = p.when(lambda: p.status().pid)
                assert p.client.upgrade().ok
                p.when(lambda b=brain: p.status().pid != b)
        assert p.status().keeper_pid == before.keeper_pid
        assert p.pids("web") + p.pids("writer") == pids
        assert seen.failed == []
    finally:
        p.down()


def test_a_second_supervisor_on_the_same_project_is_refused(tmp_path: Path) -> None:
    from chapiteau.run.errors import AlreadyRunningError

    p = start(tmp_path)
    try:
        with pytest.raises(AlreadyRunningError, match=f"pid {p.keeper}"):
            Project(tmp_path, TOML).up()
    finally:
        p.down()


def test_sigkill_of_the_keeper_doubles_nothing_and_loses_no_request(tmp_path: Path) -> None:
    """The parent of everything dies: the brain makes another, which finds all of it alive."""
    p = start(tmp_path)
    try:
        pids = p.pids("web") + p.pids("writer")
        with Clients(p.address("web"), keep=False) as seen:
            for _ in range(2):
                old = p.keeper
                os.kill(old, signal.SIGKILL)
                p.keeper = p.when(lambda o=old: (k := p.status().keeper_pid) != o and k, 30)
        assert p.pids("web") + p.pids("writer") == pids
        assert seen.failed == []
        # Foster children are watched as well: one that ends is replaced, one that stops is gone.
        os.kill(pids[0], signal.SIGKILL)
        p.when(lambda: pids[0] not in p.pids("web") and len(p.pids("web")) == 3, 20)
        assert p.client.command("stop", "writer").ok
        assert not alive(pids[3])
    finally:
        p.down()


def test_sigkill_of_keeper_and_brain_leaves_no_second_copy(tmp_path: Path) -> None:
    """Nobody is left who knows them: the next start ends what it finds before it starts anew."""
    p = start(tmp_path)
    pids = p.pids("web") + p.pids("writer")
    brain = p.status().pid
    os.kill(p.keeper, signal.SIGSTOP)
    os.kill(brain, signal.SIGKILL)
    os.kill(p.keeper, signal.SIGKILL)
    wait_for(lambda: not alive(p.keeper))
    assert all(alive(pid) for pid in pids), "they live on, though nobody knows them"
    p.up()
    try:
        p.until("web", "running")
        assert not any(alive(pid) for pid in pids)
    finally:
        p.down()


def test_what_a_process_said_while_no_brain_lived_is_heard(tmp_path: Path) -> None:
    """READY=1 waits in the socket; the next brain must not take the process for unready."""
    toml = f"""
        [service.slow]
        command = ["{sys.executable}", "-S", "slow.py"]
        ready.notify = true
        ready.start_timeout = "60s"
    """
    p = Project(tmp_path, toml)
    p.file("slow.py", """
        import os, socket, time
        while not os.path.exists("go"):
            time.sleep(0.01)
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
        open("said", "w").close()
        time.sleep(600)
    """)  # fmt: skip
    p.up()
    try:
        wait_for(lambda: p.pids("slow"))
        brain = p.status().pid
        os.kill(brain, signal.SIGSTOP)
        (tmp_path / "go").touch()
        wait_for((tmp_path / "said").exists)
        os.kill(brain, signal.SIGKILL)
        p.when(lambda: p.service("slow").state == "running")
        assert p.service("slow").restarts == 0
    finally:
        p.down()
