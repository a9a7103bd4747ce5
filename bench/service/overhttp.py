"""Requests per CPU second of the server, side by side in one run, with wrk as the client.

    python bench/service/overhttp.py --python /path/to/venv/with/rivals/bin/python

Each server gets one process on core 0, wrk core 1. CPU is that of the server process and its
children, from /proc.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
WORKER = ["-m", "chapiteau", "service", "serve", "{app}:make", "--bind", "127.0.0.1:{port}"]
GRANIAN = [
    "-m", "granian", "{app}:make", "--factory", "--interface", "wsgi", "--port", "{port}",
    "--workers", "1", "--log-level", "error",
]  # fmt: skip
UVICORN = [
    "-m", "uvicorn", "{app}:make", "--factory", "--port", "{port}", "--log-level", "error",
    "--no-access-log",
]  # fmt: skip
CONTENDERS = (
    ("chapiteau on its own worker", WORKER, "chapiteau_app"),
    ("Falcon on the same worker", WORKER, "falcon_app"),
    ("Pyramid on the same worker", WORKER, "pyramid_app"),
    ("Cornice on the same worker", WORKER, "cornice_app"),
    ("chapiteau on granian", GRANIAN, "chapiteau_app"),
    ("Falcon on granian", GRANIAN, "falcon_app"),
    ("Litestar on uvicorn", UVICORN, "litestar_app"),
    ("FastAPI on uvicorn", UVICORN, "fastapi_app"),
)
BUDGETS = (
    ("ours ÷ FastAPI on uvicorn, ping", "FastAPI on uvicorn", "ping", 4.0),
    ("ours ÷ FastAPI on uvicorn, post", "FastAPI on uvicorn", "post", 4.0),
    ("ours ÷ Falcon on the same worker, ping", "Falcon on the same worker", "ping", 1.0),
    ("ours ÷ Falcon on the same worker, post", "Falcon on the same worker", "post", 1.0),
)
POST = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[BODY]]
"""


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(int(f) for f in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu(int(child)) for child in children)


def measure(python: str, words: list[str], app: str, seconds: int) -> dict[str, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    source = str(HERE.parent.parent / "src")
    paths = os.pathsep.join([source, str(HERE), str(HERE / "apps")])
    command = [w.format(app=app, port=port) for w in words]
    server = subprocess.Popen(
        ["taskset", "-c", "0", python, "-W", "ignore", *command],
        env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        time.sleep(0.5)
        return {case: load(server.pid, port, case, seconds) for case in ("ping", "post")}
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def load(pid: int, port: int, case: str, seconds: int) -> float:
    sys.path.insert(0, str(HERE))
    from contract import GOOD_BODY

    words = ["taskset", "-c", "1", "wrk", "-t1", "-c16", f"-d{seconds}s"]
    path = "/ping"
    script = Path("/tmp") / f"bench-post-{os.getpid()}.lua"
    if case == "post":
        script.write_text(POST.replace("BODY", GOOD_BODY.decode()))
        words += ["-s", str(script)]
        path = "/items"
    before = cpu(pid)
    told = subprocess.run(
        [*words, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
    ).stdout
    used = cpu(pid) - before
    script.unlink(missing_ok=True)
    if "Non-2xx" in told:
        raise SystemExit(told)
    return int(re.search(r"(\d+) requests in", told)[1]) / used


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--seconds", type=int, default=3)
    args = parser.parse_args()
    if not shutil.which("wrk"):
        print("over HTTP: left out, wrk is not installed")
        return 0
    found = {}
    print("requests per CPU second over HTTP (in brackets: times ours)\n")
    print("| server and application | ping | post |\n|---|--:|--:|")
    for label, words, app in CONTENDERS:
        try:
            found[label] = measure(args.python, words, app, args.seconds)
        except (subprocess.CalledProcessError, OSError) as exc:
            print(f"| {label} | could not be measured: {exc} | |")
            continue
        ours = found[CONTENDERS[0][0]]
        cells = [f"{v:,.0f} ({v / ours[c]:.2f})" for c, v in found[label].items()]
        print(f"| {label} | " + " | ".join(cells) + " |", flush=True)
    return judge(found)


def judge(found: dict[str, dict[str, float]]) -> int:
    """8 when a budget is missed."""
    missed = 0
    print("\n| budget | found | |\n|---|--:|---|")
    for words, rival, case, least in BUDGETS:
        if rival in found:
            times = found[CONTENDERS[0][0]][case] / found[rival][case]
            missed |= times < least
            print(f"| {words} ≥ {least:g} | {times:.2f} | {'ok' if times >= least else 'MISSED'} |")
    return 8 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
