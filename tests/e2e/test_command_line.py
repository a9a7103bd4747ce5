"""The command line as people and service managers use it, with a real supervisor below."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chapiteau.run.client import Client
from tests.support import alive, run_cli, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

TICK = 'command = ["sh", "-c", "while :; do echo tick; sleep 0.05; done"]'


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if (tmp_path / ".chapiteau").exists():
        run_cli("down", "--timeout", "15s", cwd=tmp_path)


def write(folder: Path, text: str) -> None:
    (folder / "chapiteau.toml").write_text(textwrap.dedent(text))


def up(folder: Path, text: str, *args: str) -> Client:
    write(folder, text)
    done = run_cli("up", "-d", "--timeout", "15s", *args, cwd=folder)
    assert done.returncode == 0, done.stderr
    return Client.find(folder)


class Foreground:
    """`chapiteau up` in the foreground, with everything that it prints."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.folder = folder
        self.output = ""
        self.child = subprocess.Popen(
            [sys.executable, "-u", "-m", "chapiteau", *args],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NO_COLOR": "1"},
        )

    def until(self, text: str, deadline: float = 15.0) -> str:
        """Read until this stands in the output; what came up to there."""
        assert self.child.stdout is not None
        end = time.monotonic() + deadline
        while text not in self.output:
            ready, _, _ = select.select([self.child.stdout], [], [], 0.1)
            if ready:
                piece = os.read(self.child.stdout.fileno(), 1 << 16)
                assert piece, f"{text!r} never came:\n{self.output}"
                self.output += piece.decode()
            assert time.monotonic() < end, f"{text!r} did not come in time:\n{self.output}"
        found, _, self.output = self.output.partition(text)
        return found + text

    def end(self, deadline: float = 15.0) -> int:
        """Wait for its end; gives the exit code."""
        rest, _ = self.child.communicate(timeout=deadline)
        self.output += rest.decode()
        return self.child.returncode


@pytest.fixture
def foreground(folder: Path) -> Iterator[Callable[..., Foreground]]:
    """`foreground("up")` starts it; what still runs at the end is killed."""
    started: list[Foreground] = []

    def start(*words: str) -> Foreground:
        started.append(Foreground(folder, *words))
        return started[-1]

    yield start
    for one in started:
        one.child.kill()
        one.child.communicate()


def test_in_the_foreground_output_is_shown_and_ctrl_c_ends_all(
    folder: Path, foreground: Callable[..., Foreground]
) -> None:
    write(folder, f'[socket.web]\n[service.web]\n{TICK}\nsockets = ["web"]\nprocesses = 2\n')
    shown = foreground("up")
    told = shown.until("is ready\n  web  http://127.0.0.1:")
    shown.until("web.2 | tick\n")
    shown.until("web.1 | tick\n")
    assert "service.ready web" in told
    status = Client.find(folder).status()
    pids = [p.pid for s in status.services for p in s.processes]
    shown.child.send_signal(signal.SIGINT)
    assert shown.end() == 0
    assert "stopping … (again: faster)" in shown.output
    wait_for(lambda: not any(map(alive, [*pids, status.pid, status.keeper_pid])))


def test_a_second_ctrl_c_does_not_wait_for_the_stubborn(
    folder: Path, foreground: Callable[..., Foreground]
) -> None:
    write(
        folder,
        """
        [service.stubborn]
        command = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
        stop_timeout = "60s"
        """,
    )
    shown = foreground("up")
    shown.until("is ready")
    shown.child.send_signal(signal.SIGINT)
    shown.until("process.stopping")
    shown.child.send_signal(signal.SIGINT)
    assert shown.end() == 130


def test_output_goes_on_when_the_brain_is_killed(
    folder: Path, foreground: Callable[..., Foreground]
) -> None:
    write(
        folder,
        """
        [service.count]
        command = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo n=$i; sleep 0.02; done"]
        """,
    )
    shown = foreground("up")
    seen = shown.until("n=20\n")
    os.kill(Client.find(folder).status().pid, signal.SIGKILL)
    seen += shown.until("n=200\n")
    numbers = [int(n) for n in re.findall(r"n=(\d+)\n", seen)]
    assert numbers == list(range(1, 201)), "a line was lost, doubled or out of order"
    shown.child.send_signal(signal.SIGTERM)
    assert shown.end() == 0


