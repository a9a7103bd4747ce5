"""A generator that runs out of something says so, ends in time, and blames no service."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chapiteau.load.testing import Target

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_users_without_descriptors_end_with_their_time(tmp_path: Path) -> None:
    """Each of them fails at once and tries again: the load process must stay in hand."""
    with Target("queue", mean=0.02, servers=100, fixed=True) as target:
        command = [sys.executable, "-m", "chapiteau", "load", "run", target.url, "--users", "80"]
        more = ["-d", "2s", "--objective", "errors < 1%", "--no-store", "--quiet", "--json"]
        done = subprocess.run(
            ["/bin/sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *command, *more],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    assert done.returncode == 10, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"]["word"] == "generator-limited"
    assert "out of ports or descriptors" in found["verdict"]["line"]
    assert any("generator out of descriptors" in one["what"] for one in found["failures"])
    assert not found["soundness"]["sound"]
