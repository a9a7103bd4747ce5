"""The service's own numbers on the test's clock, in the document and the report."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from chapiteau.load.report import render
from chapiteau.load.report.resources import resource_charts, resources
from chapiteau.load.report.result import ProcessChange, ServiceUsage
from tests.load.report.test_report import made, served


def sample(at: float, **more: Any) -> dict[str, Any]:
    return {
        "time": 1000.0 + at, "ids": ["web/1", "web/2", "db/1"], "pid": [11, 12, 13],
        "cpu": [10.0, 20.0, None], "rss": [100, 200, None],
        "sockets": {"web": {"queued": 3, "connections": 5}}, "host": {"cpu": 41.0}, **more,
    }  # fmt: skip


def test_processes_of_a_service_are_added_up_on_the_tests_clock() -> None:
    found = resources([sample(-1), sample(0.5), sample(9)], 1000.0, 5.0)

    assert found is not None
    (point,) = found.points
    assert point.t == 0.5
    assert point.services["web"] == ServiceUsage(30.0, 300, 2)
    assert point.services["db"].cpu == 0.0
    assert (point.queued, point.host_cpu) == ({"web": 3}, 41.0)
    assert found.events == []


def test_a_restart_is_marked() -> None:
    found = resources([sample(0), sample(1), sample(2, pid=[11, 99, 13])], 1000.0, 5.0)

    assert found is not None
    assert found.events == [ProcessChange(2.0, ["web/2"])]
    assert "0:02: web/2 came or went" in resource_charts(found, 5.0)


def test_without_samples_there_is_no_part_of_it() -> None:
    assert resources([], 0.0, 5.0) is None
    assert resource_charts(None, 5.0) == ""


def test_an_hours_report_stays_small() -> None:
    samples = [sample(n) for n in range(3600)]
    used = resources(samples, 1000.0, 3600.0)
    document = replace(made(served(3600), seconds=3600.0), resources=used)

    html = render(document, "html")
    assert "What the service used meanwhile" in html
    assert "Waiting to be accepted" in html
    assert "<script" not in html
    assert len(html.encode()) < 400_000
