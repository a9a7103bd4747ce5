"""Supervisors side by side, in one run: start, respawn, mass death, stop, slow stop, logs, idle.

    python bench/run/compare.py [--n 500] [--runs 3] [--only chapiteau,s6] [--json FILE]

Every peer gets the same machine one after the other, several times; medians are printed, and the
ratio to the best rival. Children are a small C program that stamps the moment of its main().
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))
from peers import PEERS, Peer

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
# measure → budget as in bench/README.md, in its unit
BUDGET = {
    "start s": 0.45, "mass death s": 0.6, "stop s": 0.15, "respawn ms": 3.5,
    "log1 CPU ms/MB": 0.75, "log50 CPU ms/MB": 0.65, "PSS MiB": 40,
}  # fmt: skip


class Bench:
    """One peer, one run of everything."""

    def __init__(self, peer: type[Peer], child: str, count: int) -> None:
        self.kind, self.child, self.count = peer, child, count
        self.folder = Path(tempfile.mkdtemp(prefix=f"bench-{peer.name}-", dir="/dev/shm"))
        self.stamps = self.folder / "stamps"
        self.found: dict[str, float] = {}

    def run(self) -> dict[str, float]:
        try:
            self._life()
            self._slow()
            if self.kind.name not in ("floor", "s6", "runit"):
                self._logs("log1", 1)
                self._logs("log50", 50)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
        return self.found

    def _rows(self) -> list[tuple[str, int, int]]:
        if not self.stamps.exists():
            return []
        rows = (line.split() for line in self.stamps.read_text().splitlines())
        return [(name, int(when), int(pid)) for name, when, pid in rows]

    def _wait(self, fact: Callable[[], bool], limit: float = 60.0) -> bool:
        end = time.monotonic() + limit
        while not fact():
            if time.monotonic() > end:
                return False
            time.sleep(0.0005)
        return True

    def _life(self) -> None:
        names = [f"s{i}" for i in range(self.count)]
        commands = {n: [self.child, "stamp", str(self.stamps), n] for n in names}
        peer = self.kind(self.folder / "life", commands)
        begun = time.monotonic_ns()
        peer.start()
        try:
            self._wait(lambda: len(self._rows()) >= self.count)
            self.found["start s"] = (max(w for _, w, _ in self._rows()) - begun) / 1e9
            time.sleep(2.5)  # until supervisord's startsecs are over: respawns are then respawns
            self.found["PSS MiB"] = sum(_pss(pid) for pid in peer.pids())
            before = sum(_cpu(pid) for pid in peer.pids())
            time.sleep(5)
            idle = sum(_cpu(pid) for pid in peer.pids()) - before
            self.found["idle CPU ms/min"] = idle * 1000 * 12
            self._respawn()
            self._mass_death()
            self._stop(peer)
        finally:
            peer.end()
            for _, _, pid in self._rows():
                if _runs(pid, self.child):
                    os.kill(pid, signal.SIGKILL)

    def _respawn(self) -> None:
        chance, took = random.Random(1), []
        for _ in range(25):
            rows = self._rows()
            pid = chance.choice(list({n: p for n, _, p in rows}.values()))
            begun, known = time.monotonic_ns(), len(rows)
            os.kill(pid, signal.SIGKILL)
            if self._wait(lambda k=known: len(self._rows()) > k, 12):
                took.append((self._rows()[known][1] - begun) / 1e6)
            time.sleep(chance.uniform(0.02, 0.2))
        self.found["respawn ms"] = statistics.median(took)
        self.found["respawn worst ms"] = max(took)

    def _mass_death(self) -> None:
        time.sleep(2)
        current = {n: p for n, _, p in self._rows()}
        known, begun = len(self._rows()), time.monotonic_ns()
        for pid in current.values():
            os.kill(pid, signal.SIGKILL)
        done = self._wait(lambda: len({n for n, _, _ in self._rows()[known:]}) == self.count, 30)
        last = max((w for _, w, _ in self._rows()[known:]), default=begun)
        self.found["mass death s"] = (last - begun) / 1e9 if done else float("inf")
        time.sleep(1)

    def _stop(self, peer: Peer) -> None:
        left = {p for _, _, p in self._rows() if _runs(p, self.child)}
        begun = time.monotonic()
        peer.ask_to_stop()

        def gone() -> bool:
            for pid in list(left):
                if not _runs(pid, self.child):
                    left.discard(pid)
            return not left

        self.found["stop s"] = time.monotonic() - begun if self._wait(gone, 60) else float("inf")

    def _slow(self) -> None:
        """50 that take half a second to obey."""
        self.stamps = self.folder / "slow-stamps"
        commands = {
            f"w{i}": [self.child, "slow", str(self.stamps), f"w{i}", "500"] for i in range(50)
        }
        peer = self.kind(self.folder / "slow", commands)
        peer.start()
        try:
            self._wait(lambda: len(self._rows()) >= 50)
            time.sleep(1.5)
            fast = self.found.pop("stop s", float("nan"))
            self._stop(peer)
            self.found["slow stop s"], self.found["stop s"] = self.found["stop s"], fast
        finally:
            peer.end()

    def _logs(self, name: str, writers: int) -> None:
        """A gigabyte-scale stream of 100-byte lines: CPU of the supervisor per MB."""
        lines = 4_000_000 // writers
        commands = {f"l{i}": [self.child, "write", str(lines), f"l{i}"] for i in range(writers)}
        folder = self.folder / name
        stop_before = self.found.get("stop s")
        peer = self.kind(folder, commands)
        peer.start()
        try:
            wanted = lines * writers * 100
            self._wait(lambda: _written(folder) > 0, 30)
            before = sum(_cpu(pid) for pid in peer.pids())  # what its own start took
            self._wait(lambda: _written(folder) >= wanted, 120)
            used = sum(_cpu(pid) for pid in peer.pids()) - before
            self.found[f"{name} CPU ms/MB"] = used * 1000 / (wanted / 1e6)
            self.found[f"{name} lost lines"] = (wanted - min(wanted, _written(folder))) / 100
        finally:
            peer.ask_to_stop()
            peer.end()
            if stop_before is not None:
                self.found["stop s"] = stop_before
            shutil.rmtree(folder, ignore_errors=True)


def _written(folder: Path) -> int:
    """Bytes of the children's lines in all log files below a folder."""
    total = 0
    for path in folder.rglob("*"):
        if ".log" in path.name and path.name not in ("out.log", "main.log", "supervisor.log"):
            try:
                total += path.stat().st_size
            except OSError:
                continue
    return total


