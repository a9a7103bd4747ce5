"""The last minutes of numbers."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chapiteau.dash.fleet.history import History


def message(time: float, cpu: list[float]) -> dict[str, Any]:
    return {"time": time, "cpu": cpu, "rss": [c * 100 for c in cpu]}


def test_what_was_measured_is_read_back_by_second() -> None:
    history = History(10)
    for second in (100, 101, 103):
        history.add(message(second + 0.4, [second - 99.5, 5]), ["web/1", "job/1"])
    found = history.read("web", 4)
    assert found == {
        "time": 100,
        "step": 1,
        "ids": ["web/1"],
        "cpu": [[0.5, 1.5, None, 3.5]],
        "rss": [[50.0, 150.0, None, 350.0]],
    }
    assert history.read("", 4)["ids"] == ["job/1", "web/1"]


def test_a_service_with_a_slash_or_a_longer_name_is_not_mixed_up() -> None:
    history = History(5)
    history.add(message(1, [1, 2, 3]), ["web/1", "web2/1", "a/web/1"])
    assert history.read("web", 5)["ids"] == ["web/1"]


def test_a_line_is_of_one_process_or_of_all_of_a_service() -> None:
    history = History(10)
    history.add(message(100, [1.0, 2.0, 9.0]), ["web/1", "web/2", "web2/1"])
    history.add(message(102, [4.0, 3.0]), ["web/2", "web/1"])
    history.add(message(103, [5.0]), ["web/2"])
    assert history.line("web", 0, 4) == {
        "time": 100,
        "cpu": [3.0, None, 7.0, 5.0],
        "rss": [300.0, None, 700.0, 500.0],
    }
    assert history.line("web", 1, 3)["cpu"] == [None, 3.0, None]
    assert history.line("web", 3, 2)["cpu"] == [None, None]
    assert History(10).line("web", 1, 60) == {"time": 0, "cpu": [], "rss": []}


def test_nothing_measured_gives_nothing() -> None:
    assert History(5).read("", 5)["ids"] == []
    none = History(0)
    none.add(message(1, [1]), ["web/1"])
    assert none.read("", 5)["ids"] == []


def test_a_process_long_gone_is_forgotten() -> None:
    history = History(5)
    history.add(message(1, [1]), ["web/1"])
    for second in range(2, 10):
        history.add(message(second, [1]), ["web/2"])
    assert history.read("", 500)["ids"] == ["web/2"]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(1, 12))
def test_the_ring_remembers_exactly_its_last_seconds(ticks: list[int], points: int) -> None:
    history, truth = History(points), {}
    last = -1
    for tick in ticks:
        history.add(message(1000 + tick, [tick]), ["web/1"])
        if tick > last:
            truth[tick] = float(tick)
            last = tick
    found = history.read("web", points)
    start = found["time"] - 1000
    expected = [truth.get(start + i) for i in range(points)]
    assert found["cpu"] == [expected]


def test_requests_stand_on_the_same_axis_as_the_processes() -> None:
    history = History(10)
    history.add({**message(100, [1.0]), "requests": {"web": [41.5, 0.0125, 0.0]}}, ["web/1"])
    history.add(message(101, [1.0]), ["web/1"])
    more = {"job": [1.0, None, 0.0], "web": [7.0, None, 2.5]}
    history.add({**message(103, [1.0]), "requests": more}, ["web/1"])
    assert history.requests("web", 4) == {
        "rate": [41.5, None, None, 7.0],
        "p99": [0.0125, None, None, None],
        "errors": [0.0, None, None, 2.5],
    }
    assert history.requests("job", 1) == {"rate": [1.0], "p99": [None], "errors": [0.0]}
    assert history.requests("db", 4) == {}
    assert history.read("web", 4)["time"] == 100
