"""Places, clocks and merged counts: what a distributed test stands on."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.errors import UsageError
from chapiteau.load.logic.cluster.clocks import Probe, offset
from chapiteau.load.logic.cluster.merging import merged
from chapiteau.load.logic.cluster.places import Place, encrypted, parse_place
from chapiteau.load.logic.report.document import Facts, document
from chapiteau.load.logic.tally import Tally
from chapiteau.load.logic.totals import Totals


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ssh:h1,ana@h2", Place(kind="ssh", hosts=("h1", "ana@h2"))),
        ("local:2", Place(kind="local", hosts=("local-1", "local-2"))),
        ("dask://h:8786", Place(kind="dask", address="tcp://h:8786")),
        ("tls://h:8786", Place(kind="dask", address="tls://h:8786")),
        ("scheduler-file:/s.json", Place(kind="scheduler-file", address="/s.json")),
        ("k8s", Place(kind="k8s")),
        ("ray://h:10001", Place(kind="ray", address="ray://h:10001")),
    ],
)
def test_a_place_is_read(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh:",
        "ssh:h,h",
        "ssh:-oProxyCommand=x",
        "ssh:a b",
        "local:0",
        "local:x",
        "dask://",
        "h",
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_place(text)


@given(st.text())
def test_any_text_is_a_place_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_place(text), Place)


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("tls://10.0.0.1:8786", True),
        ("tcp://127.0.0.1:8786", True),
        ("tcp://[::1]:8786", True),
        ("tcp://localhost:8786", True),
        ("tcp://10.0.0.1:8786", False),
        ("tcp://127.example.org:8786", False),
    ],
)
def test_what_others_could_read_is_told_apart(address: str, safe: bool) -> None:
    assert encrypted(address) is safe


@given(
    true=st.floats(-1e6, 1e6),
    delays=st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2)), min_size=1, max_size=9),
)
def test_the_true_offset_lies_within_the_error(
    true: float, delays: list[tuple[float, float]]
) -> None:
    probes = []
    for sent, (there, back) in enumerate(delays):
        at = float(10 * sent)
        probes.append(Probe(at, at + there + true, at + there + back))
    found = offset(probes)
    assert abs(found.value - true) <= found.error + 1e-6
    assert found.error == pytest.approx(min(t + b for t, b in delays) / 2, abs=1e-6)


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
    tally = Tally()
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


@given(st.lists(EVENTS, min_size=1, max_size=4))
def test_merged_frames_count_the_same(workers: list[list[tuple[str, str, int, int]]]) -> None:
    frames = [counted(events, number) for number, events in enumerate(workers)]
    one, each = Totals(["a", "t"]), Totals(["a", "t"])
    one.add({**merged(frames), "second": 0})
    for frame in frames:
        each.add({**frame, "second": 0})

    assert shown(one) == shown(each)
    assert one.cpu == each.cpu
    assert one.running == each.running


def shown(totals: Totals) -> dict[str, Any]:
    """All that a report would show of it."""
    facts = Facts(kind="run", name="", target="", started=0.0, seconds=4.0, plan={})
    made = document(facts, totals, {}, ())
    made["rows"] = sorted(made["rows"], key=lambda row: str(row["name"]))
    made["metrics"] = sorted(made["metrics"], key=str)
    made["checks"] = sorted(made["checks"], key=str)
    made["scenarios"] = sorted(made["scenarios"], key=str)
    made["failures"] = sorted(made["failures"], key=str)
    return made
