"""Ten thousand restarts: no descriptor and no memory stays behind.

    python bench/run/restarts.py [--restarts 10000] [--n 50]

Budget: 0 descriptors, and less than 1 MiB of memory (private, keeper and brain together) more
than after the first quarter, which is when the last 10,000 events are in memory.
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
        rule = 'ready.alive = "1ms"\nrestart = {delay = "0s", max_delay = "0s", attempts = 1000000}'
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


def kill_until(stamps: Path, wanted: int, names: int) -> None:
    """Kill the newest process of every service again and again until so many have begun."""
    dead: set[int] = set()
    while True:
        rows = [line.split() for line in stamps.read_text().splitlines()]
        if len(rows) >= wanted:
            break
        for pid in {name: int(pid) for name, _, pid in rows}.values():
            if pid not in dead:
                dead.add(pid)
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    settle(stamps, names, dead)


def settle(stamps: Path, names: int, dead: set[int]) -> None:
    """Until every service runs again, and what is done a little later is done."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        rows = [line.split() for line in stamps.read_text().splitlines()]
        if len({name for name, _, pid in rows if int(pid) not in dead}) == names:
            break
        time.sleep(0.02)
    time.sleep(2)  # what is done a little later


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--restarts", type=int, default=10_000)
    parser.add_argument("--n", type=int, default=50)
    given = parser.parse_args()
    child = child_program()
    folder = Path(tempfile.mkdtemp(prefix="bench-restarts-", dir="/dev/shm"))
    stamps = folder / "stamps"
    commands = {f"s{i}": [child, "stamp", str(stamps), f"s{i}"] for i in range(given.n)}
    peer = Endless(folder / "life", commands)
    peer.start()
    signal.alarm(int(PATIENCE))
    try:
        while not stamps.exists() or stamps.read_text().count("\n") < given.n:
            time.sleep(0.05)
        kill_until(stamps, given.n + given.restarts // 4, given.n)
        files, memory = held(peer)
        kill_until(stamps, given.n + given.restarts, given.n)
        more_files, more_memory = held(peer)
        done = stamps.read_text().count("\n") - given.n
    finally:
        peer.end()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(Path(child).parent, ignore_errors=True)
    print(f"{done} restarts: {more_files - files:+d} descriptors ({more_files}), "
          f"{more_memory - memory:+.2f} MiB ({more_memory:.1f})")  # fmt: skip
    return 0 if more_files <= files and more_memory - memory < 1 else 8


if __name__ == "__main__":
    sys.exit(main())
