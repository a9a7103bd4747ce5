"""The survival test in full: the brain is killed again and again, and nothing is lost.

    python bench/run/survival.py [--kills 60]

One writer prints numbered lines, about 100,000 a second, and strict clients ask three workers for
all they can. After the last SIGKILL every line must stand in the log files once and in order, no
request may have failed, and the processes must be those of the beginning. Exits with 8 if not.
tests/e2e/test_survival.py is the short form.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.e2e.test_survival import numbers_in, start
from tests.run.load import Clients

PAUSE = 0.4  # seconds between two kills, at most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=60)
    kills = parser.parse_args().kills
    chance, folder = random.Random(1), tempfile.TemporaryDirectory(dir="/dev/shm")
    with folder as name:
        project = start(Path(name))
        try:
            pids = project.pids("web") + project.pids("writer")
            begun = time.monotonic()
            with Clients(project.address("web"), keep=True) as seen:
                for _ in range(kills):
                    project.kill_brain()
                    time.sleep(chance.uniform(0, PAUSE))
            took = time.monotonic() - begun
            same = project.pids("web") + project.pids("writer") == pids
            project.client.command("stop", "writer")
            log = Path(name) / ".chapiteau" / "log" / "writer"
            written = int((log / "1.stderr.log").read_text().split()[0])
            found = numbers_in(log)
        finally:
            project.down()
    whole = found == list(range(written))
    print("| kills | seconds | lines | lost, torn or moved | requests | failed | worst, s |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    wrong = 0 if whole else len(set(range(written)) ^ set(found)) or 1
    print(f"| {kills} | {took:.1f} | {written:,} | {wrong} | {seen.done:,} | {len(seen.failed)} "
          f"| {seen.worst:.3f} |")  # fmt: skip
    print(f"the processes are {'the same' if same else 'OTHERS'}")
    for why in sorted(set(seen.failed)):
        print(f"failed: {why}")
    return 0 if whole and same and not seen.failed else 8


if __name__ == "__main__":
    sys.exit(main())
