"""Statistics that wait: oldest go first, are counted, and every message knows its names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chapiteau.dash.nodes.stats_backlog import StatsBacklog


def test_reading_goes_on_where_it_stopped() -> None:
    backlog = StatsBacklog(10)
    backlog.add({"time": 1, "ids": ["a"], "cpu": [1]})
    backlog.add({"time": 2, "cpu": [2]})
    found, gone = backlog.after(0, None)
    assert gone == 0
    assert [m["number"] for m in found] == [1, 2]
    assert found[0]["ids"] == ["a"]
    assert "ids" not in found[1]
    backlog.add({"time": 3, "cpu": [3]})
    assert backlog.after(2, ["a"]) == ([{"time": 3, "cpu": [3], "number": 3}], 0)
    assert backlog.after(2, None)[0][0]["ids"] == ["a"]  # a hub that was started anew
    assert backlog.after(3, ["a"]) == ([], 0)


@given(
    st.integers(1, 8),
    st.lists(st.sampled_from(["", "a", "b"]), max_size=30),
    st.integers(0, 30),
)
def test_nothing_is_missing_without_being_counted(most: int, names: list[str], seen: int) -> None:
    backlog, true_ids = StatsBacklog(most), {}
    ids: list[str] = []
    for number, name in enumerate(names, 1):
        message = {"time": number}
        if name:
            ids = [name]
            message["ids"] = ids  # type: ignore[assignment]
        true_ids[number] = ids
        backlog.add(message)
    seen = min(seen, len(names))
    found, gone = backlog.after(seen, None)
    assert gone + len(found) == len(names) - seen
    known: list[str] = []
    for message in found:
        known = message.get("ids", known)
        assert list(known) == true_ids[message["number"]]
    assert [m["time"] for m in found] == list(range(seen + gone + 1, len(names) + 1))
