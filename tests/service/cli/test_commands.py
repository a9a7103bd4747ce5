"""The commands as people type them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from chapiteau.core.errors import UnreachableError, UsageError
from chapiteau.service.cli.document import document_of
from tests.support import ROOT, run_cli

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as `chapiteau new` makes it."""
    folder = tmp_path_factory.mktemp("new") / "shop"
    done = run_cli("new", "shop", "--folder", str(folder))
    assert done.returncode == 0, done.stderr
    assert "chapiteau up" in done.stdout
    return folder


def test_a_new_project_passes_every_check_of_its_own(shop: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-p",
        "no:asyncio",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(words, cwd=shop, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
    for command in (("service", "check", "shop.app:make"), ("check",)):
        checked = run_cli(*command, cwd=shop)
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.long
@pytest.mark.parametrize("tool", ["mypy", "ruff check", "ruff format --check"])
def test_a_new_project_is_typed_strictly_and_in_good_style(shop: Path, tool: str) -> None:
    program, *words = tool.split()
    words = [sys.executable, "-m", program, *words]
    done = subprocess.run(words, cwd=shop, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_second_tutorial_works_as_a_reader_pastes_it(tmp_path: Path) -> None:
    """In a project of its own: the others count what theirs has."""
    page = (ROOT / "docs" / "tutorial" / "2-your-own-service.md").read_text("utf-8")
    handler, scenario = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert run_cli("new", "shop", cwd=tmp_path).returncode == 0
    shop = tmp_path / "shop"
    for name, text in (("shop/items.py", handler), ("story.py", scenario)):
        assert f"`{name}`" in page
        assert not (shop / name).exists()  # nothing that `new` has made is written over
        (shop / name).write_text(text, "utf-8")
    code = (
        "from chapiteau.service.testing import Client\nfrom shop.app import make\nimport story\n"
        "client = Client(make())\n"
        "print(client.get('/items/1').body.decode(), client.get('/items/9').json()['code'])"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=shop, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ['{"name":"tea","price":3}', "no-such-item"], done.stderr
    assert done.stdout.split()[0] in page
    checked = run_cli("service", "check", "shop.app:make", cwd=shop)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_new_refuses_what_it_would_overwrite_and_what_is_no_name(shop: Path) -> None:
    again = run_cli("new", "shop", "--folder", str(shop))
    assert (again.returncode, "is there already" in again.stderr) == (4, True)
    for name, why in (("9", "can't be"), ("class", "can't be"), ("json", "would hide")):
        refused = run_cli("new", name, cwd=shop.parent)
        assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr


def test_new_takes_a_path_and_names_the_project_by_its_last_part(tmp_path: Path) -> None:
    done = run_cli("new", f"{tmp_path}/my Dörf")
    assert f"cd '{tmp_path}/my Dörf'" in done.stdout
    assert 'name = "my Dörf"' in (tmp_path / "my Dörf" / "chapiteau.toml").read_text("utf-8")
    assert 'name = "my_d_rf"' in (tmp_path / "my Dörf" / "pyproject.toml").read_text("utf-8")
    assert (tmp_path / "my Dörf" / "my_d_rf" / "app.py").is_file()


def test_processes_of_a_new_project_may_make_its_database_at_once(shop: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom shop.store import Store\n"
        "print(flush=True), input()\n"
        "for n in range(100): Store(Path(f'race/{n}/notes.sqlite3')).close()"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", code], cwd=shop, stdin=-1, stdout=-1, text=True)
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout is not None
        racer.stdout.readline()
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate(timeout=60)
    assert [racer.returncode for racer in racers] == [0, 0]


def test_routes_and_documents(shop: Path, tmp_path: Path) -> None:
    rows = json.loads(run_cli("service", "routes", "shop.app:make", "--json", cwd=shop).stdout)
    assert ("PUT", "/notes/{note_id}", "edit_note") in {
        (r["method"], r["path"], r["id"]) for r in rows
    }
    assert "GET     /notes" in run_cli("service", "routes", "shop.app:make", cwd=shop).stdout
    first = run_cli("service", "openapi", "shop.app:make", cwd=shop).stdout
    assert first == run_cli("service", "openapi", "shop.app:make", cwd=shop).stdout
    assert json.loads(first)["info"]["title"] == "shop"

    old, new = tmp_path / "old.json", tmp_path / "new.json"
    document = json.loads(first)
    old.write_text(first)
    del document["paths"]["/notes"]["post"]
    new.write_text(json.dumps(document))
    same = run_cli("service", "diff", str(old), "shop.app:make", cwd=shop)
    assert (same.returncode, same.stdout) == (0, "no change\n")
    broken = run_cli("service", "diff", str(old), str(new))
    assert broken.returncode == 8
    assert "breaking    POST /notes: is gone" in broken.stdout


def test_a_document_may_be_asked_of_a_running_service() -> None:
    document = {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/a": {}}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.path == "/openapi.json"
            self.send_response(200 if good else 404)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        assert document_of(f"{base}/openapi.json") == document
        with pytest.raises(UsageError, match="404"):
            document_of(f"{base}/other")
        with pytest.raises(UsageError, match="one document"):
            document_of(f"{base}/openapi.json", version="2")
        server.shutdown()
    with pytest.raises(UnreachableError, match=r"can't be read: .*refused"):
        document_of(f"{base}/openapi.json")


def test_a_target_that_is_none_is_told_in_words(shop: Path, tmp_path: Path) -> None:
    for target, code, words in (
        ("shop.app:mak", 3, "did you mean 'make'?"),
        ("shop.store:SCHEMA", 1, "can't be called"),
        (str(tmp_path / "none.json"), 3, "No such file"),
    ):
        done = run_cli("service", "routes", target, cwd=shop)
        assert (done.returncode, words in done.stderr) == (code, True), done.stderr
