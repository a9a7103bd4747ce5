"""What `chapiteau load run` calls met, seen against real servers: its exit code is a gate."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.support import run_cli

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


class _Pages(BaseHTTPRequestHandler):
    """`/` is there, all else is not."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return run_cli("load", "run", *args, "-q", cwd=folder)


@pytest.mark.parametrize(
    ("objective", "code", "says"),
    [
        ("", 8, "not met: errors < 1% was 100%"),
        ("p50 < 5s", 8, "not met: errors < 1% was 100%"),
        ("p50 < 5s, errors < 100%", 0, "met: p50 < 5s, errors < 100%"),
    ],
)
def test_an_address_that_answers_only_404_is_not_met(
    objective: str, code: int, says: str, url: str, tmp_path: Path
) -> None:
    args = ("--objective", objective) if objective else ()
    done = run(tmp_path, f"{url}/nothing", "--users", "1", "--iterations", "20", *args)

    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stdout


def test_without_objective_a_good_run_is_measured(url: str, tmp_path: Path) -> None:
    done = run(tmp_path, f"{url}/", "--users", "1", "--iterations", "20")

    assert done.returncode == 0
    assert "no objective was given to judge by" in done.stdout
    assert "✓ errors < 1%: 0%" in done.stdout


def test_five_requests_carry_no_p99(url: str, tmp_path: Path) -> None:
    few = run(tmp_path, f"{url}/", "--users", "1", "--iterations", "5", "--objective", "p99 < 9s")
    half = run(tmp_path, f"{url}/", "--users", "1", "--iterations", "5", "--objective", "p50 < 9s")
    missed = run(
        tmp_path, f"{url}/", "--users", "1", "--iterations", "5", "--objective", "p99 < 1us"
    )

    assert few.returncode == 9
    assert few.stdout.startswith("? too few requests for p99 < 9s: 5, and it takes 299")
    assert "✓ p99" not in few.stdout
    assert "? p99 < 9s: too few requests: 5 of 299" in few.stdout
    assert half.returncode == 0
    assert missed.returncode == 8


def test_load_that_came_late_is_not_met(url: str, tmp_path: Path) -> None:
    """A scenario that blocks its process: most sessions begin later than a tenth of the limit."""
    (tmp_path / "busy.py").write_text(
        "import time\n"
        "from chapiteau.load import scenario\n\n\n"
        "@scenario\n"
        "async def visit(client):\n"
        '    await client.get("/")\n'
        "    time.sleep(0.03)\n"
    )
    done = run(
        tmp_path, "busy.py", "--base", url, "--rate", "20/s", "-d", "3s", "--processes", "1",
        "--objective", "p50 < 300ms",
    )  # fmt: skip

    assert done.returncode == 10, done.stdout + done.stderr
    assert "! the load generator was the limit" in done.stdout
    assert "late (p99)" in done.stdout
