"""Events as the standard has them, however the bytes are cut."""

from __future__ import annotations

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.load.errors import BadResponseError
from chapiteau.load.protocols.server_sent_events import Event, Events

STREAM = (
    b"\xef\xbb\xbf: a comment\n\ndata: YHOO\ndata: +2\ndata: 10\n\n"
    b"event: add\rid: 7\rdata:73857293\r\rretry: 3000\r\nretry: x\r\nid: a\0b\r\ndata\r\n\r\n"
    b"event: nothing\n\ndata:  two spaces\n\ndata: not whole"
)
EVENTS = [
    Event("message", "YHOO\n+2\n10"),
    Event("add", "73857293", "7"),
    Event("message", "", "7"),
    Event("message", " two spaces", "7"),
]


@given(st.integers(1, len(STREAM)))
def test_events_come_whole_however_the_bytes_are_cut(step: int) -> None:
    events, found = Events(), []
    for at in range(0, len(STREAM), step):
        found += events.feed(STREAM[at : at + step])
    assert found == EVENTS
    assert events.retry == 3000


def test_an_event_without_end_is_refused() -> None:
    events, line = Events(), b"data: " + b"x" * (1 << 20) + b"\n"
    with pytest.raises(BadResponseError):
        collections.deque(map(events.feed, [line] * 20))
    with pytest.raises(BadResponseError):
        Events().feed(b"x" * (17 << 20))


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_give_events(parts: list[bytes]) -> None:
    events = Events()
    for part in parts:
        assert all(isinstance(event, Event) for event in events.feed(part))
