"""What can happen to the supervisor itself; F24–F49 of docs/explanation/what-happens-when.md."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chapiteau.core.errors import ChapiteauError
from chapiteau.io.unix_http import control_path
from chapiteau.run.config.load import load_config
from chapiteau.run.errors import AlreadyRunningError
from chapiteau.run.supervisor.launch import prepare_run_dir, start
from tests.support import alive, as_root, state_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.run.project import Project

pytestmark = pytest.mark.slow


def starts(project: Project) -> int:
    return len(project.events("process.spawned"))


@contextlib.contextmanager
def limit(pid: int, kind: int, soft: int) -> Iterator[None]:
    """A soft limit of another process, lowered for a while."""
    before = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, before)


# ── descriptors, memory, time ─────────────────────────────────────────────────────────────────
def test_no_descriptor_left_costs_no_service_and_no_answer_for_long(crowd: Project) -> None:
    """EMFILE in the brain: ends are still noticed, and afterwards everything goes on."""
    assert crowd.client.command("start", "changes-its-name").ok
    [pid] = crowd.pids("changes-its-name")
    brain = crowd.status().pid
    path = str(control_path(crowd.folder / ".chapiteau"))
    used = len(os.listdir(f"/proc/{brain}/fd"))
    with limit(brain, resource.RLIMIT_NOFILE, used), contextlib.ExitStack() as held:
        for _ in range(30):
            waiting = held.enter_context(socket.socket(socket.AF_UNIX))
            waiting.connect(path)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid))
    crowd.when(lambda: crowd.pids("changes-its-name") not in ([], [pid]))
    assert crowd.status().pid == brain
    assert crowd.client.command("stop", "changes-its-name").ok


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_a_start_that_the_kernel_refuses_is_tried_again(crowd: Project) -> None:
    """fork(2) fails with EAGAIN: told with the kernel's word, backed off, then it runs."""
    calls = "clone,clone3,vfork"
    inject = ["-e", f"trace={calls}", "-e", f"inject={calls}:error=EAGAIN"]
    with subprocess.Popen(
        ["strace", "-p", str(crowd.keeper), *inject], stderr=subprocess.PIPE, text=True
    ) as tracer:
        assert tracer.stderr is not None
        try:
            if "attached" not in (said := tracer.stderr.readline()):
                pytest.skip(f"nothing may be traced here: {said}")
            assert not crowd.client.command("start", "is-refused").ok
        finally:
            tracer.terminate()
            tracer.stderr.read()
    told = crowd.events("process.spawn_failed", "is-refused")
    assert "Resource temporarily unavailable" in told[0].text
    crowd.until("is-refused", "running")
    assert crowd.client.command("stop", "is-refused").ok


def test_a_brain_that_was_halted_restarts_nobody_when_it_goes_on(crowd: Project) -> None:
    """Longer than the watchdog and every probe's time: the fault was ours."""
    assert crowd.client.command("start", "beats").ok
    pids, brain = crowd.pids("beats"), crowd.status().pid
    os.kill(brain, signal.SIGSTOP)
    try:
        begun = os.times().elapsed
        wait_for(lambda: os.times().elapsed - begun > 2.5)
    finally:
        os.kill(brain, signal.SIGCONT)
    begun = os.times().elapsed
    wait_for(lambda: os.times().elapsed - begun > 0.5)
    found = crowd.service("beats")
    assert (crowd.pids("beats"), found.restarts, crowd.status().pid) == (pids, 0, brain)
    assert crowd.client.command("stop", "beats").ok


def test_a_storm_of_signals_loses_no_end(crowd: Project) -> None:
    """SIGCHLD coalesces: whatever came, the keeper looks for all that died."""
    assert crowd.client.command("start", "stands-the-storm").ok
    pids = crowd.pids("stands-the-storm")
    for number in range(20_000):
        os.kill(crowd.keeper, signal.SIGCHLD)
        if number == 10_000:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(set(crowd.pids("stands-the-storm")) - set(pids)) == 4)
    assert crowd.client.command("stop", "stands-the-storm").ok


# ── the state folder ──────────────────────────────────────────────────────────────────────────
SLEEPER = """
    [service.web]
    command = "sleep 600"
    ready.alive = "50ms"
    [service.off]
    command = "sleep 600"
    ready.alive = "50ms"
"""


@pytest.fixture
def killed(project: Callable[[str], Project]) -> Iterator[tuple[Project, int]]:
    """`off` was stopped by a person; then keeper and brain were killed, and `web` lives on."""
    p = project(SLEEPER).up()
    p.until("web", "running")
    assert p.client.command("stop", "off").ok
    run, pid = p.folder / ".chapiteau", p.pids("web")[0]
    wait_for(lambda: pid in _roll(run) and not _wants(run, "off"))
    brain = p.status().pid
    os.kill(brain, signal.SIGSTOP)  # or it would make another keeper
    for one in (p.keeper, brain):
        os.kill(one, signal.SIGKILL)
    wait_for(lambda: not alive(p.keeper) and not alive(brain))
    assert alive(pid)
    yield p, pid
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _roll(run: Path) -> list[int]:
    return [pid for pid, _ in json.loads((run / "processes.json").read_text())["processes"]]


