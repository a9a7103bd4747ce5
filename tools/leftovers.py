"""Looks for what a supervised project left behind: processes, listeners, mounts, cgroups."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from chapiteau.io.clock import SystemClock

__all__ = ["Leftovers"]

CGROUPS: Final = Path("/sys/fs/cgroup")
PATIENCE: Final = 5.0  # seconds that the kernel may take to forget a process or a cgroup


class Leftovers:
    """Made before the project starts; `left` then tells what is there only since."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = SystemClock()
        self._before = self._seen()

    def left(self, port: int) -> list[str]:
        """What is still there after a moment of patience, and who listens on the port."""
        end = self._clock.now() + PATIENCE
        while True:
            found = sorted(self._seen() - self._before) + _listener(port)
            if not found or self._clock.now() >= end:
                return found
            self._clock.sleep(0.1)

    def _seen(self) -> set[str]:
        return {*self._processes(), *self._mounts(), *self._cgroups()}

    def _processes(self) -> set[str]:
        """Every process, of ours or not, whose folder or command is inside the project."""
        found = set()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                inside = (entry / "cwd").resolve().is_relative_to(self._folder)
                words = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                named = str(self._folder) in words
            except OSError:
                continue  # it has ended, or is somebody else's
            if inside or (named and int(entry.name) != os.getppid() and "demo.py" not in words):
                found.add(f"process {entry.name}: {words[:80].strip()}")
        return found

    def _mounts(self) -> set[str]:
        lines = Path("/proc/self/mounts").read_text().splitlines()
        ours = (str(self._folder), "chapiteau")
        return {f"mount {line.split()[1]}" for line in lines if any(o in line for o in ours)}

    def _cgroups(self) -> set[str]:
        if not (CGROUPS / "cgroup.controllers").exists():
            return set()
        return {f"cgroup {path}" for path in CGROUPS.rglob("*chapiteau*") if path.is_dir()}


def _listener(port: int) -> list[str]:
    with socket.socket() as probe:
        probe.settimeout(1)
        there = port and probe.connect_ex(("127.0.0.1", port)) == 0
    return [f"somebody listens on port {port}"] if there else []
