"""One supervisor for all faults that concern one service each: a fault there disturbs no other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.run.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = sys.executable
BOMB = "trap '' TERM; (while :; do setsid sleep 65432 & done); echo stopped at; exec sleep 65432"
# Nothing starts by itself: each test starts its own service. `calm` must never notice anything.
CROWD = f"""
    [log]
    max_size = "1MiB"
    [service.calm]
    command = "sleep 600"
    ready.alive = "50ms"

    [service.leaves-with-9]
    command = ["sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done"]
    ready.alive = "100ms"
    [service.closes-its-output]
    command = ["{PYTHON}", "-c", "import os, time; os.close(1); os.close(2); time.sleep(600)"]
    ready.alive = "50ms"
    [service.writes-bytes]
    command = ["{PYTHON}", "bytes.py"]
    ready.log = "end"
    [service.interpreter-is-gone]
    command = "./script"
    restart.attempts = 1
    restart.after_give_up = "stay-down"
    [service.crashes]
    command = ["sh", "-c", "echo just before; kill -SEGV $$"]
    restart.policy = "never"
    ready.alive = "5s"
    [service.changes-its-name]
    command = ["{PYTHON}", "name.py"]
    ready.log = "renamed"
    [service.forks-for-ever]
    # Children without end that ignore SIGTERM and leave the group; 20 is all that they may be.
    command = ["sh", "-c", "{BOMB}"]
    user = "nobody"
    cwd = "/"
    limits.processes = 20
    ready.log = "stopped at"
    ready.start_timeout = "5s"
    stop_timeout = "300ms"
    [service.eats-memory]
    command = ["{PYTHON}", "eat.py"]
    limits.memory = "48MiB"
    restart.policy = "never"
    ready.alive = "20s"
    [service.sleeps-deeply]
    command = ["{PYTHON}", "deep.py"]
    ready.log = "sleeping"
    stop_timeout = "300ms"
    [service.flaps]
    command = "sleep 600"
    ready.alive = "50ms"
    [service.flaps.live]
    exec = "sh flaps.sh"
    interval = "20ms"
    failures = 3
    [service.hangs]
    command = "sleep 600"
    ready.alive = "50ms"
    [service.hangs.live]
    exec = "sleep 600"
    interval = "50ms"
    timeout = "100ms"
    failures = 2
    [service.has-no-folder]
    command = "sleep 600"
    cwd = "folder"
    ready.alive = "50ms"
    restart.delay = "50ms"
    restart.max_delay = "50ms"
    [service.dies-at-once]
    command = "true"
    restart = {{ delay = "0s", max_delay = "0s", attempts = 1000000, window = "1s" }}
    ready.alive = "10s"
    [service.is-refused]
    command = "sleep 600"
    ready.alive = "50ms"
    [service.stands-the-storm]
    command = "sleep 600"
    processes = 4
    ready.alive = "50ms"
    [service.never-ready]
    command = "sleep 600"
    ready = {{ exec = "false", start_timeout = "10m" }}
    [service.leaves-orphans]
    command = ["sh", "-c", "for i in $(seq 60); do (true & sleep 0.01 &); done; exec sleep 600"]
    ready.alive = "50ms"
    [service.beats]
    command = ["{PYTHON}", "beat.py"]
    watchdog = "1s"
    ready.notify = true
    [service.beats.live]
    exec = "sleep 0.3"  # nearly always one is on its way
    interval = "50ms"
    timeout = "1s"
    failures = 1
"""
FILES = {
    "bytes.py": """
        import os, time
        os.write(1, b"\\xff\\xfe\\x00\\x1b[31mred\\n")
        os.write(2, b"end\\n")
        time.sleep(600)
    """,
    "name.py": """
        import ctypes, os, time
        ctypes.CDLL(None).prctl(15, b") Z 1 (\\n", 0, 0, 0)  # PR_SET_NAME
        os.setpgid(0, 0) if os.getpgid(0) != os.getpid() else None
        print("renamed", flush=True)
        time.sleep(600)
    """,
    "eat.py": """
        import time
        held = []
        for _ in range(400):
            held.append(bytearray(b"x" * (1 << 20)))
            time.sleep(0.001)
    """,
    # vfork(2) holds the caller in state D until the child has called exec; this child never does,
    # for it waits for somebody to open the other end of a FIFO first.
    "deep.py": """
        import os, threading, time
        os.path.exists("fifo") or os.mkfifo("fifo")
        print("sleeping", flush=True)
        wait = [(os.POSIX_SPAWN_OPEN, 0, "fifo", os.O_RDONLY, 0)]
        os.posix_spawn("/bin/true", ["true"], {}, file_actions=wait)
    """,
    "flaps.sh": """
        # fails two times, passes once, and so on
        n=$(cat flaps.n 2>/dev/null || echo 0)
        echo $((n + 1)) >flaps.n
        [ $((n % 3)) -eq 2 ]
    """,
    "beat.py": """
        import os, socket, time
        out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        out.connect(os.environ["NOTIFY_SOCKET"])
        out.send(b"READY=1")
        while True:
            time.sleep(0.1)
            try:
                out.send(b"WATCHDOG=1", socket.MSG_DONTWAIT)
            except OSError:
                pass  # nobody reads: not our fault
    """,
}


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The supervisor. Whatever a test does to its service, `calm` is the same process after it."""
    project = Project(tmp_path_factory.mktemp("crowd"), CROWD)
    for name, text in FILES.items():
        project.file(name, text)
    project.file("script", "#!/no/such/interpreter\n").chmod(0o755)
    try:
        project.up("calm")
        project.until("calm", "running")
        yield project
    finally:
        project.down()


@pytest.fixture(autouse=True)
def _calm(request: pytest.FixtureRequest) -> Iterator[None]:
    if "crowd" not in request.fixturenames:
        yield
        return
    crowd: Project = request.getfixturevalue("crowd")
    before = crowd.pids("calm")
    yield
    assert crowd.pids("calm") == before, "another service was disturbed"
