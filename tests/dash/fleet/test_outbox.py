"""What a slow reader gets: the newest state, every event, and the size of every gap."""

from hypothesis import given
from hypothesis import strategies as st

from chapiteau.dash.fleet.bus import Outbox


def test_only_the_newest_of_a_slot_is_sent() -> None:
    box = Outbox()
    for number in range(5):
        box.latest("stats", "", str(number))
    (message,) = box.take()
    assert message.data == "4"
    assert box.replaced == 4
    assert not box


def test_events_keep_their_order_and_numbers() -> None:
    box = Outbox()
    box.every("events", "a")
    box.every("events", "b")
    first = box.take()
    box.every("events", "c")
    assert [(m.seq, m.data) for m in [*first, *box.take()]] == [(1, "a"), (2, "b"), (3, "c")]


def test_a_hopeless_reader_is_told_apart() -> None:
    box = Outbox()
    for _ in range(10_001):
        box.every("events", "x")
    assert box.overflown


@given(st.lists(st.integers(1, 30), max_size=20), st.integers(1, 40))
def test_lines_plus_gap_are_all_that_was_said(batches: list[int], most: int) -> None:
    box = Outbox(most_lines=most)
    said = 0
    for size in batches:
        box.lines("log:1", [said + i for i in range(size)])
        said += size
    messages = box.take()
    if said:
        (message,) = messages
        assert message.data["gap"] + len(message.data["lines"]) == said
        assert message.data["lines"] == list(range(message.data["gap"], said))


def test_what_is_no_longer_wanted_is_forgotten() -> None:
    box = Outbox()
    box.latest("fleet", "a", "1")
    box.lines("log:1", [1])
    box.forget("fleet")
    box.forget("log:1")
    assert box.take() == []
