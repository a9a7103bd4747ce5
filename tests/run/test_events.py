"""The vocabulary of events: every kind has its look, or is known to be the usual course."""

from __future__ import annotations

import pytest

from chapiteau.run.events import KINDS, TONES, event_fields

USUAL = {
    "service.starting", "service.stopping", "service.stopped", "service.reloading",
    "process.spawned", "process.stopping", "process.status", "socket.bound", "socket.closed",
    "plugin.message",
}  # fmt: skip


def test_each_kind_is_either_usual_or_has_a_tone() -> None:
    """A new kind that nobody looked at would hide among the usual ones on the page."""
    assert set(KINDS) == USUAL | set(TONES)
    assert set(TONES.values()) == {"bad", "warn", "good", "people"}


def test_what_is_no_field_of_an_event_is_not_sent() -> None:
    with pytest.raises(TypeError, match="has no colour"):
        event_fields({"seq": 1, "time": 2.0, "kind": "process.ready", "colour": "red"})
