"""What the resource watcher, the watchdog and statsd decide."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.fields import read
from chapiteau.io.telemetry import statsd_packets
from chapiteau.migrate.circus.monitors import Heartbeats, ProcessUsage, ThresholdTracker
from chapiteau.run.config.plugin_settings import (
    BUILTIN_PLUGINS,
    HeartbeatOptions,
    ResourceOptions,
)
from chapiteau.run.events import Event
from chapiteau.run.plugins.statsd import counter


def made(cls: Any, **raw: Any) -> Any:
    value, problems = read(cls, raw)
    assert problems == []
    return value


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
    made_packets = list(statsd_packets(lines))
    assert all(len(packet) <= 1400 for packet in made_packets)
    assert [line for p in made_packets for line in p.decode().split("\n")] == lines


def test_every_shipped_plugin_has_defaults_or_says_what_it_needs() -> None:
    for name, shipped in BUILTIN_PLUGINS.items():
        value, problems = read(shipped.settings, {})
        assert value is not None or [p.what for _, p in problems] == ["must be given"], name
