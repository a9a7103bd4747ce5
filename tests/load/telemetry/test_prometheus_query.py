"""Prometheus, asked at a real HTTP server that answers as it does."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chapiteau.io.clock import SystemClock
from chapiteau.load.execution.job import RunObserver
from chapiteau.load.execution.jobs import find_job
from chapiteau.load.execution.run_test import run_test
from chapiteau.load.report.html import as_html
from chapiteau.load.telemetry.prometheus_query import query_prometheus
from chapiteau.load.testing import Target
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@contextmanager
def prometheus() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Answers `share` with 0.93 at each step, refuses what it can't parse; tells what came."""
    got: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
            got.append({**asked, "auth": self.headers.get("authorization", "")})
            if asked["query"] != "share":
                self.answer(400, {"status": "error", "error": "1:3: parse error: unexpected end"})
                return
            start, end = float(asked["start"]), float(asked["end"])
            steps = int((end - start) / float(asked["step"])) + 1
            values = [[start + n * float(asked["step"]), "0.93"] for n in range(steps)]
            result = [{"metric": {"job": "web"}, "values": values}]
            self.answer(
                200, {"status": "success", "data": {"resultType": "matrix", "result": result}}
            )

        def answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_a_run_s_report_shows_what_prometheus_says_of_its_time() -> None:
    with Target("queue", mean=0.001, fixed=True) as target, prometheus() as (host, got):
        given = {
            "prometheus": f"http://ana:secret@{host}", "queries": {"cpu": "share", "disk": "??"},
            "rate": 40.0, "duration": 2.0, "processes": 1,
        }  # fmt: skip
        job = find_job(target.url, given, None, ())
        made = await run_test(job, SystemClock(), RunObserver())

    assert made.asked[0].name == "cpu"
    assert {value for _, value in made.asked[0].points} == {0.93}
    assert made.asked[0].points[0][0] == 0.0
    assert any("disk was not told" in n and "parse error" in n for n in made.soundness.notes)
    assert got[0]["auth"] == "Basic " + base64.b64encode(b"ana:secret").decode()
    page = as_html(made)
    assert "What Prometheus says" in page
    assert "secret" not in page


def test_a_server_that_is_gone_costs_its_numbers_only() -> None:
    asked, problems = query_prometheus(f"http://127.0.0.1:{free_port()}", {"cpu": "up"}, 0.0, 10.0)

    assert asked == []
    assert "cpu was not told by http://127.0.0.1" in problems[0]
