"""Folders of relays: the next one takes away what a killed one had to leave, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from chapiteau.load.cluster.shipping import LockedFolder

KILLED = """
import os, signal, sys
from chapiteau.load.cluster.shipping import LockedFolder
(LockedFolder().path / "scenario").mkdir()
os.kill(os.getpid(), signal.SIGKILL)
"""


def aged(path: Path) -> Path:
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return path


def test_what_a_killed_owner_left_is_taken_away_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False)
    (left,) = tmp_path.iterdir()

    first = LockedFolder()
    assert left.is_dir()  # it is new: its owner might just be about to lock it
    aged(left)
    aged(first.path)
    (tmp_path / "precious").mkdir()
    (tmp_path / "chapiteau-relay-link").symlink_to(tmp_path / "precious")
    (tmp_path / "chapiteau-relay-file").touch()
    aged(tmp_path / "chapiteau-relay-file")
    aged(tmp_path / "precious")
    second = LockedFolder()

    assert {path.name for path in tmp_path.iterdir()} == {
        "precious", "chapiteau-relay-link", "chapiteau-relay-file",
        first.path.name, second.path.name,
    }  # fmt: skip
    assert first.path.stat().st_mode & 0o777 == 0o700
    for folder in (first, second):
        folder.remove()
        assert not folder.path.exists()
