"""Which version of a service was under load."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.load.telemetry.supervisor_monitor import service_version
from chapiteau.load.verdict.saturation import TargetService

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


class Told:
    """What a supervisor says."""

    def __init__(self, *services: dict[str, Any], place: str = "") -> None:
        self._services, self._place = services, place

    def services(self) -> list[dict[str, Any]]:
        return list(self._services)

    def place(self, _target: str) -> TargetService:
        return TargetService(self._place)


@pytest.fixture
def base() -> Iterator[str]:
    """A service that publishes its document."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"info": {"version": "1.3"}}).encode())

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def found(target: str, *services: dict[str, Any], place: str = "") -> str:
    supervised: Any = Told(*services, place=place)
    return service_version("", target, supervised)


def test_it_comes_from_the_document_or_the_label_of_the_service_behind_the_target(
    base: str,
) -> None:
    other = {"name": "other", "labels": {"version": "9"}, "openapi": "http://127.0.0.1:1/o.json"}
    web = {"name": "web", "labels": {}, "openapi": f"{base}/openapi.json"}
    assert found(f"{base}/cities", other, web) == "1.3"
    labelled = {"name": "web", "labels": {"version": "a1b2c3d"}, "openapi": ""}
    assert found(base, other, labelled, place="web") == "a1b2c3d"
    silent = {"name": "web", "labels": {}, "openapi": "http://127.0.0.1:1/openapi.json"}
    assert found("http://127.0.0.1:1/", silent) == ""
    assert found(base, other) == ""


def test_requests_that_come_from_a_document_are_of_its_version() -> None:
    openapi = json.dumps({"info": {"version": "2.0.1"}})
    assert service_version(openapi, "http://127.0.0.1:1/", None) == "2.0.1"
    assert service_version("info: {}", "http://127.0.0.1:1/", None) == ""
    assert service_version("", "http://127.0.0.1:1/", None) == ""
