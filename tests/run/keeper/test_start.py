"""Each way to start a process gives the same process, or the same error."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.run import keeper
from chapiteau.run.keeper.start import ProcessStarter, compiled_birth
from chapiteau.run.keeper.syscalls import own_children, start_time
from chapiteau.run.system.cgroups import Cgroups, find_cgroups
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

NOHUP = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
HERE = {"argv": ["/bin/true"], "env": {"PATH": os.environ["PATH"]}, "cwd": "/"}
SAYS = """
import os, resource, signal, sys
said = open(sys.argv[1], "w")
fds = sorted(int(n) for n in os.listdir("/proc/self/fd"))
print(os.getcwd(), oct(os.umask(0)), os.getsid(0) == os.getpid(), file=said)
print(resource.getrlimit(resource.RLIMIT_NOFILE), file=said)
print([n for n in fds if os.path.exists(f"/proc/self/fd/{n}") and n != said.fileno()], file=said)
print(open("/proc/self/cgroup").read().rpartition("/")[2].strip(), file=said)
print(sorted(os.environ.items()), file=said)
words = dict(line.split(":", 1) for line in open("/proc/self/status"))
print({k: int(words[k], 16) & ((1 << 31) - 1) for k in ("SigIgn", "SigBlk", "SigCgt")}, file=said)
said.close()
os.rename(sys.argv[1], sys.argv[1] + ".whole")
"""


@pytest.fixture(params=["compiled", "plain"])
def starter(request: pytest.FixtureRequest) -> ProcessStarter:
    made = ProcessStarter()
    if request.param == "plain":
        made.birth = None
    elif compiled_birth() is None:
        pytest.skip("_birth was not compiled here")
    return made


@pytest.fixture
def group(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A cgroup of ours, as a message names it; {} where there is none, then the rest is tried."""
    cgroups = find_cgroups(f"starting-{os.getpid()}")
    made = cgroups.make("a", "one")
    yield {"cgroup": str(made), "home_cgroup": str(cgroups.home)} if made else {}
    if made is not None:
        wait_for(lambda: removed(made))


def removed(group: Path) -> bool:
    """A folder counts as in use until the last that was in it is really gone."""
    Cgroups(group.parent, None).remove_all()
    return not group.exists()


def inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:  # the one that listed the folder
        return False


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_it_has_all_that_was_asked_for_and_nothing_else(
    starter: ProcessStarter, group: dict[str, str], tmp_path: Path
) -> None:
    careless = {fd for fd in map(int, os.listdir("/proc/self/fd")) if inheritable(fd)}
    out, into = os.pipe()
    socket, _keep = os.pipe()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    message: dict[str, Any] = {
        "argv": [sys.executable, "-I", "-S", "-c", SAYS, str(tmp_path / "said")],
        "env": {"A": "b", "Ü": "ä\udc80 = x"}, "cwd": "/usr", "umask": 0o027, "nofile": 99,
        **group,
    }  # fmt: skip
    # Each target is the source of another: what is put where must not be overwritten first.
    os.dup2(into, 150, inheritable=False)
    os.dup2(socket, 151, inheritable=False)
    moves = [(150, 1), (into, 2), (socket, 3), (151, 4)]
    # What was ignored where the keeper was started, by nohup say, is not in what it starts.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in NOHUP}
    try:
        pid, start = starter.start(message, moves)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert start in (start_time(pid), start_time(pid) - 1)
    for fd in (out, into, socket, _keep, 150, 151):
        os.close(fd)
    assert ended(pid) == 0
    where, files, fds, cgroup, env, signals = (tmp_path / "said.whole").read_text().splitlines()
    assert where == "/usr 0o27 True"
    assert files == f"(99, {hard})"
    assert {0, 1, 2, 3, 4} <= set(json.loads(fds)) <= {0, 1, 2, 3, 4} | careless
    if group:
        assert cgroup == Path(group["cgroup"]).name
    assert env == str(sorted({"A": "b", "Ü": "ä\udc80 = x", "LC_CTYPE": "C.UTF-8"}.items()))
    # Python itself ignores PIPE and XFSZ when it starts, and catches INT.
    ignored = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    caught = 1 << (signal.SIGINT - 1)
    assert signals == str({"SigIgn": ignored, "SigBlk": 0, "SigCgt": caught})


