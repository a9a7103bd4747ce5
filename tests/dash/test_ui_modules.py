"""The page's pure TypeScript: types checked strictly, tests run by Node, size within its budget."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess

import pytest

from chapiteau.dash.web.app import STATIC
from tests.support import ROOT

UI = ROOT / "ui"
built = pytest.mark.skipif(
    not (UI / "node_modules").is_dir() or not shutil.which("npm"),
    reason="needs Node and the page's packages: cd ui && npm ci",
)
BUDGET = 80 * 1024  # bytes of JavaScript, gzipped


@built
@pytest.mark.slow
@pytest.mark.parametrize("script", ["check", "test"])
def test_npm_script_passes(script: str) -> None:
    done = subprocess.run(
        ["npm", "run", script], cwd=UI, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_file_names_no_host_to_download_from() -> None:
    assert '"resolved"' not in (UI / "package-lock.json").read_text()


def test_the_sources_never_make_html_of_text() -> None:
    for path in (UI / "src").rglob("*.ts*"):
        text = path.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text
        )


@pytest.mark.skipif(not STATIC.is_dir(), reason="the page is not built")
def test_the_javascript_keeps_its_budget() -> None:
    total = sum(len(gzip.compress(p.read_bytes())) for p in STATIC.rglob("*.js"))
    assert 0 < total <= BUDGET
