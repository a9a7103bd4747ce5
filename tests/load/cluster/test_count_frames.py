"""A machine's counts in parcels: nothing is lost, none is too large, and totals come at once."""

from __future__ import annotations

import contextlib
import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.histogram import Histogram
from chapiteau.load.cluster.count_frames import Opener, Sender
from chapiteau.load.report.document import Facts, document
from chapiteau.load.stats.recorder import Recorder, decode_histogram, encode_histogram
from chapiteau.load.stats.totals import Totals

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(("request", "failed", "check", "session", "crash", "count", "trend")),
        st.sampled_from(("a", "b", "c")),
        st.integers(0, 3),
        st.integers(0, 5_000_000),
    ),
    max_size=30,
)


def counted(events: list[tuple[str, str, int, int]], number: int) -> dict[str, Any]:
    """A worker's frame of one second."""
    tally = Recorder()
    for kind, name, second, value in events:
        row = tally.row(name, ("t",) if name == "a" else ())
        if kind == "request":
            row.latency[second].append(value)
            row.service.append(value)
            row.statuses[200] += 1
            row.received += value
        elif kind == "failed":
            row.latency[second].append(value)
            row.bad[second] += 1
            row.failures["timeout"] += 1
        elif kind == "check":
            tally.check(name, good=value % 2 == 0)
        elif kind == "session":
            tally.iterations[name][value % 2] += 1
            tally.started += 1
        elif kind == "crash":
            tally.crash(name, f"trace {number}")
        else:
            tally.metric("counter" if kind == "count" else "trend", f"{kind} {name}", value)
    return {**tally.flush(), "cpu": 0.25 * number, "running": number, "users": number}


@given(st.lists(st.lists(EVENTS, min_size=1, max_size=3), max_size=4), st.integers(40, 600))
def test_nothing_is_lost_and_no_parcel_is_too_large(
    seconds: list[list[list[tuple[str, str, int, int]]]], most: int
) -> None:
    sender, opener = Sender(most), Opener()
    sender.begin(["a", "t"])
    there, each = Totals(["a", "t"]), Totals(["a", "t"])

    def send() -> bool:
        parcel = sender.parcel()
        assert len(parcel) <= most
        opener.add(parcel, there)
        return bool(parcel)

    for second, workers in enumerate(seconds):
        for number, events in enumerate(workers):
            frame = {**counted(events, number), "second": second}
            sender.waiting.add(frame)
            each.add(frame)
        send()
    while send():
        pass

    assert shown(there) == shown(each)
    assert (there.cpu, there.running) == (each.cpu, each.running)
    assert there.requests == sum(row.count for row in there.rows.values())


@pytest.mark.parametrize("names", [12, 300])
def test_with_many_names_the_totals_come_at_once_and_each_name_in_its_turn(names: int) -> None:
    chance = random.Random(names)
    sender, opener, there = Sender(3_600), Opener(), Totals()
    due = 0
    tally = Recorder(most_names=200)
    for second in range(10):
        for _ in range(1_500):
            row = tally.row(f"GET /things/{chance.randrange(names)}")
            micros = int(chance.lognormvariate(9, 0.7))
            row.latency[second].append(micros)
            row.service.append(micros - 90)
            row.statuses[200] += 1
        due += 1_500
        sender.waiting.add({**tally.flush(), "second": second, "cpu": 0.5})
        parcel = sender.parcel()
        opener.add(parcel, there)

        assert len(parcel) <= 3_600
        assert there.requests == due
        assert there.series[""][second].count == 1_500
    assert len(there.rows) == min(names, 201)
    assert sum(row.count for row in there.rows.values()) > 0.9 * due
    assert sum(row.latency.count for row in there.rows.values()) > 0.5 * due


def test_a_failure_is_shown_with_one_sample_however_often_it_comes() -> None:
    sender = Sender(2_000)
    sizes = []
    for _ in range(3):
        tally = Recorder()
        tally.crash("ValueError", "".join(map(chr, range(300, 1000))))
        sender.waiting.add(tally.flush())
        sizes.append(len(sender.parcel()))
    assert sizes[0] > 500
    assert max(sizes[1:]) < 60


@given(st.binary())
def test_foreign_bytes_are_refused_or_are_counts(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        Opener().add(data, Totals())
    with contextlib.suppress(ValueError):
        Opener().add(zlib.compress(data), Totals())


def shown(totals: Totals) -> dict[str, Any]:
    """All that a report would show of it."""
    facts = Facts(kind="run", name="", target="", started=0.0, seconds=4.0, plan={})
    made = document(facts, totals, {}, ())
    made["rows"] = sorted(map(_whole, made["rows"]), key=lambda row: str(row["name"]))
    made["metrics"] = sorted(made["metrics"], key=str)
    made["checks"] = sorted(made["checks"], key=str)
    made["scenarios"] = sorted(made["scenarios"], key=str)
    made["failures"] = sorted(made["failures"], key=str)
    return made


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    """Without the times at which parcels came: their batches together are what was counted."""
    latency = Histogram()
    for text in row["batches"]["parts"]:
        latency.merge(decode_histogram(text))
    return {**row, "batches": encode_histogram(latency)}