@pytest.mark.parametrize(
    ("changed", "stage", "error"),
    [
        ({"argv": ["/no/such/program"]}, "exec", FileNotFoundError),
        ({"argv": ["/proc/version"]}, "exec", PermissionError),
        ({"argv": ["/"]}, "exec", PermissionError),
        ({"cwd": "/no/such/folder"}, "cwd", FileNotFoundError),
        ({"cwd": "/proc/version"}, "cwd", NotADirectoryError),
        ({"argv": ["/bin/true", "x" * (1 << 18)]}, "exec", OSError),
    ],
)
def test_what_can_not_be_started_comes_back_as_the_error_that_it_is(
    starter: ProcessStarter,
    group: dict[str, str],
    changed: dict[str, Any],
    stage: str,
    error: type[OSError],
) -> None:
    before, children = os.listdir("/proc/self/fd"), own_children()
    with pytest.raises(error):
        starter.start({**HERE, **group, **changed}, [(1, 1)])
    assert starter.stage == stage
    assert os.listdir("/proc/self/fd") == before
    assert own_children() == children


@pytest.mark.parametrize(
    "changed",
    [
        {"argv": []},
        {"argv": ["/bin/true", "a\0b"]},
        {"argv": ["/bin/true", 1]},
        {"env": {"A": "b\0"}},
        {"env": {"A": None}},
        {"cwd": "/a\0b"},
    ],
)
def test_what_is_no_order_at_all_is_refused_and_leaves_nothing(
    starter: ProcessStarter, changed: dict[str, Any]
) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises((ValueError, TypeError, LookupError)):
        starter.start({**HERE, **changed}, [(1, 1)])
    assert os.listdir("/proc/self/fd") == before


def test_a_closed_descriptor_is_told(starter: ProcessStarter) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        starter.start(dict(HERE), [(9_999, 1)])


def test_a_cgroup_that_is_not_there_is_told(starter: ProcessStarter) -> None:
    with pytest.raises(FileNotFoundError):
        starter.start({**HERE, "cgroup": "/sys/fs/cgroup/no-such-group"}, [])
    assert ended(starter.start(dict(HERE), [])[0]) == 0


def test_a_kernel_that_forbids_the_quick_way_is_asked_once_only() -> None:
    """Docker's filter of system calls says ENOSYS to clone3."""
    starter, asked = ProcessStarter(), []

    def refused(*_: object) -> tuple[int, int, int]:
        asked.append(1)
        return 0, 38, 0

    starter.birth = refused
    for _ in range(2):
        assert ended(starter.start(dict(HERE), [])[0]) == 0
    assert asked == [1]


@pytest.mark.parametrize(
    ("number", "stage"), [(errno.EAGAIN, "exec"), (errno.ENOMEM, "exec"), (errno.EBUSY, "cgroup")]
)
def test_a_birth_that_fails_says_what_was_in_the_way(number: int, stage: str) -> None:
    starter = ProcessStarter()
    starter.birth = lambda *_: (0, number, 0)
    with pytest.raises(OSError, match=re.escape(os.strerror(number))):
        starter.start({**HERE, "cgroup": "/"}, [])
    assert starter.stage == stage


def test_short_turns_are_the_keeper_s_own(tmp_path: Path) -> None:
    """In a process of its own: the scheduler's word for this one would stay."""
    if compiled_birth() is None:
        pytest.skip("_birth was not compiled here")
    said = tmp_path / "said"
    tell = f"import ctypes; {TURNS}; open({str(said)!r}, 'w').write(str(turns()))"
    script = f"""
import ctypes, os, sys
sys.path.insert(0, {str(Path(keeper.__file__).parent.parent)!r})
from keeper.start import ProcessStarter
{TURNS}
before = turns()
starter = ProcessStarter()
starter.shorten_slices()
ours = turns()
message = {{"argv": [sys.executable, "-c", {tell!r}], "env": dict(os.environ)}}
os.waitpid(starter.start(message, [])[0], 0)
starter.shorten_slices(on=False)
print(before, ours, open({str(said)!r}).read(), turns())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    before, ours, child, after = map(int, done.stdout.split())
    assert child == after == before
    assert ours in (100_000, before), "kernels before 6.12 know no such turns"


TURNS = (
    "turns = lambda: (b := ctypes.create_string_buffer(48), "
    "ctypes.CDLL(None).syscall(ctypes.c_long(NUMBER), 0, b, 48, 0), "
    "int.from_bytes(b.raw[24:32], 'little'))[2]"
).replace("NUMBER", "315" if platform.machine() == "x86_64" else "275")  # sched_getattr(2)


def test_the_keeper_says_whether_it_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """And CHAPITEAU_KEEPER=plain makes it plain."""
    import importlib

    import chapiteau.run.keeper.start as module

    monkeypatch.setenv("CHAPITEAU_KEEPER", "plain")
    try:
        assert importlib.reload(module).ProcessStarter().birth is None
    finally:
        monkeypatch.undo()
        importlib.reload(module)
