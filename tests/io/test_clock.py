"""The real clock."""

import time

from chapiteau.core.clock import Clock
from chapiteau.io.clock import SystemClock


def test_it_tells_both_times_of_the_operating_system() -> None:
    clock: Clock = SystemClock()
    before = time.monotonic(), time.time()
    now, wall = clock.now(), clock.wall()
    assert before[0] <= now <= time.monotonic()
    assert abs(wall - before[1]) < 5


def test_it_sleeps_at_least_as_long_as_asked() -> None:
    clock = SystemClock()
    start = clock.now()
    clock.sleep(0.01)
    assert clock.now() - start >= 0.01
