"""The doors of the repository: targets, CI, change log, licence, what a stranger meets first."""

import re
import subprocess
import sys
import tomllib

import pytest

from tests.support import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_make_target_is_short() -> None:
    recipes = re.findall(r"^(\w+):.*\n((?:\t.*\n)*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"setup", "demo", "check", "test", "docs", "bench", "fix", "release", "ci"} <= {
        name for name, _ in recipes
    }
    assert all(recipe.count("\n") <= 2 for _, recipe in recipes)


def test_ci_runs_the_command_of_the_readme() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    readme = (ROOT / "README.md").read_text()
    assert "make test" in readme
    assert "make demo" in readme


def test_the_change_log_can_be_drafted() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "0.0.0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "## 0.0.0" in done.stdout


def test_change_fragments_have_a_known_kind_and_say_something() -> None:
    kinds = {kind["directory"] for kind in PYPROJECT["tool"]["towncrier"]["type"]}
    for path in (ROOT / "changes").iterdir():
        if path.name == ".gitignore":
            continue
        assert path.suffix == ".md"
        assert path.stem.rpartition(".")[2] in kinds, path.name
        assert len(path.read_text().split()) > 3, path.name


def test_the_lock_and_the_licence_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert 'name = "chapiteau"' in (ROOT / "uv.lock").read_text()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "AGENTS.md", "CHANGELOG.md"])
def test_the_first_pages_are_there_and_short(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert lines[0].startswith("# ")
    assert len(lines) <= {"AGENTS.md": 60, "CONTRIBUTING.md": 120}.get(name, 400)
