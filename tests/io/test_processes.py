"""Whether a process lives."""

import os
import subprocess

import pytest

from chapiteau.io.files import is_alive
from tests.support import wait_for


def test_we_live_and_so_does_the_first_process_whoever_asks() -> None:
    assert is_alive(os.getpid())
    assert is_alive(1)


@pytest.mark.parametrize("pid", [0, -1, 4194303 + 1])
def test_nobody_has_these_numbers(pid: int) -> None:
    assert not is_alive(pid)


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen(["/bin/true"])
    wait_for(lambda: not is_alive(child.pid), what="it has ended, and nobody has asked how")
    assert child.wait() == 0
    assert not is_alive(child.pid)
