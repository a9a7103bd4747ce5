"""The doors of the repository: targets, CI, change log, licence, what a stranger meets first."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

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
        timeout=60,
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


@pytest.mark.parametrize("path", sorted(ROOT.glob("tools/*.sh")), ids=lambda p: p.name)
def test_shell_scripts_are_well_formed_and_stop_at_the_first_error(path: Path) -> None:
    subprocess.run(["sh", "-n", str(path)], check=True)
    assert "\nset -eu\n" in path.read_text()


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(not (ROOT / ".tools/uv/bin/uv").exists(), reason="set up in another way")
def test_setting_up_again_finds_everything_and_says_nothing() -> None:
    words = ["sh", "tools/setup.sh", "tests"]
    subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    done = subprocess.run(
        words,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_setup_says_what_is_missing_when_it_may_not_install(tmp_path: Path) -> None:
    """Without root and sudo, in a PATH where a program is missing: its package is named."""
    tools = tmp_path / "tools"
    tools.mkdir()
    script = (ROOT / "tools/setup.sh").read_text()
    begin = script[: script.index("find_python\nget_uv\n")]
    begin = begin.replace("$(id -u)", "1000")
    (tools / "setup.sh").write_text(f"{begin}\nwant some-package\ninstall_missing must\n")
    done = subprocess.run(
        ["/bin/sh", str(tools / "setup.sh")],
        env={"PATH": _path_without_sudo(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "missing: some-package, and there is neither root nor sudo" in done.stderr
    assert "apt-get install --no-install-recommends some-package" in done.stderr


def _path_without_sudo(folder: Path) -> str:
    """A PATH with the few programs that the script needs to come so far, and an apt-get."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("dirname", "id", "mktemp", "tail", "rm", "cat"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    (programs / "apt-get").write_text("#!/bin/sh\nexit 1\n")
    (programs / "apt-get").chmod(0o755)
    return str(programs)
