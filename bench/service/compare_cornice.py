"""Cornice 6.1 and `chapiteau.cornice` side by side, in one run: times ours per request.

    python bench/service/compare_cornice.py [--python VENV/bin/python] [--requests 20000]

The interpreter needs cornice, colander, marshmallow 3 and msgspec. Exit code 8: a budget is missed
(colander 3 times, marshmallow 20 times, with and without hooks). Cornice makes classes per request
and slows down with them, so each side serves many requests before it is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "apps")]
BUDGETS = {"ping": 2.0, "colander": 3.0, "marshmallow": 20.0, "hooks": 20.0}


def measure(package, requests):
    """CPU µs per request, the best of the last rounds; one line of JSON."""
    from contract import GOOD_BODY, environ
    from cornice_faces import make

    app = make(package)
    seen = []
    found = {}
    for name in BUDGETS:
        method, body = ("GET", b"") if name == "ping" else ("POST", GOOD_BODY)
        rounds = []
        for _ in range(10):
            started = time.process_time()
            for _ in range(requests // 10):
                b"".join(app(environ(method, f"/{name}", "", body), lambda s, h: seen.append(s)))
            rounds.append((time.process_time() - started) / (requests // 10) * 1e6)
        assert set(seen) == {"200 OK"}, set(seen)
        seen.clear()
        found[name] = min(rounds[-3:])
    print(json.dumps(found))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--measure", default="")
    args = parser.parse_args()
    if args.measure:
        measure(args.measure, args.requests)
        return 0
    env = {**os.environ, "PYTHONPATH": str(HERE.parent.parent / "src")}
    found = {}
    for package in ("cornice", "chapiteau.cornice"):
        command = [args.python, __file__, "--measure", package, "--requests", str(args.requests)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{package}: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
            return 0
        found[package] = json.loads(done.stdout)
    missed = False
    print(
        "| request | Cornice, µs | chapiteau.cornice, µs | times | budget |\n|---|--:|--:|--:|---|"
    )
    for name, budget in BUDGETS.items():
        theirs, ours = found["cornice"][name], found["chapiteau.cornice"][name]
        good = theirs / ours >= budget
        missed |= not good
        verdict = f"≥ {budget:g}: {'ok' if good else 'MISSED'}"
        print(f"| {name} | {theirs:.0f} | {ours:.0f} | {theirs / ours:.1f} | {verdict} |")
    return 8 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
