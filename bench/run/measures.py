"""What is measured of one supervisor: each figure is written down as soon as it is known."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from peers import Chapiteau, Peer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Bench"]

LOG_BYTES = 400_000_000
RESPAWN_TIME = 12.0  # seconds that the kills of one peer may take


class Bench:
    """One peer, one run of everything, each part with its time limit."""

    def __init__(self, peer: type[Peer], child: str, count: int, result: Path) -> None:
        self.kind, self.child, self.count, self.result = peer, child, count, result
        self.folder = Path(tempfile.mkdtemp(prefix=f"bench-{peer.name}-", dir="/dev/shm"))
        self.stamps = self.folder / "stamps"
        self.found: dict[str, float] = {}

    def run(self, parts: list[str]) -> None:
        try:
            for part in parts:
                getattr(self, f"_{part}")()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self, measure: str, value: float) -> None:
        self.found[measure] = value
        self.result.write_text(json.dumps(self.found))

    def _rows(self) -> list[tuple[str, int, int]]:
        if not self.stamps.exists():
            return []
        rows = (line.split() for line in self.stamps.read_text().splitlines())
        return [(name, int(when), int(pid)) for name, when, pid in rows]

    def _wait(self, fact: Callable[[], bool], limit: float, pause: float = 0.0005) -> bool:
        end = time.monotonic() + limit
        while not fact():
            if time.monotonic() > end:
                return False
            time.sleep(pause)
        return True

    def _count(self) -> int:
        """How many have begun: counted, not read, since who looks takes from who works."""
        return self.stamps.read_bytes().count(b"\n") if self.stamps.exists() else 0

    def _size(self) -> int:
        return self.stamps.stat().st_size if self.stamps.exists() else 0

    def _services(self) -> dict[str, list[str]]:
        names = [f"s{i}" for i in range(self.count)]
        return {n: [self.child, "stamp", str(self.stamps), n] for n in names}

    # ── a life: start, idle, list, respawn, mass death, stop ────────────────────────────────
    def _life(self) -> None:
        peer = self.kind(self.folder / "life", self._services())
        begun = time.monotonic_ns()
        peer.start()
        try:
            if not self._wait(lambda: self._count() >= self.count, 30, 0.005):
                return
            self._note("start s", (max(w for _, w, _ in self._rows()) - begun) / 1e9)
            time.sleep(2.5)  # until supervisord's startsecs are over: respawns are then respawns
            self._note("PSS MiB", sum(map(_pss, peer.pids())))
            before = sum(map(_cpu, peer.pids()))
            time.sleep(5)
            self._note("idle CPU ms/min", (sum(map(_cpu, peer.pids())) - before) * 12e3)
            self._lists(peer)
            self._respawn()
            self._mass_death()
            self._stop(peer, "stop s")
        finally:
            peer.end()

    def _lists(self, peer: Peer) -> None:
        if words := peer.list_words():
            walls, used = zip(*(_timed(words) for _ in range(7)), strict=True)
            self._note("list ms", statistics.median(walls))
            self._note("list CPU ms", statistics.mean(used))
        if isinstance(peer, Chapiteau):
            self._note("API list ms", statistics.median(_asked(peer, "/v1/services", 50)))

    def _respawn(self) -> None:
        chance, took = random.Random(1), []
        current = {n: p for n, _, p in self._rows()}
        end = time.monotonic() + RESPAWN_TIME
        while len(took) < 40 and time.monotonic() < end:
            name = chance.choice(list(current))
            known, size = len(self._rows()), self._size()
            begun = time.monotonic_ns()
            os.kill(current[name], signal.SIGKILL)
            if not self._wait(lambda s=size: self._size() > s, 12):
                break
            again, when, current[name] = self._rows()[known]
            if again == name:
                took.append((when - begun) / 1e6)
            time.sleep(chance.uniform(0.02, 0.2))
        if took:
            self._note("respawn ms", statistics.median(took))
            self._note("respawn worst ms", max(took))

    def _mass_death(self) -> None:
        time.sleep(2)
        current = {n: p for n, _, p in self._rows()}
        known, begun = len(self._rows()), time.monotonic_ns()
        for pid in current.values():
            os.kill(pid, signal.SIGKILL)
        wanted = lambda: len({n for n, _, _ in self._rows()[known:]}) >= self.count  # noqa: E731
        if self._wait(wanted, 15, 0.005):
            last = max(w for _, w, _ in self._rows()[known:])
            self._note("mass death s", (last - begun) / 1e9)
        time.sleep(1)

    def _stop(self, peer: Peer, measure: str) -> None:
        left = {p for _, _, p in self._rows() if _runs(p, self.child)}
        begun = time.monotonic()
        asking = threading.Thread(target=peer.ask_to_stop)
        asking.start()

        def gone() -> bool:
            for pid in list(left):
                if not _runs(pid, self.child):
                    left.discard(pid)
            return not left

        if self._wait(gone, 32, 0.002):
            self._note(measure, time.monotonic() - begun)
        asking.join()

    # ── 50 that take half a second to obey ──────────────────────────────────────────────────
    def _slow(self) -> None:
        self.stamps = self.folder / "slow-stamps"
        commands = {
            f"w{i}": [self.child, "slow", str(self.stamps), f"w{i}", "500"] for i in range(50)
        }
        peer = self.kind(self.folder / "slow", commands)
        peer.start()
        try:
            if self._wait(lambda: len(self._rows()) >= 50, 15, 0.005):
                time.sleep(1.5)
                self._stop(peer, "slow stop s")
        finally:
            peer.end()

    # ── figures followed once a second ──────────────────────────────────────────────────────
    def _stats(self) -> None:
        if self.kind.name not in ("chapiteau", "circus"):
            return  # the others have none
        self.stamps = self.folder / "stats-stamps"
        peer = self.kind(self.folder / "stats", self._services(), stats=True)
        peer.start()
        try:
            if not self._wait(lambda: self._count() >= self.count, 30, 0.005):
                return
            time.sleep(2)
            stream = _follow(peer) if isinstance(peer, Chapiteau) else None
            time.sleep(1.5)
            before, begun = sum(map(_cpu, peer.pids())), time.monotonic()
            time.sleep(6)
            used = sum(map(_cpu, peer.pids())) - before
            self._note("stats CPU %", 100 * used / (time.monotonic() - begun))
            if stream is not None:
                stream.close()
        finally:
            peer.end()

    # ── logs: lines of 100 bytes ────────────────────────────────────────────────────────────
    def _log1(self) -> None:
        self._logs("log1", 1)

    def _log50(self) -> None:
        self._logs("log50", 50)

    def _logs(self, name: str, writers: int) -> None:
        """CPU of the supervisor per MB, and whether every line is there."""
        if not self.kind.logs:
            return
        lines = LOG_BYTES // 100 // writers
        commands = {f"l{i}": [self.child, "write", str(lines), f"l{i}"] for i in range(writers)}
        folder = self.folder / name
        peer = self.kind(folder, commands, logged=True)
        begun = time.monotonic()
        peer.start()
        try:
            wanted = lines * writers * 100
            self._wait(lambda: _written(folder) > 0, 30)
            first, before = _written(folder), sum(map(_cpu, peer.pids()))
            begun = time.monotonic()
            whole = self._wait(lambda: _written(folder) >= wanted, 25, 0.01)
            moved = (_written(folder) - first) / 1e6
            self._note(f"{name} MB/s", moved / (time.monotonic() - begun))
            time.sleep(0.1)
            used = sum(map(_cpu, peer.pids())) - before
            self._note(f"{name} CPU ms/MB", used * 1e3 / max(moved, 0.001))
            if whole:
                self._note(f"{name} lost lines", (wanted - min(wanted, _written(folder))) / 100)
        finally:
            peer.ask_to_stop()
            peer.end()
            shutil.rmtree(folder, ignore_errors=True)


def _written(folder: Path) -> int:
    """Bytes of the children's lines in all log files below a folder."""
    total = 0
    for path in folder.rglob("*"):
        kept = "kept" in path.parts and path.name not in ("lock", "state", "config", "status")
        if kept or (".log" in path.name and path.name not in _NOT_THEIRS):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except OSError:
                continue
    return total


