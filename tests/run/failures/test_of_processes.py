"""What a process can do to its supervisor; F1–F23 of docs/explanation/what-happens-when.md."""

from __future__ import annotations

import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chapiteau.run.logs.messages import LogQuery
from chapiteau.run.system.cgroups import find_cgroups
from tests.support import alive, as_root, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

pytestmark = pytest.mark.slow


def letter(pid: int) -> str:
    """R, S, D, T …: the state of a process as the kernel tells it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_code_other_than_0_at_a_stop_is_no_failure(crowd: Project) -> None:
    assert crowd.client.command("start", "leaves-with-9").ok
    assert crowd.client.command("stop", "leaves-with-9").ok
    found = crowd.service("leaves-with-9")
    assert (found.state, found.restarts) == ("stopped", 0)
    told = crowd.events("process.exited", "leaves-with-9")[-1]
    assert (told.data["code"], told.data["asked"]) == (9, True)


def test_a_port_in_use_is_told_with_its_holder(project: Callable[[str], Project]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        p = project(f"""
            [service.web]
            command = [
              "{sys.executable}", "-c",
              "import socket; socket.create_server(('127.0.0.1', {port}))",
            ]
            restart.policy = "never"
        """)
        p.up()
        exited = wait_for(lambda: p.events("process.exited", "web"))[-1]
    assert exited.data["cause"].startswith(f"its port {port} is in use, held by pid {os.getpid()} ")


def test_closed_outputs_end_no_process_and_cost_no_cpu(crowd: Project) -> None:
    assert crowd.client.command("start", "closes-its-output").ok
    brain = crowd.status().pid
    before = os.times()
    used = [_ticks(brain)]
    wait_for(lambda: os.times().elapsed - before.elapsed > 0.3)
    used.append(_ticks(brain))
    assert crowd.service("closes-its-output").state == "running"
    assert used[1] - used[0] < 15, "a loop on an output that has ended"


def _ticks(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def test_any_bytes_are_kept_as_they_are(crowd: Project) -> None:
    assert crowd.client.command("start", "writes-bytes").ok
    log = crowd.folder / ".chapiteau/log/writes-bytes/1.stdout.log"
    wait_for(lambda: log.read_bytes() == b"\xff\xfe\x00\x1b[31mred\n")
    query = LogQuery(services=("writes-bytes",), stream="stdout", last=1)
    assert [line.text for line in crowd.client.logs(query)] == ["\ufffd\ufffd\0\x1b[31mred"]


def test_an_interpreter_that_is_not_there_is_told_as_such(crowd: Project) -> None:
    answer = crowd.client.command("start", "interpreter-is-gone")
    assert not answer.ok
    assert "cannot start" in answer.error
    found = crowd.until("interpreter-is-gone", "failed")
    assert "interpreter that is missing" in found.processes[0].last_exit["hint"]


def test_a_crash_names_its_signal_and_keeps_the_last_words(crowd: Project) -> None:
    assert not crowd.client.command("start", "crashes").ok
    found = crowd.until("crashes", "failed")
    assert "SIGSEGV" in found.processes[0].last_exit["text"]
    assert found.processes[0].last_exit["lines"] == ["just before"]


def test_a_process_may_call_itself_what_it_likes(crowd: Project) -> None:
    """Its name ends in what looks like a state and a pid of /proc/PID/stat."""
    assert crowd.client.command("start", "changes-its-name").ok
    [pid] = crowd.pids("changes-its-name")
    assert crowd.service("changes-its-name").processes[0].rss_bytes > 1 << 20
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: crowd.pids("changes-its-name") not in ([], [pid]))
    [second] = crowd.pids("changes-its-name")
    assert crowd.client.command("stop", "changes-its-name").ok
    assert not alive(second)


def test_a_process_that_somebody_halted_is_shown_as_halted(crowd: Project) -> None:
    assert crowd.client.command("start", "leaves-with-9").ok
    [pid] = crowd.pids("leaves-with-9")
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: "SIGSTOP" in crowd.service("leaves-with-9").processes[0].reason)
    found = crowd.service("leaves-with-9").processes[0]
    assert (found.pid, found.state) == (pid, "running")
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not crowd.service("leaves-with-9").processes[0].reason)
    assert crowd.client.command("stop", "leaves-with-9").ok


def test_a_process_in_uninterruptible_sleep_holds_up_nobody(crowd: Project) -> None:
    assert crowd.client.command("start", "sleeps-deeply").ok
    [pid] = crowd.pids("sleeps-deeply")
    wait_for(lambda: letter(pid) == "D")
    assert crowd.client.command("stop", "sleeps-deeply").ok
    assert not alive(pid)
    assert crowd.events("process.killed", "sleeps-deeply")


@as_root
def test_a_fork_bomb_stays_in_its_limit_and_ends_with_a_stop(crowd: Project) -> None:
    assert crowd.client.command("start", "forks-for-ever").ok
    assert crowd.service("forks-for-ever").state == "running"
    assert 2 < len(_sleepers()) <= 20  # others of that user count, too
    assert crowd.client.command("stop", "forks-for-ever").ok
    wait_for(lambda: not _sleepers())


def _sleepers() -> list[Path]:
    def is_one(path: Path) -> bool:
        try:
            return path.read_bytes() == b"sleep\00065432\0"
        except OSError:
            return False

    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if is_one(path)]


@as_root
def test_a_process_killed_for_want_of_memory_is_told_as_such(crowd: Project) -> None:
    root = find_cgroups("failures").root
    if root is None or "memory" not in (root.parent / "cgroup.controllers").read_text():
        pytest.skip("the memory controller is not with cgroup v2 on this machine")
    assert not crowd.client.command("start", "eats-memory").ok
    last = crowd.until("eats-memory", "failed").processes[0].last_exit
    assert last["signal"] == signal.SIGKILL
    assert "want of memory" in last["cause"]


def test_a_probe_that_flaps_restarts_nothing(crowd: Project) -> None:
    assert crowd.client.command("start", "flaps").ok
    pids, before = crowd.pids("flaps"), crowd.service("flaps").restarts
    asked = crowd.folder / "flaps.n"
    wait_for(lambda: int(asked.read_text()) > 9)
    assert (crowd.pids("flaps"), crowd.service("flaps").restarts) == (pids, before)
    assert crowd.client.command("stop", "flaps").ok


def test_a_probe_that_hangs_is_a_failure_and_leaves_nothing(crowd: Project) -> None:
    assert crowd.client.command("start", "hangs").ok
    [pid] = crowd.pids("hangs")
    wait_for(lambda: crowd.pids("hangs") not in ([], [pid]))
    told = wait_for(lambda: crowd.events("process.unhealthy", "hangs"))
    assert "2 probes in a row failed: no answer within 0.1 s" in told[0].text
    assert crowd.client.command("stop", "hangs").ok
    own = crowd.status().pid
    wait_for(lambda: not Path(f"/proc/{own}/task/{own}/children").read_text().strip())


def test_a_folder_that_is_deleted_meanwhile_is_named_and_waited_for(crowd: Project) -> None:
    folder = crowd.folder / "folder"
    folder.mkdir()
    assert crowd.client.command("start", "has-no-folder").ok
    [pid] = crowd.pids("has-no-folder")
    folder.rmdir()
    os.kill(pid, signal.SIGKILL)
    told = wait_for(lambda: crowd.events("process.spawn_failed", "has-no-folder"))
    assert f"{folder} does not exist" in told[0].text
    folder.mkdir()
    crowd.until("has-no-folder", "running")
    assert crowd.client.command("stop", "has-no-folder").ok


def test_hundreds_of_restarts_leave_nothing_behind(crowd: Project) -> None:
    found = crowd.status()
    before = [_descriptors(pid) for pid in (found.pid, found.keeper_pid)]
    answer = crowd.client.command("start", "dies-at-once")
    assert not answer.ok
    assert "exit 0" in answer.error
    wait_for(lambda: crowd.service("dies-at-once").restarts > 150)
    assert crowd.client.command("stop", "dies-at-once").ok
    after = [_descriptors(pid) for pid in (found.pid, found.keeper_pid)]
    assert all(now - then < 20 for then, now in zip(before, after, strict=True)), (before, after)
    wait_for(lambda: not _zombies(found.keeper_pid))


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _zombies(pid: int) -> list[int]:
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for child in map(int, words) if letter(child) == "Z"]


def test_orphans_are_reaped_without_a_word(crowd: Project) -> None:
    """The keeper is their new parent, as the first process of a container is."""
    assert crowd.client.command("start", "leaves-orphans").ok
    wait_for(lambda: not _zombies(crowd.keeper))
    assert crowd.service("leaves-orphans").restarts == 0
    assert crowd.client.command("stop", "leaves-orphans").ok


def test_a_stop_does_not_wait_for_the_start_that_it_ends(crowd: Project) -> None:
    with ThreadPoolExecutor() as pool:
        begun = pool.submit(crowd.client.command, "start", "never-ready")
        wait_for(lambda: crowd.service("never-ready").state == "starting")
        assert crowd.client.command("stop", "never-ready").ok
        answer = begun.result(60)
    assert not answer.ok
    assert crowd.service("never-ready").state == "stopped"
