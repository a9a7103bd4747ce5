"""Requests per CPU second of the server, side by side in one run, with wrk as the client.

    python bench/service/overhttp.py --python /path/to/venv/with/rivals/bin/python

Each server gets one process on core 0, wrk core 1. CPU is that of the server process and its
children, from /proc.
"""

import argparse
import os
import re
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
    ("falcon on the same worker", WORKER, "falcon_app"),
    ("pyramid on the same worker", WORKER, "pyramid_app"),
    ("cornice on the same worker", WORKER, "cornice_app"),
    ("chapiteau on granian", GRANIAN, "chapiteau_app"),
    ("falcon on granian", GRANIAN, "falcon_app"),
    ("litestar on uvicorn", UVICORN, "litestar_app"),
    ("fastapi on uvicorn", UVICORN, "fastapi_app"),
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--seconds", type=int, default=3)
    args = parser.parse_args()
    base: dict[str, float] = {}
    print(f"{'requests per CPU second':32s}{'ping':>20s}{'post':>20s}")
    for label, words, app in CONTENDERS:
        found = measure(args.python, words, app, args.seconds)
        base = base or found
        cells = [f"{v:10,.0f} ({v / base[c]:4.2f})" for c, v in found.items()]
        print(f"{label:32s}" + "".join(f"{cell:>20s}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
