"""The load generator against others, in one run, against one server: nginx on its own core.

    python bench/load/compare.py [--rounds 3] [--seconds 3] [--rivals FOLDER] [--only wrk,…]

CPU is that of the whole process tree between two moments inside the run, over the requests that
nginx has counted in between. Rounds are interleaved; ratios are medians of the ratios to the wrk
of the same round, since a machine has its moods. Exits with 8 when a bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent / "rivals"
TICK = os.sysconf("SC_CLK_TCK")
LAST = str((os.cpu_count() or 1) - 1)
OURS = {"plain": "chapiteau, plain Python", "compiled": "chapiteau, compiled"}


@dataclass
class Tool:
    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    warm: float = 0.7  # seconds until it runs at its pace


@dataclass
class Target:
    url: str
    worker: int

    def requests(self) -> int:
        with urllib.request.urlopen(f"{self.url}/status", timeout=30) as answer:
            return int(answer.read().split()[9])


def pinned(core: str) -> list[str]:
    return ["taskset", "-c", core] if shutil.which("taskset") and LAST != "0" else []


@contextlib.contextmanager
def target() -> Iterator[Target]:
    """nginx on core 0 with a 130-byte answer; it counts requests itself."""
    import socket

    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if nginx is None:
        print("bench/load: nginx is needed as the target (Debian: nginx-light); nothing measured")
        raise SystemExit(0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log /dev/null; worker_processes 1;\n"
            "worker_rlimit_nofile 20000; events { worker_connections 8192; }\n"
            "http { access_log off; keepalive_requests 100000000; server {\n"
            f'  listen 127.0.0.1:{port} backlog=8192; location / {{ return 200 "{"x" * 130}"; }}\n'
            "  location /status { stub_status; } } }\n"
        )
        command = [*pinned("0"), nginx, "-c", f"{folder}/nginx.conf", "-p", folder]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            found = Target(f"http://127.0.0.1:{port}", 0)
            until = time.monotonic() + 10
            while True:
                try:
                    found.requests()
                    break
                except OSError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.05)
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            found.worker = int(children[0])
            yield found
        finally:
            server.terminate()
            server.wait(10)


def tree_cpu(pid: int) -> float:
    """CPU seconds of a process and all below it, dead ones too."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        children = [
            child
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (OSError, IndexError):
        return 0.0
    return sum(map(int, fields[11:15])) / TICK + sum(tree_cpu(int(child)) for child in children)