def test_an_essential_service_takes_up_down_with_it(
    folder: Path, foreground: Callable[..., Foreground]
) -> None:
    write(
        folder,
        f"""
        [service.other]
        {TICK}
        [service.main]
        command = ["sh", "-c", "sleep 0.7; echo broken >&2; exit 9"]
        essential = true
        restart = {{policy = "never"}}
        """,
    )
    shown = foreground("up")
    assert shown.end() == 9
    assert "main" in shown.output
    assert "broken" in shown.output, "its last lines are shown, however fast it all went"


def test_only_what_is_named_starts_and_what_it_needs(folder: Path) -> None:
    client = up(
        folder,
        f'[service.db]\n{TICK}\n[service.web]\n{TICK}\nneeds = ["db"]\n[service.odd]\n{TICK}\n',
        "web",
    )
    states = {s.name: s.state for s in client.status().services}
    assert states == {"db": "running", "web": "running", "odd": "stopped"}


def test_without_wait_up_returns_before_all_is_ready(folder: Path) -> None:
    text = f'[service.web]\n{TICK}\nready = {{log = "never"}}\n'
    client = up(folder, text, "--no-wait")
    assert client.status().services[0].ready == 0


def test_a_daemon_tells_its_readiness_and_ends_at_term(folder: Path, tmp_path: Path) -> None:
    write(folder, f"[service.web]\n{TICK}\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(60)
        daemon = subprocess.Popen(
            [sys.executable, "-m", "chapiteau", "run", "daemon"],
            cwd=folder,
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.DEVNULL,
        )
        try:
            assert b"READY=1" in notify.recv(4096)
            assert Client.find(folder).status().keeper_pid == daemon.pid
            daemon.send_signal(signal.SIGTERM)
            assert b"STOPPING=1" in notify.recv(4096)
            assert daemon.wait(60) == 0
        finally:
            daemon.kill()
            daemon.wait()


def test_sockets_that_systemd_has_bound_are_taken_with_who_waits_there(folder: Path) -> None:
    """By their name and by their address; what is of no use is closed."""
    with socket.create_server(("127.0.0.1", 0)) as named, socket.create_server(("::1", 0), family=socket.AF_INET6) as other, socket.create_server(("127.0.0.1", 0)) as unknown:  # fmt: skip # noqa: E501
        write(
            folder,
            f"""
            [socket.web]
            port = 1
            [socket.six]
            host = "::1"
            port = {other.getsockname()[1]}
            [service.web]
            command = ["{sys.executable}", "serve.py"]
            sockets = ["web", "six"]
        """,
        )
        (folder / "serve.py").write_text(SERVES_BOTH)
        fds = [fcntl.fcntl(one, fcntl.F_DUPFD, 50) for one in (named, other, unknown)]
        moves = " ".join(f"{3 + index}<&{fd}" for index, fd in enumerate(fds))
        words = f"exec {moves}; LISTEN_PID=$$ exec {sys.executable} -m chapiteau run daemon"
        waiting = [socket.create_connection(one.getsockname()[:2]) for one in (named, other)]
        names = {"LISTEN_FDS": "3", "LISTEN_FDNAMES": "web:shop.socket:shop.socket"}
        daemon = subprocess.Popen(
            ["bash", "-c", words], cwd=folder, env={**os.environ, **names},
            stderr=subprocess.DEVNULL, pass_fds=fds,
        )  # fmt: skip
        for fd in fds:
            os.close(fd)
        unused = unknown.getsockname()
    try:
        for one in waiting:  # nobody but the daemon has their listeners now
            with one:
                one.settimeout(60)
                assert one.recv(9) == b"hello"
        wait_for(lambda: not opens(unused), what="what is of no use is closed")
    finally:
        daemon.terminate()
        daemon.wait(60)


def opens(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


SERVES_BOTH = """
import socket, threading
def serve(s):
    while True:
        c, _ = s.accept()
        c.sendall(b"hello")
        c.close()
for fd in (4, 3):
    t = threading.Thread(target=serve, args=(socket.socket(fileno=fd),))
    t.start()
"""


def test_an_upgrade_renews_the_supervisor_and_no_service_notices(folder: Path) -> None:
    client = up(folder, f"[service.web]\n{TICK}\n")
    before = client.status()
    done = run_cli("run", "upgrade", cwd=folder)
    assert done.returncode == 0, done.stderr
    after = client.status()
    assert after.pid != before.pid
    assert after.keeper_pid == before.keeper_pid
    assert after.services[0].processes[0].pid == before.services[0].processes[0].pid
    assert "supervisor.upgraded" in {getattr(e, "kind", "") for e in client.events()}


def test_exec_runs_in_the_services_place(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "vars.env").write_text("FROM_FILE='a b'\n")
    write(
        folder,
        """
        [service.web]
        command = "sleep 9"
        cwd = "sub"
        umask = "027"
        env_files = ["vars.env"]
        env = {WHO = "${service.name}", API = "http://${socket.api.address}/ ${socket.un.address}"}
        [socket.api]
        host = "::1"
        port = 8099
        [socket.un]
        path = "un.sock"
        """,
    )
    script = "pwd; umask; echo $WHO $FROM_FILE; echo $API; exit 7"
    done = run_cli("run", "exec", "web", "--", "sh", "-c", script, cwd=folder)
    assert done.returncode == 7, done.stderr
    assert done.stdout.splitlines() == [
        str(folder / "sub"), "0027", "web a b", f"http://[::1]:8099/ {folder}/un.sock",
    ]  # fmt: skip


def test_one_changed_service_of_many_is_all_that_restarts(folder: Path) -> None:
    text = "".join(f"[service.s{n}]\n{TICK}\n" for n in range(5))
    client = up(folder, text)
    before = {s.name: s.processes[0].pid for s in client.status().services}
    write(folder, text.replace(f"[service.s3]\n{TICK}", f"[service.s3]\n{TICK}\nnice = 1"))
    planned = run_cli("plan", cwd=folder).stdout
    assert planned == "~ service s3  restart  nice 0 → 1\n"
    assert run_cli("reload", cwd=folder).returncode == 0
    after = {s.name: s.processes[0].pid for s in client.status().services}
    assert [name for name in before if before[name] != after[name]] == ["s3"]
    assert run_cli("plan", cwd=folder).stdout == "nothing would change\n"


@pytest.mark.parametrize(
    ("addition", "says"),
    [
        pytest.param("[service.b]\ncommand = x", "not valid TOML", id="syntax error"),
        pytest.param("[service.b]\ncomand = 'x'", "did you mean 'command'?", id="unknown key"),
        pytest.param("[service.b]\ncommand = 'x'\nprocesses = '2'", "whole number", id="type"),
        pytest.param("[service.b]\ncommand = 'x'\nneeds = ['b']", "b → b", id="ring"),
        pytest.param("[service.b]\ncommand = 'x'\numask = 'u'", "is not octal", id="rule"),
    ],
)
def test_a_broken_file_changes_nothing(folder: Path, addition: str, says: str) -> None:
    text = f"[service.a]\n{TICK}\n"
    client = up(folder, text)
    before = client.status().services
    write(folder, text + addition)
    done = run_cli("reload", cwd=folder)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    after = client.status().services
    assert [(s.name, s.processes[0].pid) for s in after] == [
        (s.name, s.processes[0].pid) for s in before
    ]
    assert run_cli("status", cwd=folder).returncode == 0


def test_a_secret_is_nowhere_but_in_the_process(folder: Path) -> None:
    (folder / "pw").write_text("hush-5381\n")
    (folder / "pw").chmod(0o600)
    client = up(folder, f'[service.web]\n{TICK}\nenv = {{PW = {{file = "pw"}}}}\n')
    pid = client.status().services[0].processes[0].pid
    assert b"PW=hush-5381" in Path(f"/proc/{pid}/environ").read_bytes()
    told = json.dumps([client.config(), client.status().to_dict()])
    for words in (("status", "-o", "wide"), ("events", "--json"), ("logs",), ("plan", "--json")):
        told += run_cli(*words, cwd=folder).stdout
    told += Path(f"/proc/{pid}/cmdline").read_text()
    for path in (folder / ".chapiteau").rglob("*"):
        if path.is_file():
            told += path.read_bytes().decode(errors="replace")
    assert '"file": "pw"' in told
    assert "hush" not in told


def test_logs_follow_and_filter(folder: Path, foreground: Callable[..., Foreground]) -> None:
    client = up(
        folder,
        """
        [service.web]
        command = ["sh", "-c", "echo one; echo two >&2; echo three; sleep 99"]
        ready = {log = "three"}
        """,
    )
    assert run_cli("logs", "--grep", "^t", cwd=folder).stdout.count("web.1 | t") == 2
    only = run_cli("logs", "--stream", "stderr", "--json", cwd=folder).stdout
    assert [json.loads(line)["text"] for line in only.splitlines()] == ["two"]
    follower = foreground("logs", "-f", "-n", "5")
    follower.until("three\n")
    client.command("restart", "web")
    follower.until("web.1 | one\n")
