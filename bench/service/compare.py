"""All applications one after the other in one run, and their ratios to Chapiteau.

    python bench/service/compare.py --python /path/to/venv/with/rivals/bin/python

Chapiteau is started from this checkout with the same interpreter.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
APPS = (
    "chapiteau_app:make", "chapiteau_app:make_normal", "falcon_app:make", "pyramid_app:make",
    "cornice_app:make", "asgi:litestar_app:make", "asgi:fastapi_app:make",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", default="5")
    args = parser.parse_args()
    source = str(HERE.parent.parent / "src")
    rows = []
    for app in APPS:
        done = subprocess.run(
            [args.python, str(HERE / "inproc.py"), app, "--rounds", args.rounds],
            capture_output=True, text=True, env={**os.environ, "PYTHONPATH": source}, check=False,
        )  # fmt: skip
        if done.returncode:
            print(f"{app}: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
            continue
        rows.append(json.loads(done.stdout))
    ours = rows[0]["us"]
    print(f"{'µs CPU per request (x: times ours)':34s}" + "".join(f"{c:>16s}" for c in ours))
    for row in rows:
        cells = [f"{v:8.1f} ({v / ours[c]:4.1f}x)" for c, v in row["us"].items()]
        print(f"{row['app']:34s}" + "".join(f"{cell:>16s}" for cell in cells))


if __name__ == "__main__":
    main()
