"""The taste that the README gives is true, word for word."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from chapiteau.pytest_plugin import Supervised
from tests.support import ROOT, run_cli

pytestmark = pytest.mark.slow


def block(language: str) -> str:
    """The first fenced block of this language."""
    text = (ROOT / "README.md").read_text()
    found = re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def shop(chapiteau_up: Callable[[Path], Supervised], tmp_path: Path) -> Supervised:
    (tmp_path / "shop.py").write_text(block("python"))
    config = block("toml")
    assert "port = 8000" in config
    (tmp_path / "chapiteau.toml").write_text(config.replace("port = 8000", "port = 0"))
    return chapiteau_up(tmp_path)


def put(url: str, body: object) -> tuple[int, dict]:
    request = urllib.request.Request(
        url,
        method="PUT",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.load(exc)


def test_the_taste_runs(shop: Supervised) -> None:
    code, item = put(shop.url("web", "/items/7"), {"name": "tent", "price": 3})
    assert (code, item) == (200, {"name": "tent", "price": 3})
    code, problem = put(shop.url("web", "/items/7"), {"name": "", "price": -1})
    assert code in {400, 422}
    assert "price" in json.dumps(problem)
    with urllib.request.urlopen(shop.url("web", "/openapi.json"), timeout=60) as answer:
        assert json.load(answer)["openapi"].startswith("3.1")


def test_the_commands_of_the_taste_work(shop: Supervised) -> None:
    listed = run_cli("status", cwd=shop.folder)
    assert "4/4" in listed.stdout
    assert "dashboard" in listed.stdout
    done = run_cli("reload", "web", cwd=shop.folder)
    assert done.returncode == 0, done.stderr
    document = shop.url("web", "/openapi.json")
    found = run_cli(
        *("load", "capacity", document, "--objective", "p99 < 100ms"),
        *("--budget", "8s", "--confidence", "low", "--quiet"),
        cwd=shop.folder,
        timeout=90,
    )
    assert found.returncode in {0, 8, 9, 10}, found.stderr  # a verdict, whichever
    assert "requests in" in found.stdout
    assert run_cli("down", cwd=shop.folder).returncode == 0
