"""What the flapping guard, the resource watcher, the watchdog and statsd decide."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.fields import read
from chapiteau.migrate.circus.monitors import Heartbeats, ProcessUsage, ThresholdTracker
from chapiteau.migrate.circus.restarts import FlappingDetector, Verdict
from chapiteau.run.config.plugin_settings import (
    BUILTIN_PLUGINS,
    FlappingOptions,
    HeartbeatOptions,
    ResourceOptions,
)
from chapiteau.run.events import Event
from chapiteau.run.plugins.statsd import counter, packets


def made(cls: Any, **raw: Any) -> Any:
    value, problems = read(cls, raw)
    assert problems == []
    return value


def ended(time: float, process: int = 1, *, asked: bool = False) -> Event:
    data = {"asked": True} if asked else {"code": 1}
    return Event(seq=1, time=time, kind="process.exited", service="web", process=process, data=data)


def tell(guarding: FlappingDetector, time: float, process: int = 1, *, asked: bool = False) -> Any:
    return guarding.ended(ended(time, process, asked=asked), time)


# ── flapping ─────────────────────────────────────────────────────────────────────────────────
RULE = made(FlappingOptions, attempts=3, window="10s", retry_in="30s", retries=2)


def test_the_third_end_within_the_window_stops_the_service() -> None:
    guarding = FlappingDetector(RULE)
    assert tell(guarding, 0) is None
    assert tell(guarding, 4) is None
    assert tell(guarding, 8) == Verdict("stop", 1, 3)
    assert guarding.due(37) == []
    assert guarding.due(38) == ["web"]
    assert guarding.due(39) == []


def test_ends_that_are_far_apart_or_of_other_processes_are_no_flapping() -> None:
    guarding = FlappingDetector(RULE)
    assert [tell(guarding, time) for time in (0, 10, 20, 30)] == [None] * 4
    assert [tell(guarding, 100, number) for number in range(1, 9)] == [None] * 8


def test_a_clock_that_is_set_makes_nobody_flap() -> None:
    """Events carry the wall clock's time, which jumps by a day; decisions look at another one."""
    guarding, day = FlappingDetector(RULE), 86400.0
    walls = [0.0, day, 0.0, day]
    found = [
        guarding.ended(ended(wall), now) for wall, now in zip(walls, (0, 20, 40, 60), strict=True)
    ]
    assert found == [None] * 4
    for now in (61, 62):
        verdict = guarding.ended(ended(-day), now)
    assert verdict == Verdict("stop", 1, 3)
    assert guarding.due(62 + 30) == ["web"]


def test_after_the_last_retry_it_stays_down_and_a_quiet_time_forgives() -> None:
    guarding = FlappingDetector(RULE)
    deeds = []
    for start in (0.0, 40.0, 80.0):
        found = [tell(guarding, start + step) for step in (0, 1, 2)]
        deeds += [verdict.deed for verdict in found if verdict]
        guarding.due(start + 33)
    assert deeds == ["stop", "stop", "stop for good"]
    guarding = FlappingDetector(RULE)
    for start in (0.0, 1000.0, 2000.0, 3000.0):
        found = [tell(guarding, start + step) for step in (0, 1, 2)]
        assert found[2] == Verdict("stop", 1, 3)
        guarding.due(start + 33)


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 3)), max_size=50))
def test_an_end_that_was_asked_for_never_counts(ends: list[tuple[float, int]]) -> None:
    guarding = FlappingDetector(RULE)
    assert all(tell(guarding, t, n, asked=True) is None for t, n in sorted(ends))


def test_a_command_by_somebody_else_takes_the_retry_away() -> None:
    guarding = FlappingDetector(RULE)
    for time in (0, 1, 2):
        tell(guarding, time)
    guarding.forget("web")
    assert guarding.due(1000) == []


