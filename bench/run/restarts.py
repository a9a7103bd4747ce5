"""Ten thousand restarts: no descriptor and no memory stays behind.

    python bench/run/restarts.py [--restarts 10000] [--n 50]

Budget: 0 descriptors, and less than 1 MiB of memory (private, keeper and brain together) more
than after 7,500 restarts before them, when what is bounded (the last 10,000 events) is full.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from compare import child_program
from peers import Chapiteau

PATIENCE = 300.0  # seconds for all


class Endless(Chapiteau):
    """Restarts without delay and without end."""

    def configure(self) -> None:
        super().configure()
        path = Path(self.config)
        often = 'delay = "0s", max_delay = "0s", attempts = 1000000, window = "1s"'
        rule = f'ready.alive = "1ms"\nrestart = {{{often}}}'
        path.write_text(path.read_text().replace('ready.alive = "1ms"', rule))


def held(peer: Chapiteau) -> tuple[int, float]:
    """(descriptors, MiB of private memory) of keeper and brain."""
    files = memory = 0
    for pid in peer.pids():
        files += len(os.listdir(f"/proc/{pid}/fd"))
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Private_"):
                memory += int(line.split()[1])
    return files, memory / 1024


class Killer:
    """Kills the newest process of every service again and again; reads its file as it grows."""

    def __init__(self, stamps: Path, names: int) -> None:
        self.stamps, self.names = stamps, names
        self.begun = self.at = 0
        self.alive: dict[str, int] = {}

    def look(self) -> None:
        """Who has begun since the last look."""
        if not self.stamps.exists():
            return
        with self.stamps.open() as stream:
            stream.seek(self.at)
            text = stream.read()
        whole = text[: text.rfind("\n") + 1]
        self.at += len(whole)
        for name, _, pid in map(str.split, whole.splitlines()):
            self.begun += 1
            self.alive[name] = int(pid)

    def until(self, restarts: int) -> None:
        """Kill until so many have begun beside the first ones; then wait until all run."""
        while self.begun < self.names + restarts:
            self.look()
            for name in tuple(self.alive):
                os.kill(self.alive.pop(name), signal.SIGKILL)
            time.sleep(0.002)
        while len(self.alive) < self.names:
            time.sleep(0.02)
            self.look()
        time.sleep(2)  # what is done a little later


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--restarts", type=int, default=10_000)
    parser.add_argument("--before", type=int, default=7_500, help="restarts before the first look")
    parser.add_argument("--n", type=int, default=50)
    given = parser.parse_args()
    child = child_program()
    folder = Path(tempfile.mkdtemp(prefix="bench-restarts-", dir="/dev/shm"))
    stamps = folder / "stamps"
    commands = {f"s{i}": [child, "stamp", str(stamps), f"s{i}"] for i in range(given.n)}
    killer = Killer(stamps, given.n)
    peer = Endless(folder / "life", commands)
    peer.start()
    signal.alarm(int(PATIENCE))
    try:
        killer.until(given.before)
        files, memory = held(peer)
        killer.until(given.before + given.restarts)
        more_files, more_memory = held(peer)
    finally:
        peer.end()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(Path(child).parent, ignore_errors=True)
    print(f"{given.restarts} restarts: {more_files - files:+d} descriptors ({more_files}), "
          f"{more_memory - memory:+.2f} MiB ({more_memory:.1f})")  # fmt: skip
    return 0 if more_files <= files and more_memory - memory < 1 else 8


if __name__ == "__main__":
    sys.exit(main())
