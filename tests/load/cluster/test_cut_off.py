"""A machine that puts load on is cut off from the network: a namespace whose link goes down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(180)]

SERVER = """
import http.server, threading, time
count = 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global count
        count += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_): pass
server = Server(("127.0.0.1", 18467), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    time.sleep(0.5)
    print(count, flush=True)
"""


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """A namespace with an sshd: its name, our end of its link, the words that reach it."""
    tools = {n: shutil.which(n, path="/usr/sbin:/usr/bin:/sbin:/bin") for n in ("ip", "sshd")}
    if os.geteuid() or not all(tools.values()) or not shutil.which("ssh-keygen"):
        pytest.skip("needs root, iproute2 and openssh-server")
    space, net = f"cut{os.getpid()}", f"10.{87 + os.getpid() % 8}.{os.getpid() % 250}"
    ours, theirs = f"ca{os.getpid()}", f"cb{os.getpid()}"

    def ip(*words: str) -> None:
        subprocess.run([tools["ip"] or "ip", *words], check=True, capture_output=True)

    with ExitStack() as stack:
        try:
            ip("netns", "add", space)
        except subprocess.CalledProcessError:
            pytest.skip("network namespaces are not allowed here")
        stack.callback(ip, "netns", "del", space)
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", space)
        ip("addr", "add", f"{net}.1/24", "dev", ours)
        ip("link", "set", ours, "up")
        for words in (
            f"addr add {net}.2/24 dev {theirs}",
            f"link set {theirs} up",
            "link set lo up",
        ):
            ip("-n", space, *words.split())
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True
            )
        (tmp_path / "keys").write_bytes((tmp_path / "user.pub").read_bytes())
        (tmp_path / "keys").chmod(0o600)
        (tmp_path / "sshd_config").write_text(
            f"Port 2299\nListenAddress {net}.2\nHostKey {tmp_path}/host\nStrictModes no\n"
            f"AuthorizedKeysFile {tmp_path}/keys\nPidFile none\nUsePAM no\n"
            "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        )
        os.makedirs("/run/sshd", exist_ok=True)
        inside = [tools["ip"] or "ip", "netns", "exec", space]
        server = subprocess.Popen(
            [*inside, tools["sshd"] or "sshd", "-D", "-f", str(tmp_path / "sshd_config")]
        )
        stack.callback(server.wait)
        stack.callback(server.kill)
        known = f"-o UserKnownHostsFile={tmp_path}/known -o StrictHostKeyChecking=accept-new"
        yield space, ours, f"{net}.2 ssh -F none -p 2299 -i {tmp_path}/user {known}"


def test_a_machine_that_is_cut_off_ends_its_load_by_itself_and_is_told(
    far: tuple[str, str, str], tmp_path: Path
) -> None:
    space, link, reached = far
    host, _, ssh = reached.partition(" ")
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "one.py").write_text(
        "from chapiteau.load import scenario\n"
        "@scenario\nasync def one(session):\n    await session.get('/')\n"
    )
    log = tmp_path / "served"
    with log.open("w") as out, ExitStack() as stack:
        served = subprocess.Popen(
            ["ip", "netns", "exec", space, sys.executable, str(tmp_path / "server.py")], stdout=out
        )
        stack.callback(served.wait)
        stack.callback(served.kill)

        def count() -> int:
            lines = log.read_text().split()
            return int(lines[-1]) if lines else 0

        wait_for(log.read_text, what="the server runs")
        command = [
            sys.executable,
            "-m",
            "chapiteau",
            "load",
            "run",
            "one.py",
            "-r",
            "40",
            "-d",
            "2m",
        ]
        command += ["--base", "http://127.0.0.1:18467", "--on", f"ssh:{host}", "--on-ssh", ssh]
        command += ["--on-python", sys.executable, "--processes", "1", "--no-store", "-q", "--json"]
        run = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        wait_for(lambda: count() > 100, what="load comes")
        cut = time.monotonic()
        subprocess.run(["ip", "link", "set", link, "down"], check=True)
        told, _ = run.communicate(timeout=60)
        with suppress(subprocess.TimeoutExpired):
            served.wait(max(0.1, cut + 30 - time.monotonic()))
        before = count()
        with suppress(subprocess.TimeoutExpired):
            served.wait(3)

        assert run.returncode == 10
        found = json.loads(told)
        assert "was lost: silent for" in found["verdict"]["line"]
        assert found["seconds"] < 100
        assert count() == before, "the machine that was cut off still puts load on"
