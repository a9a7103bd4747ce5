"""A process that waits in its cgroup becomes the next one that is started, or is done without."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chapiteau.run.keeper.syscalls import start_time
from chapiteau.run.system.cgroups import Cgroups, find_cgroups
from tests.run.keeper.test_keeper import FOLDER, Keeper, keeper
from tests.support import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
__all__ = ["keeper"]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled way needs none."""
    monkeypatch.setenv("CHAPITEAU_KEEPER", "plain")


@pytest.fixture
def group(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder of ours in the v2 tree."""
    cgroups = find_cgroups(f"spare-{os.getpid()}")
    if cgroups.root is None:
        pytest.skip(cgroups.why_not)
    made = cgroups.make_spare("next")
    assert made is not None
    yield made
    cgroups.kill(made)
    wait_for(lambda: removed(made.parent))


def removed(root: Path) -> bool:
    """A folder counts as in use until the last that was in it is really gone."""
    Cgroups(root, None).remove_all()
    return not root.exists()


def waiting(made: Keeper, group: Path) -> int:
    """Let a spare wait there; its pid."""
    made.ask("spare", cgroup=str(group))
    [pid] = wait_for(lambda: pids_in(group))
    wait_for(lambda: Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"chapiteau-spare"))
    return pid


def pids_in(group: Path) -> list[int]:
    return [int(line) for line in (group / "cgroup.procs").read_text().split()]


def test_it_becomes_the_program_with_all_that_was_asked_for(
    keeper: Keeper, group: Path, tmp_path: Path
) -> None:
    pid = waiting(keeper, group)
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2", "200"], "nothing of the keeper"
    script = 'umask; pwd; echo "$A $(ulimit -n)"; exec sleep 60'
    given = {"A": "b", "PATH": os.environ["PATH"]}
    answer = keeper.spawn(
        "a", "/bin/sh", "-c", f"exec > {tmp_path}/said; {script}", env=given, cwd="/usr",
        umask=0o027, nofile=99, cgroups=[str(group)], pipes=["err"],
    )  # fmt: skip
    assert (answer["pid"], answer["start"]) == (pid, start_time(pid))
    assert os.getsid(pid) == pid
    assert pid in pids_in(group)
    said = wait_for(lambda: lines if len(lines := read(tmp_path / "said")) == 3 else [])
    assert said == ["0027", "/usr", "b 99"]
    wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    assert keeper.ask("hello")["spare"] == ""
    os.kill(pid, signal.SIGKILL)
    assert keeper.exit_of("a")["signal"] == signal.SIGKILL


def read(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_what_it_could_not_become_comes_back_as_the_error_that_it_is(
    keeper: Keeper, group: Path
) -> None:
    place = {"cgroups": [str(group)]}
    pid = waiting(keeper, group)
    answer = keeper.spawn("a", "/no/such/program", **place)
    assert (answer["stage"], answer["errno"]) == ("exec", 2)
    assert not alive(pid)
    waiting(keeper, group)
    assert keeper.spawn("a", "/bin/true", cwd="/no/such/folder", **place)["stage"] == "cwd"
    assert keeper.spawn("a", "/bin/sleep", "60", **place)["pid"]


def test_one_that_was_killed_is_done_without(keeper: Keeper, group: Path) -> None:
    place = {"cgroups": [str(group)]}
    first = waiting(keeper, group)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not alive(first))
    started = keeper.spawn("a", "/bin/sleep", "60", **place)["pid"]
    assert started != first
    assert pids_in(group) == [started]


@pytest.mark.long
def test_one_that_is_held_is_killed_before_another_is_started(keeper: Keeper, group: Path) -> None:
    held = waiting(keeper, group)
    os.kill(held, signal.SIGSTOP)
    started = keeper.spawn("a", "/bin/sleep", "60", cgroups=[str(group)])["pid"]
    wait_for(lambda: pids_in(group) == [started])


def test_it_waits_in_one_place_at_a_time_and_ends_with_its_keeper(
    keeper: Keeper, group: Path
) -> None:
    first = waiting(keeper, group)
    assert keeper.ask("hello")["spare"] == str(group)
    keeper.ask("spare", cgroup="")
    wait_for(lambda: not alive(first))
    second = waiting(keeper, group)
    keeper.ask("upgrade", python=sys.executable, folder=str(FOLDER))
    wait_for(lambda: not alive(second))
    third = waiting(keeper, group)
    keeper.process.kill()
    wait_for(lambda: not alive(third))


def test_the_first_of_a_row_is_in_its_cgroup_and_the_keeper_is_at_home(
    keeper: Keeper, group: Path
) -> None:
    """The keeper steps into the group for it, and out again: what ends the group must spare it."""
    home = group.parent.parent
    keeper.ask("row")
    pid = keeper.spawn(
        "a", "/bin/sleep", "60", cgroups=[str(group)], home_cgroups=[str(home)]
    )["pid"]  # fmt: skip
    assert pids_in(group) == [pid]
    assert keeper.process.pid in pids_in(home)