def _wants(run: Path, name: str) -> bool:
    return bool(json.loads((run / "state.json").read_text())["services"][name]["on"])


def test_after_a_reboot_nobody_elses_process_is_touched(killed: tuple[Project, int]) -> None:
    """Another boot: pids and start times on disk mean other processes now. Wishes still hold."""
    p, pid = killed
    roll = p.folder / ".chapiteau/processes.json"
    roll.write_text(json.dumps({**json.loads(roll.read_text()), "boot": "another"}))
    _forget_cgroups(p)
    p.up()
    p.until("web", "running")
    assert p.service("off").state == "stopped"
    assert alive(pid)
    assert not p.events("supervisor.swept")


def test_a_pid_that_was_given_out_again_is_not_killed(killed: tuple[Project, int]) -> None:
    p, pid = killed
    roll = p.folder / ".chapiteau/processes.json"
    with subprocess.Popen(["sleep", "600"]) as other, contextlib.ExitStack() as afterwards:
        afterwards.callback(other.kill)
        noted = [[pid, 1], [other.pid, 12345], [os.getpid(), 1]]
        roll.write_text(json.dumps({**json.loads(roll.read_text()), "processes": noted}))
        _forget_cgroups(p)
        p.up()
        p.until("web", "running")
        assert not alive(pid), "its environment still says whose it is"
        assert other.poll() is None


def test_a_state_that_is_half_written_or_broken_is_as_none(
    project: Callable[[str], Project],
) -> None:
    p = project(SLEEPER)
    run = p.folder / ".chapiteau"
    (run / "log").mkdir(parents=True, mode=0o700)
    run.chmod(0o700)
    half, zeros = b'{"schema": 1, "servi', b"\0" * 4096
    names = ("state.json", "processes.json", "applied.json", "events.jsonl", "failure.json", "lock")
    for name, left in zip(names, (half, zeros, b"[]", zeros + half, half, half), strict=True):
        (run / name).write_bytes(left)
    p.up()
    p.until("web", "running")
    p.until("off", "running")
    assert p.events("supervisor.started")
    p.kill_brain()
    assert p.service("web").restarts == 0


def test_a_second_one_is_kept_out_though_the_folder_was_deleted(
    project: Callable[[str], Project],
) -> None:
    p = project(SLEEPER)
    p.up()
    p.until("web", "running")
    pids, brain = p.pids("web"), p.status().pid
    if p.status().cgroups != "v2":
        pytest.skip("no cgroups here, by which the running one is found at once")
    run = p.folder / ".chapiteau"
    shutil.rmtree(run)
    config = load_config(p.config)
    with pytest.raises(ChapiteauError, match="its folder was deleted"):
        start(config.path, config.spec, owner_pid=os.getpid())
    os.kill(brain, signal.SIGKILL)  # the next one makes the socket and the lock anew
    p.when(lambda: p.status().pid != brain)
    wait_for(lambda: (run / "lock").read_text() == f"{p.keeper}\n")
    with pytest.raises(AlreadyRunningError, match="a supervisor runs here already"):
        prepare_run_dir(run)
    assert p.pids("web") == pids


