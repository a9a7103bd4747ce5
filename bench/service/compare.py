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
NAMES = dict(
    zip(
        APPS,
        ("chapiteau", "chapiteau, normal path", "Falcon + msgspec", "Pyramid", "Cornice + colander",
         "Litestar", "FastAPI"),
        strict=True,
    )
)  # fmt: skip
OURS, NORMAL, FALCON, PYRAMID, _, LITESTAR, FASTAPI = APPS
# What is told, whose time over whose, for which request, and how often at least.
BUDGETS = (
    ("FastAPI ÷ ours, ping", FASTAPI, "ping", 6.0, OURS),
    ("FastAPI ÷ ours, item", FASTAPI, "item", 6.0, OURS),
    ("FastAPI ÷ ours, post", FASTAPI, "post", 6.0, OURS),
    ("Litestar ÷ ours, ping", LITESTAR, "ping", 3.0, OURS),
    ("Litestar ÷ ours, post", LITESTAR, "post", 3.0, OURS),
    ("Falcon ÷ ours, ping", FALCON, "ping", 0.9, OURS),
    ("Falcon ÷ ours, post", FALCON, "post", 0.9, OURS),
    ("Pyramid ÷ our normal path, ping", PYRAMID, "ping", 2.0, NORMAL),
    ("Pyramid ÷ our normal path, post", PYRAMID, "post", 2.0, NORMAL),
)


def main() -> int:
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
    cases = list(rows[0]["us"])
    by = {row["app"]: row["us"] for row in rows}
    ours = by[APPS[0]]
    print("µs of CPU per request in process (in brackets: times ours)\n")
    print("| application | " + " | ".join(cases) + " |\n|---|" + "--:|" * len(cases))
    for row in rows:
        cells = [f"{v:.1f} ({v / ours[c]:.1f})" for c, v in row["us"].items()]
        print(f"| {NAMES[row['app']]} | " + " | ".join(cells) + " |")
    return judge(by)


def judge(by: dict[str, dict[str, float]]) -> int:
    """8 when a budget is missed. Law: ratios within this run, so that any machine may judge."""
    missed = 0
    print("\n| budget | found | |\n|---|--:|---|")
    for words, rival, case, least, mine in BUDGETS:
        if rival in by and mine in by:
            found = by[rival][case] / by[mine][case]
            good = found >= least
            missed |= not good
            print(f"| {words} ≥ {least:g} | {found:.1f} | {'ok' if good else 'MISSED'} |")
    return 8 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
