"""Nothing survives a stop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support import alive, wait_for

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.slow
New = "Callable[[str], Project]"

# Double fork, a session of its own, TERM ignored, its environment kept or thrown away.
ESCAPE = """
    import os, signal, sys, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with open("escaped", "w") as f:
                f.write(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    time.sleep(600)
"""


def test_a_grandchild_that_fled_and_ignores_term_is_ended(project: New) -> None:
    p = project("""
        [service.web]
        command = "python3 flee.py"
        ready.alive = "50ms"
    """)
    p.file("flee.py", ESCAPE)
    p.up()
    fled = int(
        wait_for(lambda: (p.folder / "escaped").exists() and (p.folder / "escaped").read_text())
    )
    assert p.client.command("stop", "web").ok
    wait_for(lambda: not alive(fled), what="the fled grandchild is gone")


def test_term_ignored_means_kill_after_the_grace_time(project: New) -> None:
    p = project("""
        [service.web]
        command = ["sh", "-c", "trap '' TERM; while true; do sleep 0.1; done"]
        stop_timeout = "300ms"
        ready.alive = "100ms"
    """).up()
    p.until("web", "running")
    pid = p.pids("web")[0]
    assert p.client.command("stop", "web").ok
    assert not alive(pid)
    assert "did not end within 0.3 s" in p.events("process.killed")[0].text


def test_a_stopped_process_hears_the_stop(project: New) -> None:
    """SIGTERM alone stays pending for a process in state T."""
    p = project("""
        [service.web]
        command = "sleep 600"
        ready.alive = "50ms"
    """).up()
    p.until("web", "running")
    os.kill(p.pids("web")[0], 19)
    assert p.client.command("stop", "web").ok
    assert p.events("process.killed") == []


def test_a_daemonising_program_is_named_and_not_started_in_a_loop(project: New) -> None:
    p = project("""
        [service.web]
        command = "python3 daemon.py"
    """)
    p.file("daemon.py", """
        import os, time
        if os.fork():
            time.sleep(0.3)
            os._exit(0)
        os.setsid()
        open("daemon", "w").write(str(os.getpid()))
        time.sleep(600)
    """)  # fmt: skip
    p.up()
    found = p.until("web", "failed")
    assert "background" in found.processes[0].last_exit["cause"]
    assert "foreground" in found.processes[0].last_exit["hint"]
    assert len(p.events("process.spawned")) == 1
    left = int((p.folder / "daemon").read_text())
    wait_for(lambda: not alive(left))


def test_slow_ones_are_stopped_together_not_in_turn(project: New) -> None:
    p = project("""
        [service.web]
        command = ["sh", "all.sh"]
        processes = 10
        ready.log = "up"
        stop_timeout = "60s"
    """)
    p.file("all.sh", """
        all() { touch asked.$$; while [ $(ls asked.* | wc -l) -lt 10 ]; do sleep 0.02; done; exit; }
        trap all TERM
        echo up
        while true; do sleep 0.05; done
    """)  # fmt: skip
    p.up()
    p.until("web", "running")
    assert p.client.command("stop", "web").ok
    assert p.events("process.killed") == [], "each waits until all ten have been asked"


def test_those_who_need_others_stop_first(project: New) -> None:
    p = project("""
        [service.db]
        command = ["sh", "-c", "trap 'date +%s%N >db; exit' TERM; while :; do sleep 0.02; done"]
        ready.alive = "100ms"
        [service.web]
        command = ["sh", "-c", "trap 'date +%s%N >web; exit' TERM; while :; do sleep 0.02; done"]
        needs = ["db"]
        ready.alive = "100ms"
    """).up()  # fmt: skip
    p.until("web", "running")
    p.down()
    assert int((p.folder / "web").read_text()) < int((p.folder / "db").read_text())


def test_the_end_of_who_started_it_is_the_end_of_all(project: New, tmp_path: object) -> None:
    """`up` in a terminal that is closed, or killed."""
    import subprocess

    from chapiteau.run.config.load import load_config
    from chapiteau.run.supervisor.launch import start

    p = project("""
        [service.web]
        command = "sleep 600"
        ready.alive = "50ms"
    """)
    owner = subprocess.Popen(["sleep", "600"])
    config = load_config(p.config)
    start(config.path, config.spec, owner_pid=owner.pid)
    p.keeper = p.status().keeper_pid
    pid = wait_for(lambda: p.pids("web"))[0]
    owner.kill()
    owner.wait()
    wait_for(lambda: not alive(p.keeper) and not alive(pid))


def test_a_secret_of_one_service_is_not_inherited_by_another(
    project: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_PW", "canary")
    p = project("""
        [service.web]
        command = "sh -c 'env > web.env; exec sleep 600'"
        env = { PW = { env = "CANARY_PW" } }
        [service.other]
        command = "sh -c 'env > other.env; exec sleep 600'"
    """)
    p.up()
    for name in ("web", "other"):
        wait_for(lambda name=name: "PATH=" in (p.config.parent / f"{name}.env").read_text())
    web, other = ((p.config.parent / f"{n}.env").read_text() for n in ("web", "other"))
    assert "PW=canary" in web.splitlines()
    assert "canary" not in other
    assert "CANARY_PW" not in web


def test_an_owner_that_ended_before_the_keeper_looked_leaves_nothing(project: New) -> None:
    """Ctrl-C in the first moments of `chapiteau up`: no pid to watch is not nobody to watch."""
    import contextlib
    import subprocess

    from chapiteau.core.errors import ChapiteauError
    from chapiteau.io.files import lock_owner
    from chapiteau.run.config.load import load_config
    from chapiteau.run.supervisor.launch import start

    p = project("""
        [service.web]
        command = "sh -c 'echo $$ > web.pid; exec sleep 600'"
        ready.alive = "50ms"
    """)
    owner = subprocess.Popen(["true"])
    owner.wait()
    config = load_config(p.config)
    with contextlib.suppress(ChapiteauError):  # it may be gone before it has answered
        start(config.path, config.spec, owner_pid=owner.pid)
    wait_for(lambda: not lock_owner(config.run_dir / "lock"))
    started = p.config.parent / "web.pid"
    if started.exists():
        pid = int(started.read_text())
        wait_for(lambda: not alive(pid))


def test_a_process_may_ask_for_more_time_to_end(project: New) -> None:
    """EXTEND_TIMEOUT_USEC while it ends: without it, it would be killed after 0.3 s."""
    p = project("""
        [service.web]
        command = "python3 slow.py"
        stop_timeout = "300ms"
        ready.notify = true
    """)
    p.file("slow.py", """
        import os, signal, socket, time
        out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        out.connect(os.environ["NOTIFY_SOCKET"])

        def end(*_):
            out.send(b"EXTEND_TIMEOUT_USEC=8000000")
            time.sleep(0.8)
            open("saved", "w").close()
            os._exit(0)

        signal.signal(signal.SIGTERM, end)
        out.send(b"READY=1")
        time.sleep(600)
    """)  # fmt: skip
    p.up()
    p.until("web", "running")
    assert p.client.command("stop", "web").ok
    assert (p.folder / "saved").exists()
    assert not p.events("process.killed")


@pytest.mark.parametrize(("whole", "grace"), [(True, "10s"), (False, "300ms")])
def test_the_stop_signal_reaches_the_whole_group_when_asked_for(
    project: New, whole: bool, grace: str
) -> None:
    """A parent that passes no signal on: its child can end its work only when it hears it, too."""
    p = project(f"""
        [service.web]
        command = ["sh", "parent.sh"]
        stop_group = {str(whole).lower()}
        stop_timeout = "{grace}"
        ready.log = "child is there"
    """)
    p.file("parent.sh", "trap 'wait; exit 0' TERM\nsh child.sh &\nwait\n")
    p.file("child.sh", "trap 'echo bye > said; exit' TERM\necho child is there\nsleep 600 & wait\n")
    p.up()
    p.until("web", "running")
    assert p.client.command("stop", "web").ok
    assert (p.folder / "said").exists() == whole


def test_a_shell_that_ends_at_once_leaves_its_child_the_time_to_end(project: New) -> None:
    p = project("""
        [service.web]
        command = "sh child.sh && true"
        shell = true
        ready.log = "child is there"
    """)
    p.file(
        "child.sh",
        "trap 'sleep 0.2; echo bye > said; exit' TERM\n"
        "echo child is there\nwhile :; do sleep 0.01; done\n",
    )
    p.up()
    p.until("web", "running")
    assert p.client.command("stop", "web").ok
    assert (p.folder / "said").exists()
    assert not p.events("process.killed")


def test_what_does_not_end_in_a_group_is_killed_after_the_grace(project: New) -> None:
    p = project("""
        [service.web]
        command = "sh child.sh && true"
        shell = true
        stop_timeout = "200ms"
        ready.log = "child is there"
    """)
    p.file("child.sh", "trap '' TERM\necho $$ > pid\necho child is there\nexec sleep 600\n")
    p.up()
    p.until("web", "running")
    assert p.client.command("stop", "web").ok
    assert not alive(int((p.folder / "pid").read_text()))
    assert len(p.events("process.killed")) == 1
