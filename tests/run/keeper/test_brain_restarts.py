"""Which deaths of a brain are crashes, and what follows."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from chapiteau.run.keeper.brain_restarts import DELAYS, LONG_DELAYS, BrainRestarts

if TYPE_CHECKING:
    from pathlib import Path

ERROR = {"code": 1, "signal": None}
CRASH = {"code": None, "signal": int(signal.SIGSEGV)}
KILLED = {"code": None, "signal": int(signal.SIGKILL)}


def counted(*deaths: tuple[float, dict[str, int | None], bool]) -> BrainRestarts:
    found = BrainRestarts()
    for now, end, silent in deaths:
        found.count(end, 1.0, now, silent=silent)
    return found


def test_three_crashes_within_a_minute_are_too_many() -> None:
    found = counted((0.0, ERROR, False), (30.0, CRASH, False), (59.0, KILLED, True))
    why = "3 brains crashed within 60 s, the last one: it did not answer"
    assert found.read_only_reason(59.0, False) == why
    assert not found.read_only_reason(59.0, True)
    assert not found.read_only_reason(61.0, False)


def test_the_last_three_count() -> None:
    found = counted(*((float(now), ERROR, False) for now in (0, 50, 100, 130)))
    assert not found.read_only_reason(130.0, False)
    found.count(ERROR, 1.0, 131.0, silent=False)
    assert not found.read_only_reason(165.0, False)
    assert found.read_only_reason(159.0, False)


def test_a_kill_by_others_is_no_crash() -> None:
    """Somebody's `kill -9`, as often as they like: the brain is not at fault."""
    found = counted(*((now / 10, KILLED, False) for now in range(60)))
    assert (found.last, found.read_only_reason(6.0, False)) == ("signal 9", "")


def test_one_that_waits_for_a_person_is_no_crash() -> None:
    found = counted(*((float(now), {"code": 75, "signal": None}, False) for now in range(9)))
    assert not found.read_only_reason(9.0, False)


def test_one_that_left_by_itself_makes_a_fresh_start() -> None:
    found = counted(*((float(now), ERROR, False) for now in range(3)))
    found.count({"code": 0, "signal": None}, 1.0, 4.0, silent=False)
    assert (found.last, found.read_only_reason(4.0, False)) == ("", "")


def test_pauses_grow_and_begin_anew_after_one_that_lived() -> None:
    found = BrainRestarts()
    seen = [found.count(ERROR, 1.0, 0.0, silent=False) for _ in range(12)]
    assert seen == [*DELAYS, *LONG_DELAYS, LONG_DELAYS[-1]]
    assert found.count(ERROR, 21.0, 0.0, silent=False) == 0.0


def test_pauses_stay_short_where_others_kill() -> None:
    found = BrainRestarts()
    seen = [found.count(KILLED, 0.2, 0.0, silent=False) for _ in range(60)]
    assert max(seen) == DELAYS[-1]
    assert found.count(ERROR, 0.2, 0.0, silent=False) == DELAYS[-1]


def test_brains_that_can_not_begin_are_hopeless_reason_at_last(tmp_path: Path) -> None:
    waits = {"code": 75, "signal": None}
    found = counted(*((float(now), waits, False) for now in range(4)))
    gone = "4 brains in a row could not begin, whose folder has gone, the last one: exit code 75"
    assert found.hopeless_reason(str(tmp_path / "gone")) == gone
    assert not found.hopeless_reason(str(tmp_path))
    for _ in range(7):
        found.not_started("no such interpreter")
    assert not found.hopeless_reason(str(tmp_path))
    assert found.not_started("no such interpreter") == LONG_DELAYS[-1]
    why = "12 brains in a row could not begin, the last one: no such interpreter"
    assert found.hopeless_reason(str(tmp_path)) == why
    found.count({"code": 0, "signal": None}, 1.0, 9.0, silent=False)
    assert not found.hopeless_reason(str(tmp_path / "gone"))


def test_kills_by_others_are_never_hopeless_reason() -> None:
    found = counted(*((now / 10, KILLED, False) for now in range(60)))
    assert not found.hopeless_reason("/nowhere")
