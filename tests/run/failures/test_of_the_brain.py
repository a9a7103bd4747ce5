"""A brain that crashes again and again: the next one is read-only, and services run on."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.run.project import Project

pytestmark = pytest.mark.slow  # four brains begin in a row
_LONG = 45.0  # seconds

SERVICES = """
    [service.web]
    command = "sleep 600"
    processes = 2
    restart = { delay = "10ms" }

    [service.talker]
    command = "sh -c 'while sleep 0.05; do echo word; done'"

    [service.idle]
    command = "sleep 600"
    autostart = false
"""
# A defect that a brain meets as soon as it acts, and after which it has less patience than usual.
DEFECT = """
import os, sys
if sys.argv[0] == "-m" and "CHAPITEAU_KEEPER_FD" in os.environ:
    import chapiteau.run.supervisor.supervisor as supervisor
    import chapiteau.run.supervisor.safe_mode as safe_mode
    if os.path.exists({flag!r}):
        async def broken(self, only):
            raise RuntimeError("a defect of ours")
        supervisor.Supervisor._switch_on = broken
    safe_mode._PATIENCE = {patience}
"""


@pytest.fixture
def defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Path]:
    """Brains from now on have it while the file is there; a brain that looks stays so long."""

    def prepare(patience: float) -> Path:
        flag = tmp_path / "broken"
        (tmp_path / "defect").mkdir()
        text = DEFECT.format(flag=str(flag), patience=patience)
        (tmp_path / "defect" / "sitecustomize.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "defect"))
        return flag

    return prepare


def is_read_only(p: Project) -> bool:
    return any("safe mode" in problem.what for problem in p.status().problems)


def test_brains_that_crash_are_followed_by_a_read_only_one(
    project: Callable[[str], Project], defect: Callable[[float], Path]
) -> None:
    flag = defect(600)
    p = project(SERVICES).up()
    p.until("web", "running")
    first, second = p.pids("web")
    flag.touch()
    os.kill(p.status().pid, signal.SIGSEGV)  # the first crash; the next brains have the defect
    p.when(lambda: is_read_only(p), _LONG, "a brain is read-only")
    [mode] = p.events("supervisor.safe_mode")
    assert "3 brains crashed within 60 s, the last one: exit code 1" in mode.text
    assert [e.text for e in p.events("supervisor.brain_died")] == [
        "signal 11", "exit code 1", "exit code 1",
    ]  # fmt: skip
    assert p.pids("web") == [first, second]
    # It starts nothing, restarts nothing, and says so; output goes on being written.
    outcome = p.client.command("start", "idle")
    assert (outcome.ok, outcome.exit_code) == (False, 4)
    assert "is read-only (safe mode)" in outcome.error
    os.kill(second, signal.SIGKILL)
    wait_for(lambda: p.pids("web") == [first])
    assert "ended (killed by SIGKILL) in safe mode" in p.service("web").reason
    log = p.folder / ".chapiteau/log/talker/1.stdout.log"
    size = log.stat().st_size
    wait_for(lambda: log.stat().st_size > size)
    # Mended: the end is judged as ever, and nothing else has happened.
    flag.unlink()
    assert p.client.upgrade().ok
    p.when(lambda: len(p.pids("web")) == 2 and not is_read_only(p))
    assert first in p.pids("web")
    [end] = [e for e in p.events("process.exited", "web") if e.pid == second]
    assert end.data["signal"] == signal.SIGKILL


@pytest.mark.long
def test_a_read_only_brain_is_followed_by_one_that_acts(
    project: Callable[[str], Project], defect: Callable[[float], Path]
) -> None:
    """After its time; and everything can be ended before that."""
    flag = defect(0.5)
    p = project(SERVICES).up()
    p.until("web", "running")
    pids = p.pids("web")
    flag.touch()
    os.kill(p.status().pid, signal.SIGSEGV)
    p.when(lambda: p.events("supervisor.safe_mode"), _LONG, "a brain is read-only")
    flag.unlink()
    p.when(
        lambda: p.events("supervisor.started")[-1].seq > p.events("supervisor.safe_mode")[-1].seq
    )
    assert p.client.command("start", "idle").ok
    assert p.pids("web") == pids


@pytest.mark.long
def test_a_brain_that_only_looks_ends_everything_when_asked(
    project: Callable[[str], Project], defect: Callable[[float], Path]
) -> None:
    flag = defect(600)
    p = project(SERVICES).up()
    p.until("web", "running")
    first, second = p.pids("web")
    flag.touch()
    os.kill(p.status().pid, signal.SIGSEGV)
    p.when(lambda: is_read_only(p), _LONG, "a brain is read-only")
    os.kill(first, signal.SIGKILL)
    p.client.shutdown()
    wait_for(lambda: not alive(p.keeper))
    assert not alive(second)


def test_what_a_brain_died_over_is_gone_on_with_and_nothing_is_done_twice(
    project: Callable[[str], Project],
) -> None:
    p = project("""
        [service.slow]
        command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"]
        stop_timeout = "800ms"
        ready.log = "up"
        hooks.after_stop = "touch stopped"
        [service.many]
        command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"]
        stop_timeout = "800ms"
        ready.log = "up"
        processes = 2
        [service.again]
        command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"]
        stop_timeout = "800ms"
        ready.log = "up"
        [service.crashes]
        command = "sh -c 'echo x >>crashes; exit 1'"
        restart = { delay = "1h", max_delay = "1h" }
        [service.migrate]
        command = "sh -c 'echo x >>migrate; exit 1'"
        one_shot = true
        [service.is-done]
        command = "sh -c 'echo x >>is-done'"
        restart.policy = "on-failure"
        [service.other]
        command = "sleep 600"
        ready.alive = "20ms"
    """)
    p.up()
    p.until("slow", "running")
    p.until("many", "running")
    p.client.command("stop", "slow", wait=False)
    p.client.command("scale", "many", processes=1, wait=False)
    [old] = p.until("again", "running").processes
    p.client.command("restart", "again", wait=False)
    p.until("slow", "stopping")
    p.until("crashes", "backoff")
    p.until("migrate", "failed")
    p.until("is-done", "completed")
    wait_for(lambda: p.events("process.stopping", "again"))
    wait_for(lambda: p.events("process.stopping", "many") and p.events("process.stopping", "slow"))
    p.kill_brain()
    p.when(lambda: p.service("slow").state == "stopped")
    assert (p.folder / "stopped").exists()
    p.until("other", "running")
    p.when(lambda: len(p.pids("many")) == 1)
    p.when(lambda: p.pids("again") not in ([], [old.pid]) and not alive(old.pid))
    # A wait, a failure and a success are not forgotten: nothing of it is tried again.
    states = {one.name: one.state for one in p.status().services}
    expected = {"crashes": "backoff", "migrate": "failed", "is-done": "completed"}
    assert states == states | expected
    assert "exit 1" in p.service("crashes").reason
    ran = {name: (p.folder / name).read_text().count("x") for name in ("migrate", "is-done")}
    assert (ran, (p.folder / "crashes").read_text().count("x")) == ({"migrate": 1, "is-done": 1}, 2)
