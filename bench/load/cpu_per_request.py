"""CPU that one request costs the load generator: Chapiteau (full session) against wrk and others.

One target (a small epoll server in C terms: nginx when it is there, else the null responder),
64 keep-alive connections, closed loop. CPU is that of the whole process tree (user and system)
between two moments inside the run, divided by the requests in that time. Ratios to wrk in the
same run are what counts; absolute times depend on the machine's mood.

    python bench/load/cpu_per_request.py [--seconds 4] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
TICK = os.sysconf("SC_CLK_TCK")

CHAPITEAU = """
import asyncio, resource, sys, time
from chapiteau.load.engine.http.client import Client
from chapiteau.load.engine.hot.reactor import Reactor
from chapiteau.load.engine.crowd import Crowd, Stage
from chapiteau.load.logic.scenario import Play, Scenario
from chapiteau.load.logic.tally import Tally
from chapiteau.load.logic.totals import Totals

async def main():
    loop = asyncio.get_running_loop()
    reactor, tally = Reactor(loop), Tally()
    client = Client(reactor, tally, base=sys.argv[1])
    async def get(session):
        answer = await session.get("/")
        session.check(answer.status == 200, "answers")
    crowd = Crowd(client, Play((Scenario("get", get),)), tally, Stage(0, 1, {}), seed="1", most=64)
    tally.zero = time.monotonic()
    seconds = float(sys.argv[2])
    task = asyncio.create_task(crowd.keep(lambda at: 64, seconds, asyncio.Event()))
    totals = Totals()
    await asyncio.sleep(0.5)
    totals.add(tally.flush())
    before, cpu = totals.requests, time.process_time()
    for _ in range(int(seconds - 0.7)):
        await asyncio.sleep(1)
        totals.add(tally.flush())      # what a real run does once a second
    cpu = time.process_time() - cpu
    print("RESULT", cpu / (totals.requests - before) * 1e6)
    await task
asyncio.run(main())
"""


@contextmanager
def target() -> Iterator[str]:
    """nginx on core 0 with a 130-byte answer, or the null responder."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    pin = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    process = subprocess.Popen(
        [*pin, sys.executable, "-m", "chapiteau.load.engine.responder"],
        stdout=subprocess.PIPE, text=True,
    ) if not nginx else None  # fmt: skip
    if process is not None:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()
            process.wait()
        return
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(
            f"daemon off; pid {folder}/pid; error_log /dev/null; worker_processes 1;\n"
            "events { worker_connections 4096; }\n"
            "http { access_log off; keepalive_requests 100000000; server {\n"
            f'  listen 127.0.0.1:{port}; location / {{ return 200 "{"x" * 130}"; }} }} }}\n'
        )
        server = subprocess.Popen([*pin, str(nginx), "-c", str(config), "-p", folder])
        try:
            subprocess.run(
                ["curl", "-s", "-o", "/dev/null", "--retry-connrefused", "--retry", "20",
                 "--retry-delay", "1", f"http://127.0.0.1:{port}/"], check=True,
            )  # fmt: skip
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def timed(command: list[str], requests: Callable[[str], float]) -> float:
    """µs of CPU for each request of a program that says how many it made."""
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return cpu / requests(done.stdout) * 1e6


def chapiteau(url: str, seconds: float, pin: list[str], plain: bool) -> float:
    env = {**os.environ, "CHAPITEAU_PLAIN": "1" if plain else ""}
    done = subprocess.run(
        [*pin, sys.executable, "-c", CHAPITEAU, url, str(seconds)],
        capture_output=True, text=True, check=True, env=env,
    )  # fmt: skip
    return float(done.stdout.split("RESULT")[1])


def first_number(pattern: str) -> Callable[[str], float]:
    return lambda text: float(re.search(pattern, text)[1])  # type: ignore[index]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pin = (
        ["taskset", "-c", str(min(1, (os.cpu_count() or 1) - 1))] if shutil.which("taskset") else []
    )
    found: dict[str, list[float]] = {}
    seconds = str(int(options.seconds))
    with target() as url:
        for _ in range(options.rounds):
            if shutil.which("wrk"):
                found.setdefault("wrk", []).append(
                    timed([*pin, "wrk", "-t1", "-c64", f"-d{seconds}s", url + "/"],
                          first_number(r"(\d+) requests in"))
                )  # fmt: skip
            if shutil.which("h2load"):
                found.setdefault("h2load --h1", []).append(
                    timed([*pin, "h2load", "--h1", "-t1", "-c64", "-D", seconds, url + "/"],
                          first_number(r"requests: (\d+) total"))
                )  # fmt: skip
            found.setdefault("chapiteau (plain Python)", []).append(
                chapiteau(url, options.seconds, pin, plain=True)
            )
            if has_compiled():
                found.setdefault("chapiteau (compiled)", []).append(
                    chapiteau(url, options.seconds, pin, plain=False)
                )
    base = statistics.median(found["wrk"]) if "wrk" in found else None
    print(f"{'tool':28} {'µs/request':>10} {'min':>7} {'× wrk':>7}")
    for tool, values in found.items():
        median = statistics.median(values)
        ratio = f"{median / base:.2f}" if base else "–"
        print(f"{tool:28} {median:10.2f} {min(values):7.2f} {ratio:>7}")


def has_compiled() -> bool:
    try:
        import chapiteau.load.engine.http._swift  # noqa: F401
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    main()
