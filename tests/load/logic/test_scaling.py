"""Does it scale? The law through capacities, its peak, and what gave out."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.load.logic.capacity.saturation import what_saturates
from chapiteau.load.logic.capacity.scaling import Law, fit_law, scaling_part


@given(st.floats(10, 1e5), st.floats(0, 0.3), st.floats(0, 0.02))
def test_points_on_the_law_give_the_law_back(
    alone: float, contention: float, coherency: float
) -> None:
    law = Law(alone, contention, coherency)
    found = fit_law([(n, law.rate(n)) for n in (1, 2, 4, 8, 16)])

    assert found is not None
    for n in (1, 3, 16):
        assert found.rate(n) == pytest.approx(law.rate(n), rel=1e-3)


def test_numbers_are_never_negative() -> None:
    found = fit_law([(1, 100.0), (2, 210.0), (4, 430.0), (8, 900.0)])

    assert found is not None
    assert min(found.contention, found.coherency) >= 0
    assert found.peak == math.inf


def test_two_sizes_make_no_law_but_an_efficiency() -> None:
    part = scaling_part([(4, 300.0), (1, 100.0)], random.Random(1))

    assert part["law"] is None
    assert part["line"] == "4 times as many give 3.00 times the capacity (75% efficiency)"
    assert [row["efficiency"] for row in part["sizes"]] == [1.0, 0.75]


def test_a_peak_is_told_only_when_the_data_reach() -> None:
    law = Law(100, 0.05, 0.005)  # its peak lies at 13.8
    far = scaling_part([(n, law.rate(n)) for n in (1, 2, 4, 8, 12, 16)], random.Random(1))
    near = scaling_part([(n, law.rate(n)) for n in (1, 2, 3)], random.Random(1))

    assert far["law"]["peak"] == pytest.approx(13.8, abs=0.3)
    assert far["law"]["peak_interval"][0] < 13.8 < far["law"]["peak_interval"][1]
    assert near["law"]["peak"] is None
    assert "no peak seen up to 3" in near["line"]


def test_the_interval_of_a_peak_holds_the_truth() -> None:
    law, chance, inside = Law(100, 0.02, 0.004), random.Random(3), 0
    for _ in range(40):
        points = [(n, law.rate(n) * math.exp(chance.gauss(0, 0.02))) for n in (1, 2, 4, 8, 16, 24)]
        part = scaling_part(points, chance)
        low, high = part["law"]["peak_interval"]
        inside += low <= law.peak <= high

    assert inside >= 34


@pytest.mark.parametrize(
    ("cpu", "more", "says"),
    [
        ([97.0, 96.0], {}, "every process is busy"),
        ([97.0, 12.0], {}, "one process: web/1"),
        ([40.0, 41.0], {"host": {"cpu": 98.0}}, "CPU of the machine"),
        ([40.0, 41.0], {"sockets": {"web": {"queued": 30}}}, "wait to be accepted"),
        ([10.0, 11.0], {}, "look at what the service waits for"),
    ],
)
def test_what_gave_out_is_named(cpu: list[float], more: dict[str, object], says: str) -> None:
    samples = [{"ids": ["web/1", "web/2"], "cpu": cpu, "rss": [1, 1], **more}] * 12

    assert says in what_saturates(samples)


def test_growing_memory_is_named() -> None:
    samples = [
        {"ids": ["web/1"], "cpu": [10.0], "rss": [1_000_000 + i * 50_000]} for i in range(20)
    ]

    assert "memory: the processes grew by 95%" in what_saturates(samples)


def test_without_a_supervisor_nothing_is_named() -> None:
    assert what_saturates([]) == ""
    assert what_saturates([{"ids": ["web/1"], "cpu": [99.0]}], "other") == ""
