"""What processes use: read from files of /proc that may stay open, over the whole tree."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from chapiteau.io.clock import SystemClock
from chapiteau.run.system.usage import Meter, ProcFiles, fds_of
from tests.support import wait_for

_BUSY = "sum(range(3_000_000)); print('done', flush=True); input()"
_PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_BUSY!r}])"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    made = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    yield made
    if made.poll() is None:
        made.communicate(b"\n", timeout=60)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("keep", [True, False])
def test_a_process_counts_with_all_below_it_and_its_end_is_seen(
    process: subprocess.Popen[bytes], *, keep: bool
) -> None:
    before, meter = open_files(), Meter(SystemClock(), keep=keep)
    assert process.stdout is not None
    assert process.stdout.readline() == b"done\n"
    alone, whole = (meter.look(process.pid, 1.0, alone=alone) for alone in (True, False))
    assert whole.cpu_seconds > alone.cpu_seconds
    assert whole.rss_bytes > alone.rss_bytes
    assert whole.threads == alone.threads + 1
    assert (open_files() > before) == keep
    process.communicate(b"\n", timeout=60)
    wait_for(lambda: meter.look(process.pid, 1.0).threads == 0)
    meter.forget(set())
    assert open_files() <= before


def test_a_kept_file_is_of_that_very_process_and_none_is_kept_beyond_the_limit() -> None:
    files = ProcFiles(keep=True)
    files._most = 1
    before = open_files()
    assert files.read(os.getpid(), "stat").startswith(str(os.getpid()).encode())
    assert files.read(os.getpid(), "comm") == files.read(os.getpid(), "comm") != b""
    assert open_files() == before + 1
    child = subprocess.Popen(["sleep", "60"])
    files._most = 2
    assert files.read(child.pid, "stat").startswith(str(child.pid).encode())
    child.kill()
    child.wait()
    assert files.read(child.pid, "stat") == b""
    files.forget({os.getpid()})
    assert open_files() == before + 1
    files.close()
    assert open_files() == before


def test_descriptors_are_counted(process: subprocess.Popen[bytes]) -> None:
    assert fds_of(process.pid) >= 3
    assert fds_of(os.getpid()) >= open_files() - 1
    assert fds_of(2**22 + 1) == 0
