"""A server's own past: gaps stay gaps, a day is minutes, and a page's first minute is small."""

from __future__ import annotations

import json
from typing import Any

from chapiteau.dash.fleet.history import HostHistory


def message(time: float, cpu: float, used: int = 50) -> dict[str, Any]:
    return {"time": time, "host": {"cpu": cpu, "mem_used": used, "mem_total": 100, "load1": 0}}


def test_seconds_are_kept_with_their_gaps() -> None:
    past = HostHistory()
    for time in (10.2, 11.1, 11.9, 14.0):
        past.add(message(time, time))
    past.add({"time": 15.0})  # of a node that does not tell
    assert past.read(60) == {
        "time": 10,
        "step": 1,
        "cpu": [10.2, 11.1, None, None, 14.0],
        "mem": [50.0, 50.0, None, None, 50.0],
    }
    assert past.read(2)["cpu"] == [None, 14.0]
    assert past.spark(60) == [10, 11, 11, 11, 14], "a line without holes"
    assert past.spark(2) == [14]


def test_a_day_is_kept_in_minutes_and_no_more() -> None:
    past = HostHistory()
    for minute in range(1500):
        for second in (0, 30):
            past.add(message(minute * 60 + second, minute + second / 30))
    day = past.read(86_400)
    assert (day["step"], len(day["cpu"])) == (60, 1440)
    assert day["cpu"][-1] == 1499.5
    assert day["time"] == 60 * 60
    assert len(past.read(600)["cpu"]) <= 600


def test_nothing_known_is_nothing() -> None:
    assert HostHistory().spark(60) == []
    assert HostHistory().read(60)["cpu"] == HostHistory().read(3600)["cpu"] == []


def test_the_first_minute_of_a_hundred_servers_is_small() -> None:
    past = HostHistory()
    for second in range(700):
        past.add(message(second, 99.9))
    assert len(json.dumps([past.spark(60)] * 100, separators=(",", ":"))) < 30_000
