"""Supervisors side by side, in one run: start, idle, list, respawn, mass death, stop, logs, stats.

    python bench/run/compare.py [--n 500] [--runs 1] [--only chapiteau,s6] [--markdown FILE]

Every peer gets the same machine, one after the other, in a process of its own with a time limit:
one that hangs costs its own figures, not the run. Medians are printed as a Markdown table, with
the ratio to the best rival and our budget. Children are a small C program that stamps the moment
of its main().
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measures import Bench
from peers import MARK, PEERS, Peer

HERE = Path(__file__).resolve().parent
PARTS = ["life", "slow", "log1", "log50", "stats"]
LIMIT = 100.0  # seconds for one run of one peer
# measure → budget as in bench/README.md, in its unit
BUDGET = {
    "start s": 0.45, "mass death s": 0.6, "stop s": 0.15, "slow stop s": 0.6, "respawn ms": 3.5,
    "respawn worst ms": 10, "log1 CPU ms/MB": 0.75, "log50 CPU ms/MB": 0.65, "PSS MiB": 40,
    "list ms": 60, "API list ms": 2, "stats CPU %": 1.5, "log1 lost lines": 0,
    "log50 lost lines": 0,
}  # fmt: skip
HIGHER = ("log1 MB/s", "log50 MB/s")  # more is better


def measured(peer: type[Peer], given: argparse.Namespace, child: str) -> dict[str, float]:
    """One run of one peer in a process of its own; what it found until its end or its limit."""
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        words = [sys.executable, __file__, "--peer", peer.name, "--child", child,
                 "--n", str(given.n), "--parts", given.parts, "--result", str(result)]  # fmt: skip
        begun = time.monotonic()
        process = subprocess.Popen(words, env={**os.environ, MARK: mark}, start_new_session=True)
        try:
            code = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            code = -1
        sweep(mark)
        process.wait()
        how = {0: "done", -1: f"no end within {LIMIT:g} s"}.get(code, f"ended with {code}")
        print(f"{peer.name}: {how}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        return json.loads(result.read_text()) if result.exists() else {}


def sweep(mark: str) -> None:
    """End everything that carries the mark of this run in its environment, and its folder."""
    wanted = f"{MARK}={mark}".encode()
    for _ in range(20):
        left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid > 1
                and pid != os.getpid() and _carries(pid, wanted)]  # fmt: skip
        if not left:
            break
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.1)
    for folder in Path("/dev/shm").glob("bench-*-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _carries(pid: int, wanted: bytes) -> bool:
    try:
        return wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def table(figures: dict[str, dict[str, float]]) -> tuple[str, list[str]]:
    """The Markdown table, and the measures in which we miss our budget."""
    names = list(figures)
    measures = list(dict.fromkeys(m for f in figures.values() for m in f))
    rivals = [n for n in names if n not in ("floor", "chapiteau")]
    lines = [f"| | {' | '.join(names)} | best rival | budget |",
             f"|---|{'--:|' * (len(names) + 2)}"]  # fmt: skip
    missed = []
    for measure in measures:
        ours = figures.get("chapiteau", {}).get(measure)
        others = [figures[n][measure] for n in rivals if measure in figures[n]]
        best = (max if measure in HIGHER else min)(others, default=0.0)
        ratio = f"{ours / best:.2f} ×" if ours is not None and best else ""
        budget = BUDGET.get(measure)
        if ours is not None and budget is not None and ours > budget:
            missed.append(measure)
        cells = [_cell(figures[n].get(measure)) for n in names]
        mark = "" if budget is None else f"{budget:g}"
        lines.append(f"| {measure} | {' | '.join(cells)} | {ratio} | {mark} |")
    return "\n".join(lines), missed


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def child_program() -> str:
    """The C program, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("a C compiler is needed for the child program")
    child = str(Path(tempfile.mkdtemp(prefix="bench-child-")) / "child")
    subprocess.run([compiler, "-O2", "-o", child, str(HERE / "child.c")], check=True)
    return child


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=500, help="services of the big set")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", default="", help="names of peers, with commas")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure, with commas")
    parser.add_argument("--json", default="", help="write the figures here")
    parser.add_argument("--markdown", default="", help="write the table here")
    for hidden in ("--peer", "--child", "--result"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    given = arguments()
    if given.peer:
        peer = next(p for p in PEERS if p.name == given.peer)
        Bench(peer, given.child, given.n, Path(given.result)).run(given.parts.split(","))
        return 0
    child = child_program()
    chosen = [p for p in PEERS if not given.only or p.name in given.only.split(",")]
    for peer in chosen:
        if why := peer.why_not():
            print(f"left out: {peer.name}: {why}", file=sys.stderr)
    chosen = [p for p in chosen if not p.why_not()]
    runs: dict[str, list[dict[str, float]]] = {p.name: [] for p in chosen}
    try:
        for _ in range(given.runs):
            for peer in chosen:
                runs[peer.name].append(measured(peer, given, child))
    finally:
        shutil.rmtree(Path(child).parent, ignore_errors=True)
    figures = {
        name: {m: statistics.median(r[m] for r in found if m in r)
               for m in dict.fromkeys(m for r in found for m in r)}
        for name, found in runs.items()
    }  # fmt: skip
    text, missed = table(figures)
    print(text)
    if given.json:
        Path(given.json).write_text(json.dumps(figures, indent=1))
    if given.markdown:
        Path(given.markdown).write_text(text + "\n")
    if missed:
        print(f"over budget: {', '.join(missed)}", file=sys.stderr)
    return 8 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
