"""The guides say what works: every command of theirs runs on the files that they show."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.migrate.shims.shop import open_shop
from tests.support import ROOT, run_cli

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

PAGES = [
    "how-to/load-from-openapi",
    "how-to/load-from-har-postman-curl",
    "how-to/write-a-load-scenario",
    "how-to/migrate-from-molotov",
    "how-to/migrate-from-loads",
    "how-to/migrate-from-locust",
    "reference/load-external",
]
_FILE = re.compile(r"^`(?P<name>[\w.-]+)`:\n\n```\w+\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
_CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)


def commands(text: str, shown: set[str]) -> list[list[str]]:
    """The commands of a page whose files are shown there."""
    lines = [line for block in _CONSOLE.findall(text) for line in block.splitlines()]
    every = [shlex.split(line)[2:] for line in lines if line.startswith("$ chapiteau load run")]
    return [c for c in every if "--external" in c or c[2].partition(":")[0] in shown]


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_guide_run(page: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    with open_shop() as shop:
        here = text.replace("http://127.0.0.1:8000", shop.url)
        here = here.replace("ws://127.0.0.1:8000", shop.url.replace("http", "ws"))
        files = {m["name"]: m["text"] for m in _FILE.finditer(here)}
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        found = commands(here, set(files))
        assert found
        for command in found:
            if "--dry-run" in command:
                done = run_cli(*command, cwd=tmp_path)
                assert done.returncode == 0, done.stderr
                assert "nothing was sent" in done.stdout
                continue
            short = [] if {"--shape", "--iterations", "--replay"} & set(command) else ["-d", "1s"]
            done = run_cli(*command, *short, "--no-store", "-q", "--json", cwd=tmp_path)
            # 10: a busy machine was the limit; what the guide shows was sent all the same.
            assert done.returncode in {0, 10}, done.stderr
            totals = json.loads(done.stdout)["totals"]
            assert totals["requests"] > 0
            assert json.loads(done.stdout)["failures"] == []
