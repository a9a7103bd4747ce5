"""SIGKILL of the keeper at its worst moments: never two copies, never one that nobody knows.

Further parts of F28 of docs/explanation/what-happens-when.md. Halting keeper and brain in turn
makes moments that last microseconds last as long as the test needs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import alive, state_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.run.project import Project

pytestmark = pytest.mark.slow

TWO = """
    [service.web]
    command = "sleep 600"
    ready.alive = "20ms"
    [service.later]
    command = "sleep 601"
    autostart = false
    ready.alive = "20ms"
"""


def test_a_process_of_which_the_keepers_last_word_tells_is_known(
    project: Callable[[str], Project],
) -> None:
    """Its pid and the end of the channel reach the brain in one read."""
    p = project(TWO).up()
    p.until("web", "running")
    [web], brain = p.pids("web"), p.status().pid
    with halted(p.keeper):
        assert p.client.command("start", "later", wait=False).ok
        with halted(brain):
            os.kill(p.keeper, signal.SIGCONT)
            [later] = wait_for(lambda: sleepers(p, "601"))
            wait_for(lambda: state_of(p.keeper) == "S")  # so it has said so
            os.kill(p.keeper, signal.SIGKILL)
            wait_for(lambda: not alive(p.keeper))
    when_followed(p)
    p.when(lambda: p.pids("later") == [later] and p.pids("web") == [web])
    assert sleepers(p, "601") == [later]


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_a_process_of_which_nobody_could_tell_is_ended_before_another_starts(
    project: Callable[[str], Project],
) -> None:
    p = project(TWO).up()
    p.until("web", "running")
    [web] = p.pids("web")
    with dying_at(p.keeper, "sendmsg"):
        assert p.client.command("start", "later", wait=False).ok
        wait_for(lambda: not alive(p.keeper))
    when_followed(p)
    p.until("later", "running")
    wait_for(lambda: sleepers(p, "601") == p.pids("later"))
    assert p.pids("web") == [web]


def test_a_keeper_that_dies_before_its_brain_knows_what_runs_doubles_nothing(
    project: Callable[[str], Project],
) -> None:
    """The brain was killed just before: the next one has heard of nothing yet."""
    p = project(TWO).up()
    p.until("web", "running")
    [web], old = p.pids("web"), p.status().pid
    os.kill(old, signal.SIGKILL)
    [brain] = wait_for(lambda: [pid for pid in brains(p) if pid != old])
    with halted(brain):
        os.kill(p.keeper, signal.SIGKILL)
        wait_for(lambda: not alive(p.keeper))
    when_followed(p)
    p.until("web", "running")
    assert not alive(web)
    assert sleepers(p, "600") == p.pids("web")


def test_what_was_not_on_the_roll_yet_is_ended_too(project: Callable[[str], Project]) -> None:
    """Keeper and brain die before the list on disk has it, and no cgroup of ours holds it."""
    p = project(TWO).up()
    p.until("web", "running")
    [web], brain = p.pids("web"), p.status().pid
    roll = p.folder / ".chapiteau/processes.json"
    wait_for(lambda: str(web) in roll.read_text())
    os.kill(brain, signal.SIGSTOP)  # or it would make another keeper
    for pid in (p.keeper, brain):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(p.keeper) and not alive(brain))
    roll.write_text(roll.read_text().replace(f"{web}", "1"))
    leave_its_cgroup(web)
    p.up()
    p.until("web", "running")
    assert not alive(web)


def test_what_was_begun_in_a_program_ends_with_it_after_another_keeper(
    project: Callable[[str], Project],
) -> None:
    """`up` in a terminal, or a Supervisor in a test: the new keeper knows of them too."""
    p = project(TWO)
    words = [sys.executable, "-m", "chapiteau", "up", "web"]
    with subprocess.Popen(words, cwd=p.folder, stdout=subprocess.DEVNULL) as terminal:
        p.when(lambda: p.service("web").state == "running")
        p.keeper, [web] = p.status().keeper_pid, p.pids("web")
        os.kill(p.keeper, signal.SIGKILL)
        when_followed(p)
        assert (p.pids("web"), p.service("later").state) == ([web], "stopped")
        terminal.kill()
    wait_for(lambda: not alive(p.keeper))
    assert not alive(web)


def test_the_first_brain_of_a_daemon_makes_another_keeper_too(
    project: Callable[[str], Project],
) -> None:
    """It was forked, so its command line is another than that of later brains."""
    p = project(TWO)
    words = [sys.executable, "-m", "chapiteau", "run", "daemon"]
    with subprocess.Popen(words, cwd=p.folder) as first:
        p.when(lambda: p.service("web").state == "running")
        p.keeper, [web] = p.status().keeper_pid, p.pids("web")
        assert p.keeper == first.pid
        first.kill()
    when_followed(p)
    assert p.pids("web") == [web]


@pytest.mark.long
def test_what_processes_of_a_dead_keeper_started_ends_with_them(
    project: Callable[[str], Project],
) -> None:
    """Their orphans come to the first process of the machine; with cgroups and without."""
    p = project("""
        [service.web]
        command = ["sh", "-c", "(setsid sh -c 'trap \\"\\" TERM; sleep 602; :' &); exec sleep 600"]
        ready.alive = "100ms"
    """).up()
    p.until("web", "running")
    [orphan] = wait_for(lambda: sleepers(p, "602"))
    os.kill(p.keeper, signal.SIGKILL)
    when_followed(p)
    assert alive(orphan)
    assert p.client.command("stop", "web").ok
    wait_for(lambda: not alive(orphan))


def test_what_a_new_keeper_is_told_before_it_can_hear_waits_for_it(
    project: Callable[[str], Project],
) -> None:
    """`down` in the moment after a keeper's death: nothing survives."""
    p = project(TWO).up()
    p.until("web", "running")
    pids = p.pids("web")
    lock, old = p.folder / ".chapiteau/lock", p.keeper
    os.kill(old, signal.SIGKILL)
    new = wait_for(lambda: int(lock.read_text()) != old and int(lock.read_text()))
    os.kill(new, signal.SIGTERM)
    wait_for(lambda: not alive(new))
    assert not any(map(alive, pids))


