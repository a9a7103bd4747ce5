"""Processes that count together in one folder: `python counting.py FOLDER` tells what it saw."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from chapiteau.service.addons import SharedMetrics

KEY = ("one", "GET", 200)
EACH = 3000


def child(tally: SharedMetrics, ready: int, *, dies: bool) -> None:
    """Inherits the parent's tally, as a forked worker does."""
    for _ in range(EACH):
        tally.add(KEY, 0.002)
    tally.add(("own", "POST", 500 + dies), 20.0)
    os.write(ready, b"!")
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)


def main() -> None:
    folder = Path(sys.argv[1])
    tally = SharedMetrics(folder)
    tally.add(KEY, 0.002)
    done, ready = os.pipe()
    pids = []
    for dies in (False, True):
        pid = os.fork()
        if not pid:
            child(tally, ready, dies=dies)
        pids.append(pid)
    seen = []
    while not seen or seen[-1] < 2 * EACH + 1:
        seen.append(sum(tally.sums().get(KEY, [0.0])[:-1]))
    os.read(done, 2)
    for pid in pids:
        os.waitpid(pid, 0)
    first, second = tally.sums(), tally.sums()
    left = sorted(path.suffix for path in folder.iterdir())
    again = SharedMetrics(folder).sums()
    print(json.dumps({  # noqa: T201 — that is what it is for
        "rises": seen == sorted(seen), "last": seen[-1], "same": first == second == again,
        "own": sorted(key[2] for key in first if key[0] == "own"), "left": left,
        "seconds": first[KEY][-1],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
