"""What a service runs is looked for before it is started, with the environment it will have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from chapiteau.run.cli.check import check
from chapiteau.run.cli.programs import missing_programs
from chapiteau.run.config.load import load_config


def missing(folder: Path, body: str) -> list[tuple[str, str]]:
    path = folder / "chapiteau.toml"
    path.write_text(f"[service.web]\n{body}\n")
    return list(missing_programs(load_config(path)))


def program(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def test_a_misspelt_program_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "gunicorn")
    path = f'env.PATH = "{tmp_path}/bin:/usr/bin"'
    assert missing(tmp_path, f'command = "gunicorn shop"\n{path}') == []
    ((what, hint),) = missing(tmp_path, f'command = "gunicron shop"\n{path}')
    assert what == "service.web: command not found: gunicron"
    assert "did you mean 'gunicorn'?" in hint
    assert "none of the 2 folders of its PATH" in hint
    assert "/usr/bin" not in hint


def test_a_folder_of_path_that_cannot_be_looked_at_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "gunicorn")
    path = f'env.PATH = "{tmp_path}/bin:/{"x" * 300}:{tmp_path}/nowhere"'
    ((what, hint),) = missing(tmp_path, f'command = "gunicron"\n{path}')
    assert what == "service.web: command not found: gunicron"
    assert hint.startswith("did you mean 'gunicorn'? it is in none of the 1 folder")


def test_path_of_an_env_file_counts_and_a_missing_file_is_told(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "ourserver")
    (tmp_path / "web.env").write_text(f"PATH={tmp_path}/bin\n")
    assert missing(tmp_path, 'command = "ourserver"\nenv_files = ["web.env"]') == []
    ((what, _),) = missing(tmp_path, 'command = "sh"\nenv_files = ["no.env"]')
    assert "no.env" in what


def test_a_relative_virtualenv_is_in_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "venv" / "bin" / "ourserver")
    (tmp_path / "src").mkdir()
    monkeypatch.chdir("/")
    assert missing(tmp_path, 'command = "ourserver"\nvirtualenv = "venv"\ncwd = "src"') == []


@pytest.mark.parametrize(
    ("app", "what"),
    [
        ("shop:app", ""),
        ("pkg.api:Api.wsgi", ""),
        ("shop:late", ""),  # below an `if`
        ("json:loads", ""),  # installed, not in the folder
        ("shpo:app", "there is no module 'shpo'"),
        ("shop:ap", "shop.py has no 'ap'"),
        ("pkg.api:api", "api.py has no 'api'"),
        ("star:anything", ""),
        ("late:anything", ""),
    ],
)
def test_the_module_and_attribute_of_an_app(tmp_path: Path, app: str, what: str) -> None:
    (tmp_path / "shop.py").write_text(
        "raise RuntimeError('imported')\napp = 1\ndef make(): ...\nif 1:\n    late = 2\n"
    )
    (tmp_path / "late.py").write_text("def __getattr__(name): ...\n")
    (tmp_path / "star.py").write_text("from os.path import *\n")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "api.py").write_text("class Api: ...\n")
    found = missing(tmp_path, f'app = "{app}"\nsockets = ["web"]\n[socket.web]')
    assert [line for line, _ in found] == ([f"service.web: app: {what}"] if what else [])
    if what and "pkg" not in app:
        assert "did you mean" in found[0][1]


def test_check_warns_and_the_file_is_still_right(tmp_path: Path) -> None:
    path = tmp_path / "chapiteau.toml"
    path.write_text('[service.web]\ncommand = "nosuchprogram"\n')
    done = CliRunner().invoke(check, ["-c", str(path)])
    assert done.exit_code == 0
    assert "command not found: nosuchprogram" in done.output
    told = json.loads(CliRunner().invoke(check, ["-c", str(path), "--json"]).stdout)
    assert told["ok"] is True
    assert [warning["what"] for warning in told["warnings"]] == [
        "service.web: command not found: nosuchprogram"
    ]
