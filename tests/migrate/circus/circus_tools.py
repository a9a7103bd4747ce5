"""The real Circus 0.19, in an environment of its own that is made once and kept."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from chapiteau.io.files import lock_file
from tests.support import wait_for

__all__ = ["circus_bin"]

_WANTED = "circus==0.19.0"


def circus_bin() -> Path:
    """The folder with circusctl and the others; skips when it can't be installed."""
    folder = Path(tempfile.gettempdir()) / f"chapiteau-tests-{os.getuid()}" / "circus-0.19.0"
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    done = folder / "installed"
    with lock_file(folder.with_suffix(".lock")) as ours:
        if not done.exists() and ours:
            _install(folder)
            done.touch()
    try:
        wait_for(done.exists)  # another worker of this test run is installing it
    except AssertionError:
        pytest.skip(f"another test run is just installing {_WANTED}")
    return folder / "bin"


def _install(folder: Path) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--retries", "1", _WANTED]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], pip):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=150)
        except (subprocess.SubprocessError, OSError) as exc:
            why = (getattr(exc, "stderr", "") or str(exc)).strip().splitlines()[-1:]
            pytest.skip(f"{_WANTED} can't be installed here: {why}")