def _cpu(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICK


def _pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _runs(pid: int, child: str) -> bool:
    try:
        return child.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _show(figures: dict[str, dict[str, float]]) -> bool:
    """Print the table; whether every budget was kept."""
    names = list(figures)
    measures = list(dict.fromkeys(m for f in figures.values() for m in f))
    width = max(len(m) for m in measures)
    print(" " * width, *(f"{n:>12}" for n in names), f"{'best rival':>11}", f"{'budget':>8}")
    good = True
    for measure in measures:
        row = [figures[n].get(measure) for n in names]
        rivals = [
            v
            for n, v in zip(names, row, strict=True)
            if n not in ("floor", "chapiteau") and v is not None
        ]
        ours = figures.get("chapiteau", {}).get(measure)
        ratio = f"{ours / min(rivals):.2f}×" if ours and rivals and min(rivals) else ""
        budget = BUDGET.get(measure)
        if budget is not None and ours is not None and ours > budget:
            good = False
        cells = (f"{v:>12.3f}" if v is not None else f"{'–':>12}" for v in row)
        print(f"{measure:<{width}}", *cells, f"{ratio:>11}", f"{budget or '':>8}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", default="")
    given = parser.parse_args()
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        print("a C compiler is needed for the child program", file=sys.stderr)
        return 2
    child = str(Path(tempfile.mkdtemp()) / "child")
    subprocess.run([compiler, "-O2", "-o", child, str(HERE / "child.c")], check=True)
    chosen = [p for p in PEERS if not given.only or p.name in given.only.split(",")]
    for peer in chosen:
        if why := peer.why_not():
            print(f"left out: {peer.name}: {why}")
    chosen = [p for p in chosen if not p.why_not()]
    runs: dict[str, list[dict[str, float]]] = {p.name: [] for p in chosen}
    for _ in range(given.runs):
        for peer in chosen:
            runs[peer.name].append(Bench(peer, child, given.n).run())
    figures = {
        name: {m: statistics.median(r[m] for r in found if m in r) for m in found[0]}
        for name, found in runs.items()
    }
    if given.json:
        Path(given.json).write_text(json.dumps(figures, indent=1))
    return 0 if _show(figures) else 8


if __name__ == "__main__":
    sys.exit(main())
