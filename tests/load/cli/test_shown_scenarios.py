"""Every scenario that the documentation shows runs, as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import ROOT

pytest.importorskip("grpc", reason="grpcio is not installed (extra `grpc`)")

from tests.load.cli.everything import everything

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def shown() -> dict[str, str]:
    """Each block with a scenario of ours, by its page and number."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {
        f"{page.stem.replace('-', '_')}_{number}": block
        for page in pages
        for number, block in enumerate(_BLOCK.findall(page.read_text()))
        if "from chapiteau.load import" in block and "@scenario" in block
    }


def test_every_scenario_in_the_documentation_runs(tmp_path: Path) -> None:
    blocks = shown()
    assert len(blocks) >= 8
    (tmp_path / "people.csv").write_text("name,password\nana,secret1\nben,secret2\n")

    def run(name: str, text: str, base: str) -> tuple[str, subprocess.CompletedProcess[str]]:
        (tmp_path / f"{name}.py").write_text(text)
        command = [sys.executable, "-m", "chapiteau", "load", "run", f"{name}.py", "--base", base]
        # So many sessions that each scenario of a file has its turn; thinking time is theirs.
        often = ["--users", "4", "--iterations", "16", "--no-store", "--quiet", "--json"]
        done = subprocess.run(
            [*command, *often], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return name, done

    with everything() as found, ThreadPoolExecutor(4) as pool:
        tasks = []
        for name, block in blocks.items():
            text = block
            for written, real in found.items():
                text = text.replace(f'"{written}"', f'"{real}"')
            tasks.append(pool.submit(run, name, text, f"http://{found['http']}"))
        for task in tasks:
            name, done = task.result()
            assert done.returncode == 0, (name, done.stderr)
            made: dict[str, Any] = json.loads(done.stdout)
            told = {one["name"]: (one["passed"], one["failed"]) for one in made["scenarios"]}
            wanted = re.findall(r"@scenario[^\n]*\nasync def (\w+)", blocks[name])
            assert set(told) == set(wanted), (name, told)
            assert all(passed and not failed for passed, failed in told.values()), (name, told)
            assert made["failures"] == [], name
            assert not any(check["failed"] for check in made["checks"]), (name, made["checks"])
