"""`chapiteau dash user …`, `hub …`, `node …` as a person types them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chapiteau.dash.nodes.registry import Registry
from tests.support import run_cli

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "chapiteau.toml").write_text('[hub]\naddress = "ops.example.org:8843"\n')
    return tmp_path


def add_user(project: Path, name: str, password: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "chapiteau", "dash", "user", "add", name, "--password-stdin"]
    return subprocess.run(
        words, cwd=project, input=f"{password}\n", capture_output=True, text=True, check=False
    )


def test_accounts_come_are_listed_and_go(project: Path) -> None:
    assert add_user(project, "ana", "correct horse").returncode == 0
    listed = json.loads(run_cli("dash", "user", "list", "--json", cwd=project).stdout)
    assert listed == {"accounts": [{"name": "ana", "role": "viewer"}]}
    assert run_cli("dash", "user", "remove", "ana", cwd=project).returncode == 0
    again = run_cli("dash", "user", "remove", "ana", cwd=project)
    assert again.returncode == 3
    assert "no account 'ana'" in again.stderr


def test_a_short_password_is_refused(project: Path) -> None:
    done = add_user(project, "ana", "short")
    assert done.returncode == 2
    assert "10 characters" in done.stderr


def test_without_a_terminal_a_password_is_not_asked_for(project: Path) -> None:
    done = run_cli("dash", "user", "add", "ana", cwd=project)
    assert done.returncode == 2
    assert "--password-stdin" in done.stderr


def test_the_token_line_can_be_pasted(project: Path) -> None:
    line = run_cli("hub", "token", cwd=project).stdout.strip()
    assert re.fullmatch(r"chapiteau node join ops\.example\.org:8843 jt1-[a-z2-7-]{68}", line)
    assert json.loads(run_cli("hub", "nodes", "--json", cwd=project).stdout) == {"nodes": []}


def test_the_ca_is_changed_in_two_steps(project: Path) -> None:
    early = run_cli("hub", "rotate", "--finish", cwd=project)
    assert early.returncode == 2
    assert "first: chapiteau hub rotate" in early.stderr
    before = run_cli("hub", "token", cwd=project).stdout
    assert "--finish" in run_cli("hub", "rotate", cwd=project).stderr
    done = run_cli("hub", "rotate", "--finish", "--json", cwd=project)
    assert json.loads(done.stdout) == {"finished": True, "have_it": [], "waiting": []}
    after = run_cli("hub", "token", cwd=project).stdout
    assert before.split("-")[1] != after.split("-")[1]  # another CA's hash


def test_a_node_without_the_next_papers_holds_the_change_up(project: Path) -> None:
    run_cli("hub", "token", cwd=project)
    registry = Registry(project / ".chapiteau" / "dash.sqlite3")
    registry.admit("web-1", "AB12", 2e9, 1.0)
    registry.close()
    assert "not yet: web-1" in run_cli("hub", "rotate", cwd=project).stdout
    done = run_cli("hub", "rotate", "--finish", cwd=project)
    assert done.returncode == 1
    assert "next CA: web-1" in done.stderr
    assert "--force" in done.stderr
    assert run_cli("hub", "rotate", "--finish", "--force", cwd=project).returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("hub", "token", "--for", "soon"), 2, "not a duration"),
        (("hub", "revoke", "nobody"), 3, "chapiteau hub nodes"),
        (("node", "status"), 3, "has not joined a hub"),
        (("node", "leave"), 3, "chapiteau hub token"),
        (("node", "run"), 3, "has not joined a hub"),
        (("node", "join", "hub.lan", "jt1-cut"), 2, "copy the whole line"),
        (("node", "join", "hub.lan:port", "jt1-cut"), 2, "not a join token"),
    ],
)
def test_mistakes_are_told_with_what_to_do(
    project: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    done = run_cli(*words, cwd=project)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
