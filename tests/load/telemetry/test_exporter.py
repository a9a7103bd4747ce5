"""Numbers and verdicts of a run, at real listeners: HTTP, UDP and a mail server."""

from __future__ import annotations

import email
import email.policy
import http.server
import json
import re
import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trustme
from aiosmtpd.controller import Controller
from google.protobuf.json_format import Parse
from msgspec.structs import replace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from chapiteau.io.clock import SystemClock
from chapiteau.load.execution.job import RunObserver
from chapiteau.load.execution.jobs import find_job
from chapiteau.load.execution.run_test import run_test
from chapiteau.load.telemetry.exporter import Exporter
from chapiteau.load.telemetry.notify import notify
from chapiteau.load.testing import Target
from tests.load.report.test_report import made, served
from tests.support import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

Got = list[tuple[str, dict[str, str], bytes]]


@contextmanager
def listening(status: int = 204, *, away: int = 0) -> Iterator[tuple[str, Got]]:
    """An HTTP server that keeps what it is sent, by path; the first `away` times it answers 503."""
    got: Got = []
    left = iter(range(away))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if next(left, None) is not None:
                self.send_response(503)
                self.end_headers()
                return
            got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(status)
            self.end_headers()

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


async def test_a_run_sends_its_numbers_every_second() -> None:
    with (
        Target("queue", mean=0.001, fixed=True) as target,
        listening() as (host, got),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(60)
        exports = (
            f"prometheus+http://{host}", f"otlp+http://{host}",
            f"statsd://127.0.0.1:{udp.getsockname()[1]}", f"otlp+http://127.0.0.1:{free_port()}",
        )  # fmt: skip
        given = {
            "export": list(exports), "export_headers": {"Authorization": "Bearer t"},
            "rate": 40.0, "duration": 3.0, "processes": 1,
        }  # fmt: skip
        work = find_job(target.url, given, None, ())
        result = await run_test(work, SystemClock(), RunObserver())
        packet = udp.recv(65536).decode()

    by_path: dict[str, list[bytes]] = {}
    for path, headers, body in got:
        assert headers["authorization"] == "Bearer t"
        by_path.setdefault(path.partition("?")[0], []).append(body)
    assert {len(bodies) for bodies in by_path.values()} <= {2, 3}
    for path in ("/v1/metrics", "/api/v1/otlp/v1/metrics"):
        otlp = Parse(by_path[path][-1], ExportMetricsServiceRequest())
        assert otlp.resource_metrics[0].scope_metrics[0].metrics
    assert "chapiteau.load.requests_per_second:" in packet
    (note,) = [n for n in result.soundness.notes if "export" in n]
    assert "were lost" in note
    assert b"Bearer" not in msgspec.json.encode(result)


async def test_what_a_slow_system_has_not_taken_by_the_end_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It accepts connections and never answers."""
    monkeypatch.setattr("chapiteau.load.telemetry.exporter._LAST", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        targets = [f"prometheus+http://127.0.0.1:{port}", f"otlp+http://127.0.0.1:{port}"]
        async with Exporter(targets, {}, (), 0.0) as exports:
            for second in range(3):
                exports.tell([], float(second))
        problems = exports.problems
    assert [problem.partition(": ")[2] for problem in problems] == [
        "3 of 3 messages were lost (it is too slow)"
    ] * 2


def result_of(word: str = "met") -> dict[str, Any]:
    document = made(served(3))
    return replace(document, verdict=replace(document.verdict, word=word), id=7)


async def test_a_system_that_is_restarted_gets_what_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chapiteau.load.telemetry.exporter._AGAIN", 0.01)
    with listening(away=5) as (host, got):
        async with Exporter((f"otlp+http://{host}",), {}, (), 0.0) as exports:
            for second in range(3):
                exports.tell([], float(second))
            wait_for(lambda: len(got) == 3)

    assert exports.problems == []


def test_a_webhook_is_told_the_verdict() -> None:
    with listening() as (host, got):
        assert list(notify([f"http://{host}/hook/secret"], result_of())) == []
    (_, _, body) = got[0]

    told = json.loads(body)
    assert told["format"] == "chapiteau-load-notice/1"
    assert (told["id"], told["verdict"]["word"], told["totals"]["requests"]) == (7, "met", 9)
    assert "shop" in told["text"]


def test_who_can_not_be_told_is_named_without_secrets() -> None:
    with listening(500) as (host, _):
        told = list(
            notify(
                [
                    f"http://{host}/hook/secret",
                    f"mailto:a@x.org?server=smtp://127.0.0.1:{free_port()}",
                ],
                result_of(),
            )
        )

    assert re.fullmatch(
        r"the webhook at 127.0.0.1 was not told: 127.0.0.1:\d+ answered 500", told[0]
    )
    assert told[1].startswith("mail to a@x.org was not told: ")
    assert "secret" not in "".join(told)


class Box:
    """Mails, and whether each came under TLS."""

    def __init__(self) -> None:
        self.mails: list[tuple[bool, Any]] = []

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((session.ssl is not None, envelope))
        return "250 OK"


def test_a_mail_goes_under_tls_when_the_server_offers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    box = Box()
    server = Controller(
        box, hostname="127.0.0.1", port=free_port(), tls_context=context, require_starttls=True
    )
    server.start()
    address = f"mailto:ana@x.org?server=smtp://127.0.0.1:{server.port}&from=load@x.org"
    try:
        (told,) = notify([address], result_of())
        assert "CERTIFICATE_VERIFY_FAILED" in told
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert list(notify([address], result_of())) == []
    finally:
        server.stop()
    assert [secure for secure, _ in box.mails] == [True]


def test_a_mail_server_takes_the_verdict() -> None:
    box = Box()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        address = (
            f"mailto:ana@x.org,ben@x.org?server=smtp://127.0.0.1:{server.port}&from=load@x.org"
        )
        assert list(notify([address], result_of("not met"))) == []
    finally:
        server.stop()

    ((_, envelope),) = box.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("load@x.org", ["ana@x.org", "ben@x.org"])
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert mail["date"].datetime.timestamp() == 3  # seconds after the start, which is 0 here
    assert mail["message-id"].endswith("@x.org>")
    assert mail["subject"] == "Load test shop: not met"
    assert "9 requests" in mail.get_content()
