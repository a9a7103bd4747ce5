"""Places, clocks and merged counts: what a distributed test stands on."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.errors import UsageError
from chapiteau.load.cluster.cluster_backend import ClockProbe, estimate_offset
from chapiteau.load.locations import Location, is_encrypted, parse_location


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ssh:h1,ana@h2", Location(kind="ssh", hosts=("h1", "ana@h2"))),
        ("local:2", Location(kind="local", hosts=("local-1", "local-2"))),
        ("dask://h:8786", Location(kind="dask", address="tcp://h:8786")),
        ("tls://h:8786", Location(kind="dask", address="tls://h:8786")),
        ("scheduler-file:/s.json", Location(kind="scheduler-file", address="/s.json")),
        ("k8s", Location(kind="k8s")),
    ],
)
def test_a_place_is_read(text: str, place: Location) -> None:
    assert parse_location(text) == place


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
        "ray://h:10001",
        "hub",
        "h",
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_location(text)


@given(st.text())
def test_any_text_is_a_place_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_location(text), Location)


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
    assert is_encrypted(address) is safe


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
        probes.append(ClockProbe(at, at + there + true, at + there + back))
    found = estimate_offset(probes)
    assert abs(found.value - true) <= found.error + 1e-6
    assert found.error == pytest.approx(min(t + b for t, b in delays) / 2, abs=1e-6)
