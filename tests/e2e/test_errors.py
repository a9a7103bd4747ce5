"""What a newcomer does wrong in the first ten minutes, and what the command line says then."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import as_root, not_as_root, run_cli

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if (tmp_path / ".chapiteau").exists():
        run_cli("down", "--timeout", "10s", cwd=tmp_path)


def up(folder: Path, text: str, *args: str) -> "subprocess.CompletedProcess[str]":
    (folder / "chapiteau.toml").write_text(text)
    return run_cli("up", "-d", "--timeout", "10s", *args, cwd=folder)


def told(done: "subprocess.CompletedProcess[str]", code: int, *words: str) -> None:
    """The exit code, and every word on stderr; nothing of Python's own."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_missing_file(folder: Path) -> None:
    told(run_cli("up", cwd=folder), 3, "no chapiteau.toml", str(folder), "chapiteau new")
    told(run_cli("up", "-c", "shop.toml", cwd=folder), 3, "shop.toml: no such file")


def test_a_typo_in_a_key_names_its_line_and_the_right_word(folder: Path) -> None:
    done = up(folder, '[service.web]\ncommand = "sleep 9"\nprocesess = 2\n')
    told(done, 2, "chapiteau.toml:3: service.web.procesess", "did you mean 'processes'?")


def test_a_syntax_error_shows_the_line(folder: Path) -> None:
    told(up(folder, "[service.web]\ncommand = sleep\n"), 2, "line 2", "command = sleep")


def test_all_problems_are_told_at_once(folder: Path) -> None:
    done = up(
        folder,
        '[service.a]\ncommand = "x"\nneeds = ["b"]\numask = "9"\n'
        '[service.b]\ncommand = "y"\nneeds = ["a"]\n',
    )
    told(done, 2, "2 problems", "a → b → a", "'9' is not octal")


def test_a_port_in_use_names_its_holder(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = up(
            folder,
            f'[socket.web]\nport = {port}\n[service.web]\ncommand = "sleep 9"\nsockets = ["web"]\n',
        )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    for word in (f"127.0.0.1:{port}", "in use", f"pid {os.getpid()}"):
        assert word in done.stderr, done.stderr


def test_a_command_that_is_not_there(folder: Path) -> None:
    done = up(folder, '[service.web]\ncommand = "gnicorn app"\n')
    told(done, 1, "web", "command not found: gnicorn", "PATH")


@not_as_root
def test_another_user_needs_root(folder: Path) -> None:
    done = up(folder, '[service.web]\ncommand = "sleep 9"\nuser = "daemon"\n')
    told(done, 1, "only root may run it as daemon")


@as_root
def test_a_user_that_is_not_there(folder: Path) -> None:
    done = up(folder, '[service.web]\ncommand = "sleep 9"\nuser = "nosuchuser"\n')
    told(done, 1, "nosuchuser")


@not_as_root
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    (folder / "chapiteau.toml").touch(mode=0o000)
    told(run_cli("up", cwd=folder), 4, "may not be read", "ls -l")


def test_a_program_without_the_executable_bit(folder: Path) -> None:
    (folder / "serve.sh").write_text("#!/bin/sh\nsleep 9\n")
    told(up(folder, '[service.web]\ncommand = "./serve.sh"\n'), 1, "is not executable", "chmod +x")


def test_a_service_that_dies_at_once_shows_its_last_words(folder: Path) -> None:
    done = up(
        folder,
        '[service.web]\ncommand = ["sh", "-c", "echo cannot open the database >&2; exit 3"]\n'
        '[service.web.restart]\npolicy = "never"\n',
    )
    told(done, 1, "failed: web", "cannot open the database", "3")


def test_a_second_supervisor_is_refused(folder: Path) -> None:
    text = '[service.web]\ncommand = "sleep 99"\n'
    assert up(folder, text).returncode == 0
    told(run_cli("up", cwd=folder), 4, "already up", "chapiteau down")


def test_up_in_the_background_twice_is_no_error(folder: Path) -> None:
    text = '[service.web]\ncommand = "sleep 99"\n[service.late]\ncommand = "sleep 98"\n'
    assert up(folder, text).returncode == 0
    told(up(folder, text), 0, "is already running", "is ready")
    assert run_cli("stop", "late", cwd=folder).returncode == 0
    told(run_cli("up", "-d", "late", cwd=folder), 0, "is already running", "is ready")
    shown = run_cli("status", "late", "-o", "brief", cwd=folder).stdout
    assert shown.split()[1:3] == ["running", "1/1"]


def test_a_status_shows_where_the_dashboard_is_and_lets_nobody_in(folder: Path) -> None:
    assert up(folder, '[service.web]\ncommand = "sleep 99"\n').returncode == 0
    told_by_it = '{"url": "http://127.0.0.1:1/#token=abc", "base": "http://127.0.0.1:1/"}'
    (folder / ".chapiteau" / "dash.json").write_text(told_by_it)
    for words in (("status",), ("status", "--json")):
        shown = run_cli(*words, cwd=folder).stdout
        assert "http://127.0.0.1:1/" in shown
        assert "abc" not in shown
    assert "#token=abc" in run_cli("up", "-d", cwd=folder).stderr  # whoever starts it may log in


def test_nobody_answers(folder: Path) -> None:
    (folder / "chapiteau.toml").write_text('[service.web]\ncommand = "x"\n')
    for words in (("status",), ("stop", "web"), ("logs",), ("plan",), ("reload", "web")):
        told(run_cli(*words, cwd=folder), 5, "no supervisor runs", "chapiteau up")


def test_an_unknown_service(folder: Path) -> None:
    assert up(folder, '[service.web]\ncommand = "sleep 99"\n').returncode == 0
    told(run_cli("restart", "wbe", cwd=folder), 3, "no service 'wbe'", "did you mean 'web'?")


def test_a_service_that_is_not_ready_in_time(folder: Path) -> None:
    done = up(
        folder,
        '[service.web]\ncommand = "sleep 99"\n[service.web.ready]\nlog = "never said"\n',
        "--timeout",
        "1s",
    )
    told(done, 6, "not ready in time: web", "chapiteau status")
