"""Start order over needs: everything after what it needs, and rings are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.graph import CycleError, layers, start_order

names = st.sampled_from("abcdefgh")
graphs = st.dictionaries(names, st.lists(names, max_size=3), max_size=8)


def test_needs_come_first_and_the_files_order_stays_within_a_layer() -> None:
    needs = {"web": ["db", "cache"], "job": [], "db": [], "cache": ["db"]}
    assert layers(needs) == [["job", "db"], ["cache"], ["web"]]
    assert start_order(needs) == ["job", "db", "cache", "web"]


def test_what_is_needed_but_not_there_counts_as_ready() -> None:
    assert start_order({"web": ["elsewhere"]}) == ["web"]


def test_nothing_has_no_layers() -> None:
    assert layers({}) == []


@pytest.mark.parametrize(
    ("needs", "ring"),
    [
        ({"a": ["a"]}, "a → a"),
        ({"a": ["b"], "b": ["a"]}, "a → b → a"),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, "a → b → c → a"),
    ],
)
def test_a_ring_is_named(needs: dict[str, list[str]], ring: str) -> None:
    with pytest.raises(CycleError, match=ring) as caught:
        start_order(needs)
    assert caught.value.cycle[0] == caught.value.cycle[-1]
    assert caught.value.exit_code == 2
    assert "take one" in caught.value.hint


@given(graphs)
def test_everything_starts_once_and_after_its_needs_or_a_real_ring_is_named(
    needs: dict[str, list[str]],
) -> None:
    try:
        order = start_order(needs)
    except CycleError as exc:
        steps = list(zip(exc.cycle, exc.cycle[1:], strict=False))
        assert all(after in needs[name] for name, after in steps)
        return
    assert sorted(order) == sorted(needs)
    at = {name: i for i, name in enumerate(order)}
    assert all(at[n] < at[name] for name in needs for n in needs[name] if n in needs)
