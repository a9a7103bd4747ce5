"""The vocabulary of events: every kind has its look, or is known to be the usual course."""

from __future__ import annotations

from chapiteau.run.logic.events import KINDS, TONES

USUAL = {
    "service.starting", "service.stopping", "service.stopped", "service.reloading",
    "process.spawned", "process.stopping", "process.status", "socket.bound", "socket.closed",
    "plugin.message",
}  # fmt: skip


def test_each_kind_is_either_usual_or_has_a_tone() -> None:
    """A new kind that nobody looked at would hide among the usual ones on the page."""
    assert set(KINDS) == USUAL | set(TONES)
    assert set(TONES.values()) == {"bad", "warn", "good", "people"}
