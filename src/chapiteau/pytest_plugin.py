"""Fixtures for the tests of projects that use Chapiteau; pytest finds them by itself.

Nothing of Chapiteau is imported before a test asks for a fixture.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chapiteau.core.clock import ManualClock
    from chapiteau.run.api.client import Client

__all__ = ["Supervised", "chapiteau_up", "manual_clock"]


class Supervised:
    """A project that runs under its own supervisor: `client` steers it, `url` finds its sockets."""

    def __init__(self, folder: Path, client: Client) -> None:
        self.folder = folder
        self.client = client

    def url(self, socket: str, path: str = "/") -> str:
        """Where the socket with this name listens. Raises KeyError when there is none."""
        addresses = {s.name: s.address for s in self.client.status().sockets}
        return f"http://{addresses[socket]}{path}"

    def logs(self) -> str:
        """What the services have printed so far."""
        done = _chapiteau(self.folder, "logs", "--last", "1000")
        return done.stdout


@pytest.fixture
def chapiteau_up(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str | Path], Supervised]]:
    """Start a chapiteau.toml (its text, its path or its folder) and wait until all is ready.

    Everything is stopped when the test ends. A text gets a new folder; a path is used where it is.
    """
    started: list[Path] = []

    def start(config: str | Path, timeout: str = "30s") -> Supervised:
        folder = _folder(config, tmp_path_factory)
        started.append(folder)
        done = _chapiteau(folder, "up", "--detach", "--timeout", timeout)
        if done.returncode:
            pytest.fail(f"chapiteau up ended with {done.returncode}:\n{done.stderr}", pytrace=False)
        from chapiteau.run.api.client import Client

        return Supervised(folder, Client.find(folder))

    try:
        yield start
    finally:
        for folder in reversed(started):
            _chapiteau(folder, "down", "--timeout", "30s")


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that moves only when the test says so."""
    from chapiteau.core.clock import ManualClock

    return ManualClock()


def _folder(config: str | Path, factory: pytest.TempPathFactory) -> Path:
    if isinstance(config, Path):
        return config if config.is_dir() else config.parent
    folder = factory.mktemp("chapiteau")
    (folder / "chapiteau.toml").write_text(config, encoding="utf-8")
    return folder


def _chapiteau(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chapiteau", *args],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