def peak_memory(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024


@contextlib.contextmanager
def running(tool: Tool) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [*pinned(LAST), *tool.command],
        env={**os.environ, **tool.env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def cost(tool: Tool, at: Target, seconds: float) -> tuple[float, float] | None:
    """µs of CPU for a request, and requests a second; None when it made none."""
    with running(tool) as process:
        time.sleep(tool.warm)
        cpu, count, begun = tree_cpu(process.pid), at.requests(), time.monotonic()
        time.sleep(seconds)
        cpu, count = tree_cpu(process.pid) - cpu, at.requests() - count - 1
        if process.poll() is not None or count < 10:
            return None
        return cpu / count * 1e6, count / (time.monotonic() - begun)


def tools(url: str, users: int, each: int, rivals: Path) -> list[Tool]:
    """All that are there; what is not is named."""
    seconds, n = "60", str(users)
    found: list[Tool] = []

    def add(name: str, program: str | Path, *arguments: str, warm: float = 0.7, **env: str) -> None:
        path = shutil.which(str(program))
        if path is None:
            print(f"left out, not here: {name}")
        else:
            found.append(Tool(name, [path, *arguments], env, warm))

    add("wrk", "wrk", "-t1", f"-c{n}", f"-d{seconds}s", url + "/")
    for kind, name in OURS.items():
        if kind == "plain" or has_compiled():
            command = [str(HERE / "ours.py"), url, seconds, n, str(each)]
            add(name, sys.executable, *command, warm=1.2, CHAPITEAU_LOAD_ENGINE=kind)
        else:
            print(f"left out, not built: {name}")
    add("ab -k", "ab", "-k", "-q", f"-c{n}", f"-t{seconds}", "-n100000000", url + "/")
    add("h2load --h1", "h2load", "--h1", "-t1", f"-c{n}", f"-D{seconds}", url + "/")
    add("hey", "hey", "-c", n, "-z", f"{seconds}s", url + "/", GOMAXPROCS="1")
    node = rivals.parent / "node/node_modules/.bin/autocannon"
    add("autocannon", node, "-c", n, "-d", seconds, url + "/", warm=1.5)
    add("aiohttp", rivals / "python", str(HERE / "aiohttp_client.py"), url, seconds, n, warm=1.5)
    locust = ["-f", str(HERE / "locustfile.py"), "--headless", "--only-summary", "-u", n, "-r", n,
              "-t", f"{seconds}s", "--host", url]  # fmt: skip
    add("Locust FastHttpUser", rivals / "locust", *locust, warm=4, KIND="fast")
    add("Locust HttpUser", rivals / "locust", *locust, warm=4, KIND="usual")
    molotov = [str(HERE / "molotovfile.py"), "-w", n, "-d", seconds, "-q"]
    add("Molotov", rivals / "molotov", *molotov, warm=3, TARGET=url)
    return found


def has_compiled() -> bool:
    from chapiteau.load.engine.backend import compiled_backend

    return compiled_backend() is not None


def closed_loop(at: Target, options: argparse.Namespace) -> dict[str, float]:
    """The table; ratios to wrk by name."""
    print(f"\n## CPU of a request, closed loop, {options.users} connections\n")
    found: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    rates: dict[str, float] = {}
    wanted = options.only.split(",") if options.only else None
    every = tools(at.url, options.users, options.each, options.rivals)
    if wanted:
        every = [t for t in every if t.name == "wrk" or any(w in t.name for w in wanted)]
    for _ in range(options.rounds):
        base = None
        for tool in every:
            measured = cost(tool, at, options.seconds)
            if measured is None:
                print(f"left out, it made no requests: {tool.name}")
                continue
            micros, rates[tool.name] = measured
            base = micros if tool.name == "wrk" else base
            found.setdefault(tool.name, []).append(micros)
            if base:
                ratios.setdefault(tool.name, []).append(micros / base)
    print(f"\n| {'tool':24} | µs a request |   min | × wrk | requests/s |")
    print(f"|{'-' * 26}|{'-' * 14}|{'-' * 7}|{'-' * 7}|{'-' * 12}|")
    times = {name: statistics.median(values) for name, values in ratios.items()}
    for name, values in sorted(found.items(), key=lambda pair: statistics.median(pair[1])):
        print(
            f"| {name:24} | {statistics.median(values):12.2f} | {min(values):5.2f} "
            f"| {times.get(name, 0):5.2f} | {rates[name]:10,.0f} |"
        )
    return times


def run_open(at: Target, engine: str, seconds: int, rate: int, tick: int = 0) -> dict[str, float]:
    script = str(HERE / "ours_open.py")
    done = subprocess.run(
        [*pinned(LAST), sys.executable, script, at.url, str(seconds), str(rate), str(tick)],
        env={**os.environ, "CHAPITEAU_LOAD_ENGINE": engine},
        capture_output=True, text=True, timeout=seconds + 30, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def engines() -> list[str]:
    return ["plain", *(["compiled"] if has_compiled() else [])]


def precision(at: Target) -> list[str]:
    """Open loop at 5,000/s: how late, and how much of a core."""
    print("\n## Open loop, 5,000/s: lateness of sessions\n")
    print("| engine   | p50 µs | p99 µs | of a core |\n|----------|--------|--------|-----------|")
    missed = []
    for engine in engines():
        said = run_open(at, engine, 4, 5000)
        print(
            f"| {engine:8} | {said['lag_p50']:6.0f} | {said['lag_p99']:6.0f} "
            f"| {said['core']:9.2f} |"
        )
        ticked = run_open(at, engine, 4, 5000, tick=1)
        print(
            f"| + 1 ms   | {ticked['lag_p50']:6.0f} | {ticked['lag_p99']:6.0f} "
            f"| {ticked['core']:9.2f} |"
        )
        if said["lag_p99"] > 200 or said["core"] > 0.5:
            missed.append(f"open loop, {engine}: p99 {said['lag_p99']} µs, {said['core']:.2f} core")
    return missed


def stalls(at: Target) -> list[str]:
    """nginx stands still for 200 ms in every 2 s, under 2,000/s. True p99: 180 ms; mean: 10 ms."""
    print("\n## Truth under stalls: 200 ms in every 2 s (true p99 180 ms, mean 10 ms)\n")
    print("| tool     | mean ms | p99 ms | p99.9 ms | max ms |")
    print("|----------|---------|--------|----------|--------|")
    missed = []
    for engine in engines():
        stop = time.monotonic() + 9.5
        runner = subprocess.Popen(
            [*pinned(LAST), sys.executable, str(HERE / "ours_open.py"), at.url, "8", "2000", "0"],
            env={**os.environ, "CHAPITEAU_LOAD_ENGINE": engine}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            while time.monotonic() < stop and runner.poll() is None:
                os.kill(at.worker, signal.SIGSTOP)
                time.sleep(0.2)
                os.kill(at.worker, signal.SIGCONT)
                time.sleep(1.8)
            text, _ = runner.communicate(timeout=30)
        finally:
            os.kill(at.worker, signal.SIGCONT)
            runner.kill()
            runner.wait()
        said = {key: value / 1000 for key, value in json.loads(text).items()}
        print(
            f"| {engine:8} | {said['mean']:7.1f} | {said['p99']:6.1f} | {said['p999']:8.1f} "
            f"| {said['max']:6.1f} |"
        )
        if abs(said["p99"] / 180 - 1) > 0.05:
            missed.append(f"stall, {engine}: p99 {said['p99']:.1f} ms for 180")
    return missed


def many_connections(at: Target) -> None:
    print("\n## 5,000 connections, closed loop\n")
    print("| tool     | µs a request | requests/s | MB |")
    print("|----------|--------------|------------|----|")
    for engine in engines():
        command = [sys.executable, str(HERE / "ours.py"), at.url, "60", "5000", "20"]
        tool = Tool(engine, command, {"CHAPITEAU_LOAD_ENGINE": engine}, 3)
        with running(tool) as process:
            time.sleep(tool.warm)
            cpu, count, begun = tree_cpu(process.pid), at.requests(), time.monotonic()
            time.sleep(3)
            cpu, count = tree_cpu(process.pid) - cpu, max(1, at.requests() - count)
            rate = count / (time.monotonic() - begun)
            print(
                f"| {engine:8} | {cpu / count * 1e6:12.2f} | {rate:10,.0f} "
                f"| {peak_memory(process.pid):.0f} |"
            )


def memory_over_time() -> list[str]:
    """What the parent holds after an hour at 50,000/s, 5,000 of each of ten names in a second.

    Latencies are spread log-normally. A second's values are drawn once and counted as often as
    they would come: memory goes by seconds and buckets.
    """
    import random

    from chapiteau.load.stats.recorder import Recorder
    from chapiteau.load.stats.totals import Totals

    recorder, totals, chance = Recorder(), Totals(), random.Random(1)
    names = [f"GET /{n}" for n in range(10)]
    pools = [[int(chance.lognormvariate(9, 0.6)) for _ in range(5000)] for _ in range(8)]
    before = peak_memory(os.getpid())
    frames = []
    for pool in pools:
        for name in names:
            row = recorder.row(name)
            row.latency[0], row.service = list(pool), list(pool)
        frames.append(recorder.flush())
    for second in range(3600):
        frame = frames[second % len(frames)]
        for row in frame.rows.values():
            row.seconds = {second: next(iter(row.seconds.values()))}
        totals.add(frame)
    held = peak_memory(os.getpid()) - before
    print(f"\n## Memory: an hour of seconds with ten names\n\n{held:.0f} MB (bar: 200 MB)")
    return [f"memory: {held:.0f} MB"] if held > 200 else []


class Both:
    """Standard output, and a file."""

    def __init__(self, path: Path) -> None:
        self._out, self._file = sys.stdout, path.open("w")

    def write(self, text: str) -> None:
        self._out.write(text)
        self._file.write(text)

    def flush(self) -> None:
        self._out.flush()
        self._file.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--each", type=int, default=1, help="requests of a session of ours")
    parser.add_argument("--markdown", type=Path, help="write the tables there, too")
    parser.add_argument("--only", default="", help="parts of the tools' names, with commas")
    parser.add_argument("--rivals", type=Path, default=Path("bench/.venv/bin").absolute())
    options = parser.parse_args()
    begun = time.monotonic()
    if options.markdown:
        sys.stdout = Both(options.markdown)  # type: ignore[assignment]
    with target() as at:
        times = closed_loop(at, options)
        missed = [] if options.only else [*precision(at), *stalls(at)]
        if not options.only:
            many_connections(at)
    if not options.only:
        missed += memory_over_time()
    for kind, bar, ahead in (("plain", 1.7, 7), ("compiled", 1.15, 10)):
        ours = times.get(OURS[kind])
        if ours is None:
            continue
        if ours > bar:
            missed.append(f"{OURS[kind]}: {ours:.2f} × wrk, bar {bar}")
        for rival in ("Locust FastHttpUser", "Molotov"):
            if rival in times and times[rival] / ours < ahead:
                missed.append(
                    f"{OURS[kind]}: {times[rival] / ours:.1f} × below {rival}, bar {ahead}"
                )
    print(f"\nin {time.monotonic() - begun:.0f} s")
    for what in missed:
        print(f"missed: {what}")
    raise SystemExit(8 if missed else 0)


if __name__ == "__main__":
    main()
