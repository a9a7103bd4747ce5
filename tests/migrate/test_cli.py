"""`chapiteau import` as a person uses it: what goes where, and with which exit code."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from chapiteau.core.errors import ChapiteauError, RefusedError
from chapiteau.io.yaml_file import read_yaml
from chapiteau.migrate.cli import ImportCommand, import_command
from chapiteau.migrate.report import ImportResult, write

WHOLE = "[watcher:web]\ncmd = serve\nnumprocesses = 2\n"
LOSSY = WHOLE + "hooks.before_start = a.b\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(import_command, list(words))


def refused(*words: str) -> ChapiteauError:
    result = run(*words)
    assert isinstance(result.exception, ChapiteauError)
    return result.exception


def test_the_new_file_goes_to_stdout_and_the_report_to_stderr(here: Path) -> None:
    (here / "circus.ini").write_text(LOSSY)
    result = run("circus.ini")
    assert tomllib.loads(result.stdout)["service"]["web"]["processes"] == 2
    assert "circus.ini:4  [watcher:web] hooks.before_start" in result.stderr
    assert "2 kept, 0 changed, 1 lost" in result.stderr


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(WHOLE, 0, id="all was kept"),
        pytest.param(LOSSY, 7, id="something was lost"),
    ],
)
def test_the_exit_code_says_whether_something_was_lost(here: Path, text: str, code: int) -> None:
    (here / "circus.ini").write_text(text)
    assert run("circus.ini").exit_code == code


def test_a_file_is_written_and_never_overwritten_without_force(here: Path) -> None:
    (here / "circus.ini").write_text(WHOLE)
    assert run("circus.ini", "-o", "chapiteau.toml").exit_code == 0
    (here / "chapiteau.toml").write_text("mine\n")
    error = refused("circus.ini", "-o", "chapiteau.toml")
    assert error.exit_code == 4
    assert "--force" in error.hint
    assert (here / "chapiteau.toml").read_text() == "mine\n"
    assert run("circus.ini", "-o", "chapiteau.toml", "--force").exit_code == 0
    assert "[service.web]" in (here / "chapiteau.toml").read_text()


def test_what_is_imported_is_never_overwritten(here: Path) -> None:
    (here / "circus.ini").write_text(WHOLE)
    (here / "link").symlink_to("circus.ini")
    for name in ("circus.ini", "link"):
        assert "is the file to import" in refused("circus.ini", "-o", name, "--force").what
    assert (here / "circus.ini").read_text() == WHOLE


class _Full(io.StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_behind_a_redirection_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", _Full())
    made = ImportResult(toml="", notes=())
    with pytest.raises(RefusedError, match="No space left"):
        write(made, [], None, force=False, as_json=False)


def test_json_holds_the_file_and_the_report(here: Path) -> None:
    (here / "circus.ini").write_text(LOSSY)
    result = run("circus.ini", "--json")
    told = json.loads(result.stdout)
    assert tomllib.loads(told["toml"])["service"]["web"]["command"] == "serve"
    assert [note["where"] for note in told["lost"]] == ["circus.ini:4"]
    assert result.stderr == ""
    assert result.exit_code == 7


def test_files_beside_are_found_from_any_folder(here: Path) -> None:
    (here / "app" / "conf.d").mkdir(parents=True)
    (here / "app" / "circus.ini").write_text("[circus]\ninclude = conf.d/*.ini\n" + WHOLE)
    (here / "app" / "conf.d" / "more.ini").write_text("[watcher:more]\ncmd = more\n")
    result = run("app/circus.ini")
    assert set(tomllib.loads(result.stdout)["service"]) == {"web", "more"}
    assert "from app/conf.d/more.ini:1" in result.stdout


def test_a_new_file_in_another_folder_is_told_about_relative_paths(here: Path) -> None:
    (here / "old").mkdir()
    (here / "old" / "Procfile").write_text("web: serve\n")
    result = run("old/Procfile", "-o", "new/chapiteau.toml")
    assert "relative paths are read from the new file's folder" in result.stderr


def test_several_units_are_imported_together(here: Path) -> None:
    (here / "a.service").write_text("[Unit]\nRequires=b.service\n[Service]\nExecStart=/bin/a\n")
    (here / "b.service").write_text("[Service]\nExecStart=/bin/b\n")
    (here / "a.socket").write_text("[Socket]\nListenStream=127.0.0.1:80\n")
    service = tomllib.loads(run("a.service", "b.service").stdout)["service"]["a"]
    assert service["needs"] == ["b"]
    assert service["sockets"] == ["a"]
    assert service["on_demand"]


def test_a_procfile_takes_its_formation_from_the_command_line(here: Path) -> None:
    (here / "Procfile").write_text("web: serve\nworker: work\n")
    made = tomllib.loads(run("Procfile", "--formation", "worker=3", "--port", "80").stdout)
    assert made["service"]["worker"]["processes"] == 3
    assert made["service"]["web"]["env"]["PORT"] == "80"


def test_pm2_takes_the_environment_that_is_asked_for(here: Path) -> None:
    (here / "pm2.json").write_text(
        '{"apps": [{"script": "a.js", "env": {"A": "1"}, "env_live": {"A": "2"}}]}'
    )
    assert tomllib.loads(run("pm2.json").stdout)["service"]["a"]["env"] == {"A": "1"}
    result = run("pm2.json", "--env", "live")
    assert tomllib.loads(result.stdout)["service"]["a"]["env"] == {"A": "2"}
    assert result.exit_code == 0


# ── the wrong way ─────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        pytest.param("circus.ini", "cmd = 1\n[watcher:a]\n", "circus.ini:1", id="before a section"),
        pytest.param("supervisord.conf", "[program:a]\nnonsense\n", ".conf:2", id="no key"),
        pytest.param("ecosystem.config.js", "module.exports = {\n apps: [", ".js:2", id="open"),
        pytest.param("process-compose.yaml", "processes:\n  a: [\n", ".yaml:3", id="bad YAML"),
        pytest.param("a.service", "[Service\nExecStart=/bin/a\n", "a.service:1", id="open section"),
        pytest.param("Procfile", "nothing here\n", "Procfile", id="no process type"),
        pytest.param("process-compose.yaml", "web: run\n", ".yaml", id="no processes"),
    ],
)
def test_a_file_that_is_not_understood_is_an_error_with_its_line(
    here: Path, name: str, text: str, where: str
) -> None:
    (here / name).write_text(text)
    error = refused(name)
    assert error.exit_code == 2
    assert where in str(error)


def test_what_nothing_tells_must_be_said(here: Path) -> None:
    (here / "things.txt").write_text("web: serve\n")
    error = refused("things.txt")
    assert error.exit_code == 2
    assert "--from" in error.hint
    assert run("things.txt", "--from", "procfile").exit_code == 0


def test_files_of_two_kinds_are_refused(here: Path) -> None:
    (here / "circus.ini").write_text(WHOLE)
    (here / "Procfile").write_text("web: serve\n")
    assert "different kinds" in str(refused("circus.ini", "Procfile"))


def test_missing_files_folders_and_binaries_are_named(here: Path) -> None:
    (here / "binary.ini").write_bytes(b"\xff\xfe\x00")
    assert refused("absent.ini").exit_code == 3
    assert refused(".").exit_code == 2
    assert "binary.ini" in str(refused("binary.ini"))


def test_without_pyyaml_the_extra_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "process-compose.yaml").write_text("processes: {}\n")
    monkeypatch.setitem(sys.modules, "yaml", None)
    error = refused("process-compose.yaml")
    assert "chapiteau[import]" in error.hint


def test_a_formation_that_is_none_is_refused(here: Path) -> None:
    (here / "Procfile").write_text("web: serve\n")
    assert "--formation" in str(refused("Procfile", "--formation", "web"))
    assert "fewer than none" in str(refused("Procfile", "--formation", "web=-1"))
    assert run("Procfile", "--port", "70000").exit_code == 2


# ── kinds with a command of their own ─────────────────────────────────────────────────────────
@click.command("other")
@click.argument("path")
def other(path: str) -> None:
    click.echo(f"other {path}")


def test_a_named_kind_has_its_own_command_and_files_still_work(here: Path) -> None:
    both = ImportCommand(
        "import",
        params=import_command.params,
        callback=import_command.callback,
        others={"other": f"{__name__}:other"},
    )
    (here / "circus.ini").write_text(WHOLE)
    assert CliRunner().invoke(both, ["other", "x"]).output == "other x\n"
    assert CliRunner().invoke(both, ["circus.ini"]).exit_code == 0
    assert "chapiteau import other -h" in CliRunner().invoke(both, ["--help"]).output


# ── YAML ──────────────────────────────────────────────────────────────────────────────────────
def test_yaml_words_are_those_of_yaml_1_2_and_lines_are_known() -> None:
    read = read_yaml("a: no\nb: &x {c: 0o17, d: true}\ne:\n  <<: *x\n  f: [1.5, ~, '1']\n", "x")
    assert read.data == {
        "a": "no",
        "b": {"c": 15, "d": True},
        "e": {"c": 15, "d": True, "f": [1.5, None, "1"]},
    }
    assert read.lines[("b",)] == 2
    assert read.lines[("e", "f", 1)] == 5