def _forget_cgroups(p: Project) -> None:
    """As a boot does: the old process is then known by nothing but its pid and start time."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            for group in Path(left.split()[4]).glob(f"**/chapiteau-*{p.folder.name}*/**/"):
                with contextlib.suppress(PermissionError):  # of another user's test
                    for pid in (group / "cgroup.procs").read_text().split():
                        (Path(left.split()[4]) / "cgroup.procs").write_text(pid)


@as_root
@pytest.mark.long
def test_a_state_folder_that_can_not_be_written_stops_nothing_that_runs(
    project: Callable[[str], Project],
) -> None:
    """Its disk is full, then read-only: everything goes on from memory, brains too."""
    p = project(SLEEPER)
    run = p.folder / ".chapiteau"
    run.mkdir(mode=0o700)
    if _mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", str(run)):
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        p.up()
        p.until("web", "running")
        full = run / "full"
        _fill(full)
        _stop_restart_and_kill_the_brain(p)
        full.unlink()
        assert p.client.command("start", "off").ok
        wait_for(lambda: _wants(run, "off"))
        assert not _mount("--bind", str(run), str(run))
        assert not _mount("-o", "remount,bind,ro", str(run))
        with pytest.raises(OSError, match="Read-only"):
            (run / "x").touch()
        [pid], old = p.pids("web"), p.status().pid
        assert p.client.command("stop", "off").ok
        os.kill(old, signal.SIGKILL)
        [new] = wait_for(lambda: [b for b in _brains(p) if b != old])
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: _sleeps_of(p) - {pid})  # it is looked after, though nobody can ask
        second = _sleeps_of(p)
        wait_for(lambda: state_of(p.keeper) == "S")  # and its brain has been told
        os.kill(p.keeper, signal.SIGKILL)
        assert not _mount("-o", "remount,bind,rw", str(run))
        p.when(lambda: p.status().keeper_pid != p.keeper)
        assert new != p.status().pid
        assert set(p.pids("web")) <= second, "the same processes, under another keeper"
        p.keeper = p.status().keeper_pid
        assert p.service("off").state == "stopped"
        assert p.client.command("start", "off").ok
        wait_for(lambda: _wants(run, "off"))
    finally:
        _mount("-o", "remount,bind,rw", str(run))
        try:
            p.down()
        finally:
            while not _unmount(run):
                pass


def _brains(p: Project) -> list[int]:
    return [pid for pid in _below(p.keeper) if b"run.supervisor" in _words(pid)]


def _sleeps_of(p: Project) -> set[int]:
    return {pid for pid in _below(p.keeper) if b"sleep" in _words(pid)}


def _below(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _words(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _mount(*words: str) -> int:
    return subprocess.run(["mount", *words], check=False, capture_output=True).returncode


def _unmount(path: Path) -> int:
    words = ["umount", "-l", str(path)]
    return subprocess.run(words, check=False, capture_output=True).returncode


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as stream:
        while True:
            stream.write(b"x" * 4096)


def _stop_restart_and_kill_the_brain(p: Project) -> None:
    assert p.client.command("stop", "off").ok
    before = p.pids("web")
    assert p.client.command("restart", "web").ok
    after = p.pids("web")
    assert after != before
    p.kill_brain()
    assert p.pids("web") == after
    assert p.service("off").state == "stopped"


# ── beginning and end ─────────────────────────────────────────────────────────────────────────
def test_sigterm_while_everything_starts_ends_everything(
    project: Callable[[str], Project],
) -> None:
    p = project("""
        [service.first]
        command = ["sh", "-c", "echo $$ >first; exec sleep 600"]
        ready.exec = "false"
        [service.second]
        command = ["sh", "-c", "echo $$ >second; exec sleep 600"]
        needs = ["first"]
    """).up()
    pid = int(wait_for((p.folder / "first").read_text))
    assert p.service("second").state == "waiting"
    os.kill(p.keeper, signal.SIGTERM)
    wait_for(lambda: not alive(p.keeper))
    assert not alive(pid)
    assert not (p.folder / "second").exists()


def test_a_brain_killed_in_the_middle_of_the_end_is_followed_by_one_that_ends_it(
    project: Callable[[str], Project],
) -> None:
    p = project("""
        [service.slow]
        command = ["sh", "-c", "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done"]
        ready.alive = "100ms"
    """).up()
    p.until("slow", "running")
    [pid] = p.pids("slow")
    brain = p.status().pid
    os.kill(p.keeper, signal.SIGTERM)
    wait_for(lambda: p.service("slow").state == "stopping")
    os.kill(brain, signal.SIGKILL)
    wait_for(lambda: not alive(p.keeper))
    assert not alive(pid)


def test_an_upgrade_to_what_can_not_begin_is_refused(project: Callable[[str], Project]) -> None:
    """Its state is of another version, and the file is being edited: who runs goes on."""
    p = project(SLEEPER).up()
    p.until("web", "running")
    before = p.status()
    wait_for((p.folder / ".chapiteau/applied.json").exists)
    (p.folder / ".chapiteau/applied.json").write_text('{"service": {"web": {"new": 1}}}')
    p.write(SLEEPER.replace("command", "comand"))
    outcome = p.client.upgrade()
    assert not outcome.ok
    assert "the installed version can't take over: " in outcome.error
    assert (p.status().pid, p.status().keeper_pid) == (before.pid, before.keeper_pid)
    p.write(SLEEPER)
    assert p.client.upgrade().ok
    p.when(lambda: p.status().pid != before.pid)


def test_a_new_brain_that_can_not_begin_ends_no_service(project: Callable[[str], Project]) -> None:
    """What ran is forgotten (a disk that was full), and the file is being edited: it waits."""
    p = project(SLEEPER).up()
    p.until("web", "running")
    [pid], old = p.pids("web"), p.status().pid
    applied = p.folder / ".chapiteau/applied.json"
    wait_for(applied.exists)
    applied.unlink()
    p.write(SLEEPER.replace("command", "comand"))
    os.kill(old, signal.SIGKILL)
    log = p.folder / ".chapiteau/supervisor.log"
    wait_for(lambda: log.read_text().count("this brain can't begin") > 1)
    assert alive(pid)
    p.write(SLEEPER)
    p.when(lambda: p.pids("web") == [pid])
