"""Frames of processes and of machines: nothing is lost on the way, in any order."""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.histogram import Histogram
from chapiteau.load.report.document import document
from chapiteau.load.stats.frames import Frame, MetricValue, decode_frame, encode_frame
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.run_verdict import Verdict
from tests.load.report.test_report import facts

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(("request", "failed", "check", "session", "crash", "count", "trend")),
        st.sampled_from(("a", "b", "c")),
        st.integers(0, 3),
        st.integers(0, 5_000_000),
    ),
    max_size=30,
)


def counted(events: list[tuple[str, str, int, int]], number: int, at: int) -> Frame:
    """A worker's frame of one second."""
    recorder = Recorder()
    for kind, name, second, value in events:
        row = recorder.row(name, ("t",) if name == "a" else ())
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
            recorder.check(name, good=value % 2 == 0)
        elif kind == "session":
            recorder.iterations[name][value % 2] += 1
            recorder.started += 1
        elif kind == "crash":
            recorder.crash(name, f"trace {number}")
        else:
            recorder.metric("counter" if kind == "count" else "trend", f"{kind} {name}", value)
    return replace(recorder.flush(), cpu={at: [0.25 * number]}, running={at: number}, users=number)


@given(st.lists(st.lists(EVENTS, min_size=1, max_size=3), max_size=4))
def test_a_machines_frames_add_up_to_those_of_its_processes(
    seconds: list[list[list[tuple[str, str, int, int]]]],
) -> None:
    there, each = Totals(["a", "t"]), Totals(["a", "t"])
    for second, workers in enumerate(seconds):
        machine = Frame()
        for number, events in enumerate(workers):
            frame = counted(events, number, second)
            each.add(frame)
            machine.add(decode_frame(encode_frame(frame)))
        there.add(decode_frame(encode_frame(machine)))

    assert shown(there) == shown(each)
    assert (there.cpu, there.running) == (each.cpu, each.running)
    assert there.requests == sum(row.count for row in there.rows.values())


def test_a_failure_is_reported_with_one_sample_however_often_it_comes() -> None:
    recorder, sizes = Recorder(), []
    for _ in range(3):
        recorder.crash("ValueError", "".join(map(chr, range(300, 1000))))
        sizes.append(len(encode_frame(recorder.flush())))
    assert sizes[0] > 500 + max(sizes[1:])


def test_text_with_a_lone_surrogate_does_not_stop_a_frame() -> None:
    frame = Frame(
        samples={"caf\udce9": "\ud800"},
        metrics={"t": MetricValue("trend", values=Histogram.of([5]))},
    )
    found = decode_frame(encode_frame(frame))
    assert found.samples == {"caf?": "?"}
    assert found.metrics["t"].values.count == 1


@given(st.binary())
def test_foreign_bytes_are_refused_or_are_counts(data: bytes) -> None:
    for one in (data, zlib.compress(data)):
        with contextlib.suppress(ValueError):
            Totals().add(decode_frame(one))


def shown(totals: Totals) -> dict[str, Any]:
    """All that a report would show of it."""
    made = msgspec.to_builtins(document(facts(4.0), totals, Verdict("none", "")))
    made["rows"] = sorted(map(_whole, made["rows"]), key=lambda row: str(row["name"]))
    made["metrics"] = sorted(made["metrics"], key=str)
    made["checks"] = sorted(made["checks"], key=str)
    made["scenarios"] = sorted(made["scenarios"], key=str)
    made["failures"] = sorted(made["failures"], key=str)
    return made


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    """With the slowest request alone: the others are known to a bucket's precision only."""
    return {**row, "slowest": row["slowest"][:1] and row["slowest"][0][1]}
