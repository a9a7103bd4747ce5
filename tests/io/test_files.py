"""Files are whole or not there; locks die with their holder."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chapiteau.io.files import lock_file, write_atomic


def test_a_written_file_has_the_content_and_the_rights(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.json"
    write_atomic(path, b"one", mode=0o600)
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o777 == 0o600
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["state.json"]


def test_large_content_is_written_whole(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    write_atomic(tmp_path / "big", data)
    assert (tmp_path / "big").read_bytes() == data


@pytest.mark.parametrize("stop", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    path = tmp_path / "state"
    write_atomic(path, b"old")

    def fail(_handle: int) -> None:
        raise stop

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(stop)):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state"]


def test_a_folder_in_the_way_is_an_error_and_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "state", b"new")
    assert os.listdir(tmp_path) == ["state"]


HOLD = """
import sys, pathlib
from chapiteau.io.files import lock_file
with lock_file(pathlib.Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""


def test_a_lock_belongs_to_one_and_dies_with_it(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert path.read_text() == f"{holder.pid}\n"
        with lock_file(path) as mine:
            assert not mine
        holder.kill()
        holder.wait(60)
        with lock_file(path) as mine:
            assert mine
            assert path.read_text() == f"{os.getpid()}\n"
    finally:
        holder.kill()
        holder.communicate(timeout=60)


_CALLS = ("open", "write", "fsync", "close", "replace")


@pytest.mark.parametrize("call", range(1, 10))
def test_a_kill_at_any_call_leaves_the_old_file_or_the_new_one(tmp_path: Path, call: int) -> None:
    path = tmp_path / "state"
    write_atomic(path, b"old")
    pid = os.fork()
    if pid == 0:
        _kill_at(call)
        write_atomic(path, b"new" * 100_000)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status)
    assert killed == (call < 9), "one write goes through open, write, fsync, close … in eight calls"
    assert path.read_bytes() in ((b"old", b"new" * 100_000) if killed else (b"new" * 100_000,))


def _kill_at(call: int) -> None:
    """SIGKILL ourselves instead of the call-th call of the operating system."""
    left = [call]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return wrapped

    for name in _CALLS:
        setattr(os, name, counted(getattr(os, name)))
