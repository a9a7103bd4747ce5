"""Standard input: a terminal of its own, a pipe, and both through the death of a brain."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

pytestmark = pytest.mark.slow

TOML = """
    [service.console]
    command = ["python3", "-u", "console.py"]
    stdin = "tty"
    ready.log = "hello"
    [service.lines]
    command = ["sh", "-c", "while read word; do echo got $word; done; echo over; sleep 600"]
    stdin = "pipe"
    ready.alive = "50ms"
    [service.mute]
    command = "sleep 600"
    ready.alive = "50ms"
"""
CONSOLE = """
    import os, sys
    assert all(os.isatty(fd) for fd in (0, 1, 2)) and os.ttyname(0) == os.ttyname(2)
    os.close(os.open("/dev/tty", os.O_RDWR))  # it is the controlling terminal
    print("hello from", os.getpid())
    for line in sys.stdin:
        if line == "size\\n":
            print(*os.get_terminal_size())
        else:
            print("you said", line.upper(), end="")
    print("that was the end of the input")
"""


def lines(p: Project, service: str) -> str:
    path = p.folder / ".chapiteau" / "log" / service / "1.stdout.log"
    return path.read_text() if path.exists() else ""


def test_a_terminal_and_a_pipe_take_input_and_outlive_the_brain(
    project: Callable[[str], Project],
) -> None:
    p = project(TOML)
    p.file("console.py", CONSOLE)
    p.up()
    p.until("console", "running")
    pid = p.pids("console")[0]
    assert p.client.enter("console", "one\n", rows=30, columns=100).ok
    wait_for(lambda: "you said ONE" in lines(p, "console"))
    assert p.client.enter("console", "size\n").ok
    wait_for(lambda: "100 30" in lines(p, "console"))
    assert p.client.enter("lines", "a\nb\n").ok
    wait_for(lambda: "got b" in lines(p, "lines"))

    p.kill_brain()
    assert p.pids("console") == [pid], "a terminal that hung up would have ended it"
    assert p.client.enter("console", "two\n").ok
    wait_for(lambda: "you said TWO" in lines(p, "console"))
    assert p.client.enter("lines", "c\n", eof=True).ok
    wait_for(lambda: "got c\nover" in lines(p, "lines"))
    assert "closed" in p.client.enter("lines", "more").error

    none = p.client.enter("mute", "x")
    assert (none.ok, none.exit_code) == (False, 4)
    assert 'stdin = "tty"' in none.hint
    assert p.client.enter("console", "x", process=9).exit_code == 3

    assert p.client.enter("console", "", eof=True).ok
    wait_for(lambda: "that was the end of the input" in lines(p, "console"))
    p.until("console", "running")
    wait_for(lambda: p.pids("console") not in ([], [pid]), what="it has begun anew")
    wait_for(lambda: f"hello from {p.pids('console')[0]}" in lines(p, "console"))


def test_attach_is_like_sitting_there(project: Callable[[str], Project]) -> None:
    p = project(TOML)
    p.file("console.py", CONSOLE)
    p.up("console")
    p.until("console", "running")
    words = [sys.executable, "-m", "chapiteau", "run", "attach", "console"]
    ours, theirs = pty.openpty()
    try:
        sitting = subprocess.Popen(words, cwd=p.folder, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        seen = b""

        def sees(what: bytes) -> bool:
            nonlocal seen
            seen += os.read(ours, 4096)
            return what in seen

        wait_for(lambda: sees(b"Ctrl-] leaves"))
        os.write(ours, b"abc\r")
        wait_for(lambda: sees(b"you said ABC"))
        os.write(ours, b"\x1d")
        assert sitting.wait(60) == 0
    finally:
        os.close(ours)
    assert p.service("console").state == "running"


def test_piped_words_are_sent_and_that_is_all(project: Callable[[str], Project]) -> None:
    p = project(TOML).up("lines")
    p.until("lines", "running")
    words = [sys.executable, "-m", "chapiteau", "run", "attach", "lines", "--eof"]
    subprocess.run(words, cwd=p.folder, input=b"x\n", check=True, timeout=60)
    wait_for(lambda: "got x\nover" in lines(p, "lines"))


KEEPS = """
    import os, socket, array
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    count = int(os.environ.get("LISTEN_FDS", 0))
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.connect(os.environ["NOTIFY_SOCKET"])
    def say(text, *fds):
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
        notify.sendmsg([text.encode()], [rights] if fds else [])
    if count == 0:
        a, b = socket.socketpair()
        a.send(b"first life")
        say("FDSTORE=1\\nFDNAME=session", b.fileno())
        say("FDSTORE=1\\nFDNAME=session", b.fileno())  # the same once more: kept once
        m = os.memfd_create("state"); os.write(m, b"17")
        say("FDSTORE=1\\nFDNAME=state", m)
        say("FDSTORE=1\\nFDNAME=other", os.memfd_create("x"))  # more than it may
        text = "stored"
    else:
        found = dict(zip(names, range(3, 3 + count)))
        assert os.environ["LISTEN_PID"] == str(os.getpid())
        os.lseek(found["state"], 0, 0)
        session = os.read(found["session"], 99) if "session" in found else "no session"
        text = f"{sorted(found)} {session} {os.read(found['state'], 9)}"
        say("FDSTOREREMOVE=1\\nFDNAME=session")
    say("MAINPID=1")
    r, w = os.pipe()
    say("BARRIER=1", w); os.close(w); os.read(r, 1)  # sd_notify_barrier(3)
    with open("told", "a") as out:
        print(text, file=out)
    say("READY=1")
    import time; time.sleep(600)
"""


def test_descriptors_left_with_the_keeper_come_back(project: Callable[[str], Project]) -> None:
    p = project("""
        [service.web]
        command = "python3 keeps.py"
        fd_store = 2
        ready.notify = true
    """)
    p.file("keeps.py", KEEPS)
    p.up()
    p.until("web", "running")
    refused = {e.text.partition(":")[0] for e in p.events("process.refused")}
    assert refused == {"FDSTORE=1", "MAINPID=1"}
    p.kill_brain()
    told = p.folder / "told"
    os.kill(p.pids("web")[0], signal.SIGKILL)
    wait_for(lambda: len(told.read_text().splitlines()) == 2)
    assert told.read_text().splitlines()[1] == "['session', 'state'] b'first life' b'17'"
    assert p.client.command("restart", "web").ok
    assert told.read_text().splitlines()[2] == "['state'] no session b'17'", "it was removed"
    assert p.client.command("stop", "web").ok
    told.unlink()
    assert p.client.command("start", "web").ok
    assert told.read_text() == "stored\n", "a stop forgets what was left"
