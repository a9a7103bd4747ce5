"""From which event on a plugin listens."""

from __future__ import annotations

import pytest

from chapiteau.run.events import Event
from chapiteau.run.plugins.host import first_event

BEGAN, AGAIN, APPLIED, OTHER = "supervisor.started", "attached", "supervisor.config_applied", "x"


def past(*kinds: str) -> list[Event]:
    """Events; a kind that is a number is the plugin's process with that pid."""
    made = []
    for seq, kind in enumerate(kinds, 1):
        own = kind.isdecimal()
        made.append(
            Event(
                seq=seq,
                time=0.0,
                kind="process.spawned" if own else BEGAN if kind == AGAIN else kind,
                service="guard" if own else "web",
                pid=int(kind) if own else 0,
                data={"attached": int(kind == AGAIN)},
            )
        )
    return made


@pytest.mark.parametrize(
    ("events", "after"),
    [
        pytest.param(past(OTHER, BEGAN, OTHER, "7", OTHER), 2, id="it began with the supervisor"),
        pytest.param(past(BEGAN, "6", OTHER, "7", OTHER), 4, id="it was started again"),
        pytest.param(past(BEGAN, OTHER, APPLIED, "7", OTHER), 4, id="it was added later"),
        pytest.param(past(BEGAN, "7", OTHER, AGAIN, OTHER), 1, id="a brain came back meanwhile"),
        pytest.param(past(BEGAN, "6", BEGAN, OTHER, "7"), 3, id="another run before this one"),
        pytest.param(past(BEGAN, "6", OTHER), 99, id="somebody runs it by hand"),
        pytest.param([], 99, id="nothing is known"),
    ],
)
def test_what_happened_while_it_was_being_loaded_is_heard(events: list[Event], after: int) -> None:
    assert first_event(events, "guard", 7, 99) == after
