"""`chapiteau dash …` as a person types it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import run_cli, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "chapiteau.toml").write_text('[project]\nname = "shop"\n[dash]\nport = 0\n')
    return tmp_path


@pytest.fixture
def served(project: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A dashboard without a supervisor, as a process; READY=1 was said before the test begins."""
    path = project / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(path))
        ready.settimeout(60)
        child = subprocess.Popen(
            [sys.executable, "-m", "chapiteau", "dash", "serve"],
            cwd=project,
            env={**os.environ, "NOTIFY_SOCKET": str(path)},
            stdout=subprocess.PIPE,
        )
        try:
            assert ready.recv(100) == b"READY=1"
            yield child
        finally:
            child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()


def test_by_hand_it_prints_its_link(project: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    with subprocess.Popen(
        [sys.executable, "-m", "chapiteau", "dash", "serve"],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        child.kill()
    assert b"#token=" in line


def test_it_serves_and_goes_when_told_and_its_log_lets_nobody_in(
    project: Path, served: subprocess.Popen[bytes]
) -> None:
    told = json.loads(run_cli("dash", "url", "--json", cwd=project).stdout)
    assert run_cli("dash", "url", cwd=project).stdout.strip() == told["url"]
    assert "#token=" in told["url"]
    assert stat.S_IMODE((project / ".chapiteau/dash.json").stat().st_mode) == 0o600
    with urllib.request.urlopen(told["base"], timeout=60) as page:
        assert b"<!doctype html>" in page.read().lower()
    assert served.stdout is not None
    line = served.stdout.readline()
    assert told["base"].encode() in line
    assert b"token" not in line  # viewers read logs, and who has the link is an admin
    served.send_signal(signal.SIGTERM)
    assert served.wait(60) == 0
    assert not (project / ".chapiteau/dash.json").exists()


def test_a_second_one_for_the_same_project_is_refused(
    project: Path, served: subprocess.Popen[bytes]
) -> None:
    done = run_cli("dash", "serve", "--bind", "127.0.0.1:0", cwd=project)
    assert done.returncode == 4
    assert "chapiteau dash url" in done.stderr
    assert (project / ".chapiteau/dash.json").exists()
    assert served.poll() is None


def test_without_a_dashboard_the_url_says_how_to_start_one(project: Path) -> None:
    done = run_cli("dash", "url", cwd=project)
    assert done.returncode == 5
    assert "chapiteau dash serve" in done.stderr
    assert done.stdout == ""


def test_a_second_one_takes_the_next_port_but_not_a_given_one(project: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = run_cli("dash", "serve", "--bind", f"127.0.0.1:{port}", cwd=project)
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr


@pytest.mark.parametrize("bind", ["8800", "127.0.0.1:x", "127.0.0.1:99999", ":1"])
def test_a_strange_bind_is_refused(project: Path, bind: str) -> None:
    done = run_cli("dash", "serve", "--bind", bind, cwd=project)
    assert done.returncode == 2
    assert "HOST:PORT" in done.stderr


def test_beyond_loopback_it_refuses_without_tls_and_login(project: Path) -> None:
    done = run_cli("dash", "serve", "--bind", "0.0.0.0:0", cwd=project)
    assert done.returncode == 2
    assert "there is no TLS" in done.stderr
    assert "nobody has an account" in done.stderr


def test_a_typo_in_dash_is_told_with_its_line(project: Path) -> None:
    (project / "chapiteau.toml").write_text("[dash]\nprot = 1\n")
    done = run_cli("dash", "serve", cwd=project)
    assert done.returncode == 2
    assert "chapiteau.toml:2" in done.stderr
    assert "did you mean 'port'?" in done.stderr


def test_a_restart_keeps_whoever_was_logged_in(
    project: Path, served: subprocess.Popen[bytes]
) -> None:
    told = json.loads((project / ".chapiteau/dash.json").read_text())
    served.kill()
    served.wait()
    again = subprocess.Popen(
        [sys.executable, "-m", "chapiteau", "dash", "serve"],
        cwd=project,
        stdout=subprocess.DEVNULL,
    )
    try:
        now = wait_for(
            lambda: (
                new
                if (new := json.loads((project / ".chapiteau/dash.json").read_text())) != told
                else None
            ),
            what="a new link",
        )
        assert now["url"] != told["url"]
    finally:
        again.terminate()
        assert again.wait(60) == 0
