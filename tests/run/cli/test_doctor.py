"""The doctor finds what would keep services from running."""

import os
import socket
from pathlib import Path

from chapiteau.run.cli.doctor import Finding, check_machine, check_project
from chapiteau.run.config.load import load_config


def findings(folder: Path, text: str) -> list[Finding]:
    path = folder / "chapiteau.toml"
    path.write_text(text)
    return list(check_project(load_config(path)))


def bad(found: list[Finding]) -> list[str]:
    return [finding.what for finding in found if finding.level == "bad"]


def test_a_healthy_project_has_nothing_bad(tmp_path: Path) -> None:
    text = '[socket.web]\n[service.web]\ncommand = "sh -c true"\nsockets = ["web"]\n'
    assert bad(findings(tmp_path, text)) == []


def test_missing_programs_folders_users_files_and_secrets_are_told(tmp_path: Path) -> None:
    services = {
        "program": 'command = "nosuchprogram"',
        "folder": 'command = "sh"\ncwd = "nowhere"',
        "user": 'command = "sh"\nuser = "nosuchuser"',
        "file": 'command = "sh"\nenv_files = ["nosuch.env"]',
        "secret": 'command = "sh"\nenv = {A = {file = "nosuch"}}',
        "venv": 'command = "sh"\nvirtualenv = "nowhere"',
        "hook": 'command = "sh"\nhooks.before_start = "nosuchprogram x"',
        "watch": 'command = "sh"\nwatch.paths = ["nowhere"]',
    }
    text = "".join(f"[service.{name}]\n{body}\n" for name, body in services.items())
    told = bad(findings(tmp_path, text))
    assert len(told) == len(services)
    for name, what in zip(services, told, strict=True):
        assert what.startswith(f"service {name}: ")


def test_an_env_file_that_may_be_missing_is_not_told(tmp_path: Path) -> None:
    text = '[service.web]\ncommand = "sh"\nenv_files = ["-nosuch.env"]\n'
    assert bad(findings(tmp_path, text)) == []


def test_a_taken_port_names_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (what,) = bad(findings(tmp_path, f"[socket.web]\nport = {port}\n"))
    assert f"127.0.0.1:{port}" in what
    assert "held by pid" in what


def test_a_port_of_our_own_keeper_is_fine_and_another_program_is_not(tmp_path: Path) -> None:
    (tmp_path / ".chapiteau").mkdir()
    lock = tmp_path / ".chapiteau" / "lock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f"[socket.web]\nport = {taken.getsockname()[1]}\n"
        lock.write_text(f"{os.getpid()}\n")
        assert not any("socket web" in what for what in bad(findings(tmp_path, text)))
        lock.write_text(f"{os.getppid()}\n")
        assert any("socket web" in what for what in bad(findings(tmp_path, text)))


def test_a_socket_that_was_left_is_noted(tmp_path: Path) -> None:
    (tmp_path / ".chapiteau").mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / ".chapiteau" / "control.sock"))
    notes = [f.what for f in findings(tmp_path, "") if f.level == "note"]
    assert any("was left by a supervisor that is gone" in note for note in notes)


def test_unknown_people_are_told(tmp_path: Path) -> None:
    (what,) = bad(findings(tmp_path, '[project]\noperators = ["group:nosuchgroup"]\n'))
    assert "nosuchgroup" in what


def test_the_machine_is_looked_at_whatever_the_project() -> None:
    found = list(check_machine())
    assert any("cgroup" in finding.what for finding in found)
    assert any("load tests run on" in finding.what for finding in found)
    assert all(finding.level in {"ok", "note"} for finding in found)
