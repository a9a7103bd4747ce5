"""A supervised service at several sizes, with a real supervisor: its size is put back."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chapiteau.load.testing import Target
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from chapiteau.pytest_plugin import Supervised

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("presses", [1, 2])
def test_the_service_gets_its_size_back_on_ctrl_c(
    chapiteau_up: Callable[[str], Supervised], presses: int
) -> None:
    """Once: the search ends in order, and no further size is tried. Twice: it ends at once."""
    running = chapiteau_up('[service.web]\ncommand = "sleep 1000"\nprocesses = 3\n')

    def size() -> int:
        (service,) = running.client.status().services
        return service.wanted

    with Target("queue", mean=0.001) as target:
        command = [sys.executable, "-m", "chapiteau", "load", "capacity", target.url, "--vary"]
        search = subprocess.Popen(
            [*command, "web=1,2", "--objective", "p99 < 1s"],
            cwd=running.folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert search.stderr is not None
        said = []
        for line in search.stderr:
            said.append(line)
            if "probe" in line:
                break
        assert size() == 1
        for _ in range(presses):
            search.send_signal(signal.SIGINT)
        out, rest = search.communicate(timeout=60)

    assert search.returncode == 130
    wait_for(lambda: size() == 3)
    assert "2 processes" not in "".join(said) + rest
    if presses == 1:
        assert "back at 3 processes" in rest
        assert "stopped before the end" in out
