"""Where lines of output go besides their files: a collector of OpenTelemetry, and one's own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.run.plugins.receivers import WebServer, served
from tests.support import ROOT, run_cli, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

    New = Callable[[str], Project]

pytestmark = pytest.mark.slow

SAYS = """
    import os, sys, time
    def say(text):
        os.write(1, text.encode() + b"\\n")
    for n in range(2000):
        say(f"line {n:05}")
    say("INFO begins\\n  more of it\\n  and more")
    os.write(2, b"ERROR it failed\\n")
    say('{"message": "x", "trace_id": "5b8efff798038103d269b633813fc60c"}')
    while not os.path.exists("go"):
        time.sleep(0.02)
    for n in range(2000, 4000):
        say(f"line {n:05}")
    say("end")
    time.sleep(600)
"""


def records(collector: WebServer) -> list[dict[str, Any]]:
    return [
        {**record, "service": _attribute(resource["resource"], "service.name")}
        for _, body in list(collector.posted)
        for resource in body["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]


def _attribute(holder: dict[str, Any], key: str) -> str:
    return next(a["value"]["stringValue"] for a in holder["attributes"] if a["key"] == key)


def test_a_collector_gets_every_line_though_it_and_the_plugin_go_away(project: New) -> None:
    with served(WebServer()) as collector:
        collector.statuses = [503, 200]
        p = project(f"""
            [log]
            max_size = "64KiB"
            multiline = '^\\S'
            [service.web]
            command = ["python3", "says.py"]
            ready.log = "trace_id"
            [plugin.otlp]
            use = "otlp"
            [plugin.otlp.options]
            url = "{collector.url}/v1/logs"
            services = ["web"]
            headers = {{ Authorization = {{ env = "OTLP_TOKEN" }} }}
            attributes = {{ "deployment.environment.name" = "test" }}
        """)
        p.file("says.py", SAYS)
        os.environ["OTLP_TOKEN"] = "Bearer secret"
        try:
            p.up("otlp")
        finally:
            del os.environ["OTLP_TOKEN"]
        p.until("otlp", "running")
        assert p.client.command("start", "web").ok
        wait_for(lambda: len(records(collector)) > 2003)
        [pid] = p.pids("otlp")
        os.kill(pid, signal.SIGKILL)
        (p.folder / "go").touch()  # what comes while it is down is sent when it is back
        bodies = wait_for(lambda: (b := _bodies(collector)) and "end" in b and b)
    assert [b for b in dict.fromkeys(bodies) if b.startswith("line")] == [
        f"line {n:05}" for n in range(4000)
    ]
    headers, _ = collector.posted[0]
    assert headers["Authorization"] == "Bearer secret"
    _is_otlp(collector)
    found = {r["body"]["stringValue"]: r for r in records(collector)}
    assert found["INFO begins\n  more of it\n  and more"]["severityNumber"] == 9
    failed = found["ERROR it failed"]
    assert (failed["severityText"], failed["service"]) == ("ERROR", "web")
    assert _attribute(failed, "log.iostream") == "stderr"
    traced = next(r for text, r in found.items() if "trace_id" in text)
    assert traced["traceId"] == "5b8efff798038103d269b633813fc60c"
    texts = [e.text for e in p.events("plugin.message")]
    assert any("does not take lines: " in t and "503" in t for t in texts)
    assert "the collector takes lines again" in texts


def _bodies(collector: WebServer) -> list[str]:
    return [r["body"]["stringValue"] for r in records(collector)]


def _is_otlp(collector: WebServer) -> None:
    """The library of OpenTelemetry reads every request."""
    logs = pytest.importorskip("opentelemetry.proto.collector.logs.v1.logs_service_pb2")
    from google.protobuf.json_format import Parse

    for _, body in collector.posted:
        # OTLP writes ids in hex where JSON of Protobuf has base64: the one difference.
        text = re.sub(r'"traceId": "[0-9a-f]{32}"', '"traceId": ""', json.dumps(body))
        Parse(text, logs.ExportLogsServiceRequest())


def test_what_a_collector_refuses_for_good_is_told(project: New) -> None:
    with served(WebServer()) as collector:
        collector.statuses = [400, 200]
        p = project(f"""
            [service.web]
            command = ["sh", "-c", "echo one; sleep 600"]
            ready.log = "one"
            [plugin.otlp]
            use = "otlp"
            options.url = "{collector.url}/v1/logs"
        """).up("otlp")
        p.until("otlp", "running")
        assert p.client.command("start", "web").ok
        [told] = wait_for(lambda: p.events("plugin.message"))
        assert "1 lines were refused by the collector: 127.0.0.1" in told.text
        assert told.data["lost"] == 1


def test_the_guide_tells_how_to_write_a_sink_of_ones_own(project: New) -> None:
    page = (ROOT / "docs/how-to/logs.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    toml = next(t for t in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "sink:Keep" in t)
    p = project(toml + '\n[service.web]\ncommand = ["sh", "-c", "echo hello; sleep 600"]\n')
    (p.folder / "sink.py").write_text(code)
    assert run_cli("check", cwd=p.folder).returncode == 0
    p.up("keep")
    p.until("keep", "running")
    assert p.client.command("start", "web").ok

    def rows() -> list[tuple[str, str]]:
        with contextlib.closing(sqlite3.connect(p.folder / "lines.db")) as db:
            return db.execute("SELECT service, text FROM line").fetchall()

    assert wait_for(rows) == [("web", "hello")]
