"""The reload test in full: an application whose import takes a second is reloaded under load.

    python bench/run/reload.py [--reloads 5] [--only ours,gunicorn]

Strict clients ask two workers for all they can, over kept connections or a new one each time,
while every process is replaced. No request may fail, and none may wait for the import. Exits with
8 if one does. tests/run/supervisor/test_reload.py is the short form; waitress and uvicorn are
started by the scripts of docs/how-to/reload-without-loss.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.run.load import Clients, Tally
from tests.run.project import Project
from tests.run.supervisor.test_reload import SLOW_APP, answered, web
from tests.support import wait_for

STALL = 0.9  # seconds: who waits for the import waits longer
PYTHON = sys.executable
# server → its settings, and when it is ready
SERVERS = {
    "ours": ('app = "slow:make"', ""),
    "gunicorn": (
        f'command = "{PYTHON} -m gunicorn -k gthread --threads 4 slow:app"',
        'ready.log = "Booting worker"\n        drain = "1500ms"',
    ),
    "uvicorn": (
        f'command = "{PYTHON} -m chapiteau.run.launch.uvicorn slow:asgi"',
        "ready.notify = true",
    ),
    "waitress": (
        f'command = "{PYTHON} -m chapiteau.run.launch.waitress slow:app"',
        "ready.notify = true",
    ),
}


def reloads(folder: Path, server: str, count: int, *, keep: bool) -> Tally:
    """What the clients saw of so many reloads."""
    project = Project(folder, web(*SERVERS[server]))
    project.file("slow.py", SLOW_APP)
    project.up()
    try:
        project.until("web", "running", 20)
        wait_for(lambda: answered(project.address("web")), 20, "a first answer")
        with Clients(project.address("web"), keep=keep) as seen:
            for _ in range(count):
                outcome = project.client.command("reload", "web")
                if not outcome.ok:
                    seen.failed.append(f"reload: {outcome.error}")
        return seen
    finally:
        project.down()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reloads", type=int, default=5)
    parser.add_argument("--only", default=",".join(SERVERS))
    given = parser.parse_args()
    missed = False
    print("| server | connections | reloads | requests | failed | worst, s |")
    print("|---|---|--:|--:|--:|--:|")
    for server in given.only.split(","):
        for keep in (True, False):
            with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
                seen = reloads(Path(folder), server, given.reloads, keep=keep)
            missed = missed or bool(seen.failed) or seen.worst >= STALL
            print(f"| {server} | {'kept' if keep else 'new'} | {given.reloads} | {seen.done:,} "
                  f"| {len(seen.failed)} | {seen.worst:.3f} |", flush=True)  # fmt: skip
            for why in sorted(set(seen.failed)):
                print(f"failed: {why}", file=sys.stderr)
    return 8 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
