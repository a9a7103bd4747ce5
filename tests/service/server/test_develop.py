"""The development server: again at each change, no connection refused, defects told in full."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from pyramid.config import Configurator

from chapiteau.service import Service
from chapiteau.service.server import DebugApp
from chapiteau.service.server.reloader import _Monitor
from chapiteau.service.testing import Client
from tests.support import free_port, run_cli, wait_for

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
def app(environ, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"WORD"]
"""


def _get(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as exc:
        return str(exc.read().decode())


@pytest.mark.slow
def test_code_that_changes_is_served_and_code_that_breaks_is_told(tmp_path: Path) -> None:
    port = free_port()
    module = tmp_path / "shopsite.py"
    module.write_text(CODE.replace("WORD", "first"))
    words = [sys.executable, "-m", "chapiteau", "service", "serve", "--dev", "shopsite:app"]
    log = (tmp_path / "log").open("wb")
    server = subprocess.Popen(
        [*words, "--bind", f"127.0.0.1:{port}"], cwd=tmp_path, stderr=log, stdout=log
    )
    try:
        wait_for(lambda: _get(port) == "first")
        module.write_text(CODE.replace("WORD", "second"))
        wait_for(lambda: _get(port) == "second")  # never refused: that would be an OSError
        module.write_text("def app(:")
        wait_for(lambda: "SyntaxError" in _get(port))
        module.write_text(CODE.replace("WORD", "third"))
        wait_for(lambda: _get(port) == "third")
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait()
        log.close()
    told = (tmp_path / "log").read_text()
    assert "shopsite.py changed; reloading" in told
    assert "GET / 200" in told


def test_a_file_saved_before_the_child_has_named_it_is_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = tmp_path / "shop" / "site.py"
    module.parent.mkdir()
    module.write_text("old")
    changed: list[str] = []
    monitor = _Monitor(changed.append, interval=1)  # before the child starts
    later = module.stat().st_mtime + 1
    module.write_text("new")
    os.utime(module, (later, later))
    monitor.add_path(str(module))  # the child serves, and names what it has imported
    monitor.check_reload([str(module)])
    assert changed == [str(module)]


def test_code_is_shown_to_this_machine_only() -> None:
    done = run_cli("service", "serve", "--dev", "--bind", "0.0.0.0:0", "apps:app")
    assert done.returncode == 2
    assert "--dev shows code" in done.stderr


def _developed() -> Client:
    service = Service("one", "/one")

    @service.get()
    def good() -> str:
        return "good"

    @service.post(produces=["application/json", "text/csv"])
    def bad() -> str:
        word = "<script>"
        raise ValueError(word)

    @service.put()
    def wrong() -> int:
        return "no number"  # type: ignore[return-value]

    config = Configurator()
    config.include("chapiteau.service")
    config.add_service(service)
    return Client(DebugApp(config.make_wsgi_app()))


def test_a_defect_is_a_page_for_a_browser_and_a_problem_for_others() -> None:
    client = _developed()
    assert client.get("/one").json() == "good"
    assert client.get("/none").status == 404
    told = client.post("/one")
    assert (told.status, told.json()["detail"]) == (500, "ValueError: <script>")
    assert told.json()["where"][-1].endswith("in bad")
    headers = {"Accept": "text/html,*/*", "Cookie": "secret=1"}
    page = client.post("/one", headers=headers)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script>" not in page.text
    assert "ValueError: &lt;script&gt;" in page.text
    assert "raise ValueError(word)" in page.text
    assert "secret=1" not in page.text
    assert "returned another type" in client.put("/one").json()["detail"]


class Odd:
    """A value that can't be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


def test_any_application_and_any_defect() -> None:
    def app(environ: dict[str, Any], start: Any) -> Any:
        odd = Odd()
        if environ["PATH_INFO"] == "/own":
            start("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"its own words"]
        try:
            raise KeyError("first")
        except KeyError as exc:
            raise RuntimeError(f"second {id(odd) > 0}") from exc

    client = Client(DebugApp(app))
    own = client.get("/own")
    assert (own.status, own.body) == (500, b"its own words")
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "RuntimeError: second True" in page
    assert "KeyError" in page
    assert "Odd that can&#x27;t be shown" in page
    broken = Client(DebugApp(SyntaxError("bad", ("shop.py", 3, 1, "def x(:\n"))))
    assert json.loads(broken.get("/").body)["where"] == ["shop.py:3 in "]