# ── resources ────────────────────────────────────────────────────────────────────────────────
def use(cpu: float = 0.0, rss: int = 0, pid: int = 7) -> list[ProcessUsage]:
    return [ProcessUsage(service="web", process=1, pid=pid, cpu=cpu, rss=rss)]


def test_a_bound_counts_only_when_it_is_broken_for_the_whole_window() -> None:
    levels = ThresholdTracker(made(ResourceOptions, max_cpu=50, window="10s", pause="60s"))
    assert levels.look(use(90), 0) == []
    assert levels.look(use(90), 9) == []
    assert levels.look(use(10), 9.5) == []  # one calm look begins anew
    assert levels.look(use(90), 10) == []
    assert levels.look(use(90), 20) == [("web", "web 1 uses 90 % CPU (> 50) for 10s")]
    assert levels.look(use(90), 31) == []  # the pause
    assert len(levels.look(use(90), 80)) == 1


def test_a_new_process_begins_with_a_clean_slate() -> None:
    levels = ThresholdTracker(made(ResourceOptions, max_memory="1MiB", window="10s"))
    levels.look(use(rss=2 << 20, pid=7), 0)
    assert levels.look(use(rss=2 << 20, pid=8), 11) == []
    assert levels.look(use(rss=2 << 20, pid=8), 21) == [("web", "web 1 uses 2MiB (> 1MiB) for 10s")]


def test_too_little_counts_as_well() -> None:
    levels = ThresholdTracker(made(ResourceOptions, min_cpu=1, min_memory="1MiB", window="0s"))
    assert "(< 1MiB)" in levels.look(use(cpu=5, rss=10), 0)[0][1]
    levels = ThresholdTracker(made(ResourceOptions, min_cpu=1, window="0s"))
    assert levels.look(use(cpu=0.5), 0)[0][1] == "web 1 uses 0 % CPU (< 1) for 0s"


# ── watchdog ─────────────────────────────────────────────────────────────────────────────────
def test_silence_is_counted_in_whole_intervals_and_told_once() -> None:
    beats = Heartbeats(made(HeartbeatOptions, missed=2))
    assert beats.interval_over([7]) == []  # started in the middle of this one
    assert beats.interval_over([7]) == []
    assert beats.interval_over([7]) == [7]
    assert beats.interval_over([7]) == []


def test_a_heartbeat_begins_the_count_anew() -> None:
    beats = Heartbeats(made(HeartbeatOptions, missed=1))
    for _ in range(5):
        beats.heard(7)
        assert beats.interval_over([7, 8][:1]) == []
    assert beats.interval_over([7]) == [7]


@given(st.binary(max_size=64))
def test_any_datagram_gives_a_pid_or_0(data: bytes) -> None:
    assert Heartbeats(made(HeartbeatOptions)).pid_of(data) >= 0


def test_circus_messages_are_understood() -> None:
    assert Heartbeats(made(HeartbeatOptions)).pid_of(b"123;1700000000.5\n") == 123


# ── statsd ───────────────────────────────────────────────────────────────────────────────────
@given(st.text(max_size=30))
def test_no_name_breaks_a_line(name: str) -> None:
    event = Event(seq=1, time=0, kind="process.exited", service=name)
    line = counter("p", event)
    assert line.count(":") == line.count("|") == 1
    assert "\n" not in line
    assert " " not in line


@given(st.lists(st.text("abc.:1|g", min_size=1, max_size=200), max_size=60))
def test_packets_hold_every_line_once_and_fit_the_network(lines: list[str]) -> None:
    made_packets = list(packets(lines))
    assert all(len(packet) <= 1432 for packet in made_packets)
    assert [line for p in made_packets for line in p.decode().split("\n")] == lines


def test_every_shipped_plugin_has_defaults_or_says_what_it_needs() -> None:
    for name, shipped in BUILTIN_PLUGINS.items():
        value, problems = read(shipped.settings, {})
        assert value is not None or [p.what for _, p in problems] == ["must be given"], name
