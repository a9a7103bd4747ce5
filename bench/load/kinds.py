"""What a request costs the load generator over TLS, over HTTP/2, without keep-alive, and what a
WebSocket message costs; beside wrk and h2load, and beside another checkout of Chapiteau.

    python bench/load/kinds.py [--rounds 3] [--seconds 3] [--before FOLDER] [--only tls,…]

User and system CPU of the generator alone; nginx (for WebSocket a small echo server) is on the
other core. Rounds are interleaved; the figure is the least of all rounds, since whatever else runs
only ever adds. FOLDER is the root of an older checkout: its plain engine is measured as well.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from compare import HERE, Target, Tool, cost, has_compiled, pinned

NGINX = """daemon off; pid {0}/pid; error_log /dev/null; worker_processes 1;
worker_rlimit_nofile 20000; events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 100000000; ssl_certificate {0}/cert.pem;
ssl_certificate_key {0}/key.pem; ssl_session_cache shared:s:8m; ssl_protocols TLSv1.3;
http2_max_requests 100000000;
{1} }}
"""
SERVER = 'server {{ listen 127.0.0.1:{0} {1}; location / {{ return 200 "{2}"; }} {3} }}\n'
STATUS = "location /status { stub_status; }"
ECHO = """
import asyncio, base64, hashlib, sys
async def serve(r, w):
    head = await r.readuntil(b"\\r\\n\\r\\n")
    lines = [line.split(b":", 1) for line in head.split(b"\\r\\n") if b":" in line]
    key = {name.lower(): value.strip() for name, value in lines}[b"sec-websocket-key"]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    w.write(b"HTTP/1.1 101 Switching\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
            b"Sec-WebSocket-Accept: " + accept + b"\\r\\n\\r\\n")
    try:
        while True:
            start = await r.readexactly(2)
            if start[0] != 0x81: break
            n = start[1] & 127
            mask, data = await r.readexactly(4), await r.readexactly(n)
            whole = (mask * (n // 4 + 1))[:n]
            text = (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(n, "big")
            w.write(bytes([0x81, n]) + text)
    except asyncio.IncompleteReadError: pass
    w.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def servers() -> Iterator[dict[str, str]]:
    """nginx, plain, over TLS, with HTTP/2 and with both; and the echo server. URLs by name."""
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if nginx is None or shutil.which("openssl") is None:
        print("bench/load: nginx and openssl are needed; nothing measured")
        raise SystemExit(0)
    names = ("plain", "tls", "h2c", "h2", "echo")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-subj", "/CN=localhost", "-days", "2", "-keyout", f"{folder}/key.pem",
             "-out", f"{folder}/cert.pem"], check=True, capture_output=True,
        )  # fmt: skip
        kinds = {"plain": "backlog=8192", "tls": "ssl", "h2c": "http2", "h2": "ssl http2"}
        parts = [SERVER.format(ports[n], k, "x" * 130, STATUS) for n, k in kinds.items()]
        Path(folder, "nginx.conf").write_text(NGINX.format(folder, "".join(parts)))
        for command in (
            [nginx, "-c", f"{folder}/nginx.conf", "-p", folder],
            [sys.executable, "-c", ECHO, str(ports["echo"])],
        ):
            server = subprocess.Popen([*pinned("0"), *command], stderr=subprocess.DEVNULL)
            stack.callback(server.wait, 10)
            stack.callback(server.terminate)
        for port in ports.values():
            wait_for(port)
        yield {
            name: f"{'https' if name in {'tls', 'h2'} else 'http'}://127.0.0.1:{port}"
            for name, port in ports.items()
        }


def wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def rival(command: list[str], at: Target, seconds: float) -> float | None:
    if shutil.which(command[0]) is None:
        return None
    measured = cost(Tool(command[0], command), at, seconds)
    return measured[0] if measured else None


def ours(
    url: str, kind: str, engine: str, source: Path | None, seconds: float, users: int
) -> float | None:
    env = {**os.environ, "CHAPITEAU_LOAD_ENGINE": engine}
    if source is not None:
        env["PYTHONPATH"] = str(source / "src")
    script = str(HERE / "ours_kinds.py")
    done = subprocess.run(
        [*pinned(str((os.cpu_count() or 1) - 1)), sys.executable, script, url,
         str(seconds + 1.5), str(users), kind],
        env=env, capture_output=True, text=True, timeout=seconds + 60, check=False,
    )  # fmt: skip
    if done.returncode:
        print(f"left out, {kind} {engine}: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--before", type=Path, help="root of an older checkout")
    parser.add_argument("--only", default="", help="parts of the rows' names, with commas")
    options = parser.parse_args()
    n = str(options.users)
    with servers() as urls:
        at = Target(urls["plain"], 0)
        wrk = ["wrk", "-t1", f"-c{n}", "-d60s"]
        h2 = ["h2load", "-t1", f"-c{n}", "-D60"]
        rows: dict[str, tuple[str, str, list[str]]] = {
            "keep-alive": (urls["plain"], "keep", [*wrk, urls["plain"] + "/"]),
            "no keep-alive": (
                urls["plain"], "close", [*wrk, "-H", "Connection: close", urls["plain"] + "/"],
            ),
            "tls": (urls["tls"], "keep", [*wrk, urls["tls"] + "/"]),
            "tls and no keep-alive": (
                urls["tls"], "close", [*wrk, "-H", "Connection: close", urls["tls"] + "/"],
            ),
            "h2c": (urls["h2c"], "http2", [*h2, urls["h2c"] + "/"]),
            "h2 over tls": (urls["h2"], "http2", [*h2, urls["h2"] + "/"]),
            "websocket message": (urls["echo"], "websocket", []),
        }  # fmt: skip
        if options.only:
            wanted = options.only.split(",")
            rows = {name: row for name, row in rows.items() if any(w in name for w in wanted)}
        engines = ["plain", *(["compiled"] if has_compiled() else [])]
        best: dict[tuple[str, str], float] = {}
        for _ in range(options.rounds):
            for name, (url, kind, command) in rows.items():
                found: dict[str, float | None] = {}
                if command:
                    found["rival"] = rival(command, at, options.seconds)
                for engine in engines:
                    found[engine] = ours(url, kind, engine, None, options.seconds, options.users)
                if options.before:
                    found["before"] = ours(
                        url, kind, "plain", options.before, options.seconds, options.users
                    )
                for column, value in found.items():
                    if value is not None:
                        key = (name, column)
                        best[key] = min(best.get(key, value), value)
    columns = ["rival", *engines, *(["before"] if options.before else [])]
    print("\n| µs of CPU a request | wrk, h2load | " + " | ".join(columns[1:]) + " |")
    print("|---|" + "--:|" * len(columns))
    for name in rows:
        cells = [f"{best[name, c]:.1f}" if (name, c) in best else "–" for c in columns]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