# ── means ─────────────────────────────────────────────────────────────────────────────────────
@contextlib.contextmanager
def halted(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state_of(pid) == "T")
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def dying_at(pid: int, call: str) -> Iterator[None]:
    """A process that is killed instead of making this system call."""
    inject = [f"trace={call}", f"inject={call}:signal=KILL:when=1"]
    words = ["strace", "-p", str(pid), *(word for one in inject for word in ("-e", one))]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        try:
            if "attached" not in (said := tracer.stderr.readline()):
                pytest.skip(f"nothing may be traced here: {said}")
            yield
        finally:
            tracer.terminate()
            tracer.stderr.read()


def when_followed(p: Project) -> None:
    """Wait for another keeper."""
    p.when(lambda: p.status().keeper_pid != p.keeper, what="another keeper")
    p.keeper = p.status().keeper_pid


def sleepers(p: Project, seconds: str) -> list[int]:
    """Everybody who sleeps so long in the project's folder, wherever it hangs."""
    return [int(e.name) for e in Path("/proc").iterdir() if is_sleeper(e, p.folder, seconds)]


def is_sleeper(entry: Path, folder: Path, seconds: str) -> bool:
    with contextlib.suppress(OSError):
        words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        if len(words) > 1 and words[0].endswith(b"sleep") and words[1] == seconds.encode():
            return Path(os.readlink(entry / "cwd")) == folder.resolve()
    return False


def leave_its_cgroup(pid: int) -> None:
    """To the top of the tree, if there is one."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            with contextlib.suppress(PermissionError):  # then it is in none of ours
                (Path(left.split()[4]) / "cgroup.procs").write_text(str(pid))


def brains(p: Project) -> list[int]:
    children = Path(f"/proc/{p.keeper}/task/{p.keeper}/children").read_text().split()
    return [
        int(c) for c in children if b"run.supervisor" in Path(f"/proc/{c}/cmdline").read_bytes()
    ]