_NOT_THEIRS = ("out.log", "main.log", "supervisor.log", "pm2.log", "module.log")


def _cpu(pid: int) -> float:
    """Seconds that all its threads have used, to the nanosecond."""
    used = 0
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            used += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return used / 1e9


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


def _timed(words: list[str]) -> tuple[float, float]:
    """(wall, CPU) milliseconds of a command."""
    begun = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = threading.Timer(20, process.kill)
    limit.start()
    # A wait with a timeout would look at 0.5, 1.5, 3.5 … 31.5, 63.5 ms only (subprocess.py).
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    limit.cancel()
    return wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3


def _socket(peer: Chapiteau) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(10)
    made.connect(str(peer.folder / ".chapiteau/control.sock"))
    return made


def _asked(peer: Chapiteau, target: str, times: int) -> list[float]:
    """Milliseconds of calls on an open connection."""
    took = []
    with _socket(peer) as sock, sock.makefile("rb") as answer:
        for _ in range(times):
            begun = time.perf_counter()
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            length = 0
            while (line := answer.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split()[1])
            answer.read(length)
            took.append((time.perf_counter() - begun) * 1e3)
    return took


def _follow(peer: Chapiteau) -> socket.socket:
    """Somebody who follows the figures, and reads them."""
    sock = _socket(peer)
    sock.settimeout(None)
    sock.sendall(b"GET /v1/stats HTTP/1.0\r\n\r\n")

    def read() -> None:
        try:
            while sock.recv(1 << 16):
                pass
        except OSError:
            return

    threading.Thread(target=read, daemon=True).start()
    return sock
