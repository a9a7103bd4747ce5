"""Does it scale? The law through capacities, its peak, and what gave out."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chapiteau.load.capacity.scaling import (
    ScalabilityLaw,
    SizeResult,
    add_scaling,
    fit_law,
    scaling_section,
)
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.run_verdict import Verdict
from chapiteau.load.verdict.saturation import TargetService, describe_saturation
from tests.load.report.test_report import made

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chapiteau.load.report.result import LoadResult


def sized(points: Sequence[tuple[int, float]]) -> list[SizeResult]:
    return [SizeResult(size=n, capacity=x) for n, x in points]


@given(st.floats(10, 1e5), st.floats(0, 0.3), st.floats(0, 0.02))
def test_points_on_the_law_give_the_law_back(
    alone: float, contention: float, coherency: float
) -> None:
    law = ScalabilityLaw(alone, contention, coherency)
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
    part = scaling_section(sized([(4, 300.0), (1, 100.0)]), random.Random(1))

    assert part.law is None
    assert part.line.startswith("4 times as many give 3.00 times the capacity (90 % sure:")
    assert [row.efficiency for row in part.sizes] == [1.0, 0.75]


def test_each_size_tells_how_sure_it_is() -> None:
    exact = SizeResult(size=1, capacity=100.0, interval=(98.0, 102.0))
    vague = SizeResult(size=2, capacity=180.0, interval=(150.0, 210.0))
    rows = scaling_section([exact, vague], random.Random(1)).sizes

    assert rows[0].times_interval == (1.0, 1.0)
    low, high = rows[1].times_interval
    assert low < 1.8 * 0.9 < 1.8 * 1.1 < high


def test_a_size_without_a_capacity_says_why_and_is_not_compared() -> None:
    part = scaling_section(
        [
            SizeResult(size=1, capacity=0.0, word="unsure"),
            SizeResult(size=2, capacity=150.0),
            SizeResult(size=4, capacity=290.0),
        ],
        random.Random(1),
    )

    assert part.line == "no capacity was found at size 1 (unsure), so they can't be compared"
    assert [row.efficiency for row in part.sizes] == [None, None, None]
    assert part.law is None


def searched(word: str) -> LoadResult:
    return replace(made(Totals()), verdict=Verdict(word, "it is so"))


def test_a_size_that_stays_open_leaves_the_answer_open() -> None:
    sizes = [SizeResult(size=1, capacity=0.0, word="unsure"), SizeResult(size=2, capacity=150.0)]
    part = replace(scaling_section(sizes, random.Random(1)), service="web")
    found = add_scaling([searched("unsure"), searched("met")], part)

    assert (found.verdict.word, found.verdict.exit_code) == ("unsure", 9)
    assert "with 1: it is so" in found.verdict.line

    good = add_scaling([searched("met")] * 2, part)
    assert (good.verdict.word, good.verdict.exit_code) == ("met", 0)
    assert good.verdict.line.startswith("web: ")


def test_a_peak_is_told_only_when_the_data_reach() -> None:
    law = ScalabilityLaw(100, 0.05, 0.005)  # its peak lies at 13.8
    far = scaling_section(sized([(n, law.rate(n)) for n in (1, 2, 4, 8, 12, 16)]), random.Random(1))
    near = scaling_section(sized([(n, law.rate(n)) for n in (1, 2, 3)]), random.Random(1))

    assert far.law is not None
    assert near.law is not None
    assert far.law.peak == pytest.approx(13.8, abs=0.3)
    assert far.law.peak_interval[0] < 13.8 < far.law.peak_interval[1]
    assert near.law.peak is None
    assert "no peak seen up to 3" in near.line


def test_the_interval_of_a_peak_holds_the_truth() -> None:
    law, chance, inside = ScalabilityLaw(100, 0.02, 0.004), random.Random(3), 0
    for _ in range(40):
        points = [(n, law.rate(n) * math.exp(chance.gauss(0, 0.02))) for n in (1, 2, 4, 8, 16, 24)]
        part = scaling_section(sized(points), chance)
        low, high = part.law.peak_interval
        inside += low <= law.peak <= high

    assert inside >= 34


@pytest.mark.parametrize(
    ("cpu", "more", "says"),
    [
        ([97.0, 96.0], {}, "every process is busy"),
        ([97.0, 12.0], {}, "one process: web/1"),
        ([40.0, 41.0], {"host": {"cpu": 98.0}}, "CPU of the machine"),
        ([40.0, 41.0], {"sockets": {"web": {"queued": 30}}}, "wait to be accepted"),
        (
            [2.0, 3.0],
            {"fds": [20, 63], "fd_limits": [64, 64]},
            "descriptors: web/2 has 63 of 64 open",
        ),
        ([10.0, 11.0], {"memory_limits": [None, 1]}, "memory: web/2 uses 100% of its limit"),
        (
            [10.0, 11.0],
            {"host": {"cpu": 9.0, "mem_used": 95, "mem_total": 100}},
            "memory of the machine: 95% in use",
        ),
        ([10.0, 11.0], {}, "look at what the service waits for"),
    ],
)
def test_what_gave_out_is_named(cpu: list[float], more: dict[str, object], says: str) -> None:
    samples = [{"ids": ["web/1", "web/2"], "cpu": cpu, "rss": [1, 1], **more}] * 12

    assert says in describe_saturation(samples)


def test_growing_memory_is_named() -> None:
    samples = [
        {"ids": ["web/1"], "cpu": [10.0], "rss": [1_000_000 + i * 50_000]} for i in range(20)
    ]

    assert "memory: the processes grew by 95%" in describe_saturation(samples)


def test_all_that_is_short_is_named() -> None:
    samples = [
        {"ids": ["web/1"], "cpu": [10.0], "rss": [1_000_000 + i * 50_000], "host": {"cpu": 99.0}}
        for i in range(20)
    ]

    assert describe_saturation(samples).startswith("CPU of the machine: 99% in use")
    assert "; memory: the processes grew by 95%" in describe_saturation(samples)


def test_without_a_supervisor_nothing_is_named() -> None:
    assert describe_saturation([]) == ""
    assert (
        describe_saturation([{"ids": ["web/1"], "cpu": [99.0]}], (), TargetService("other")) == ""
    )


def test_only_the_service_under_load_counts() -> None:
    """A worker that digs its way through a backlog has nothing to do with it."""
    sockets = {"web": {"queued": 0}, "mail": {"queued": 99}}
    samples = [{"ids": ["web/1", "dig/1"], "cpu": [12.0, 100.0], "sockets": sockets}] * 12

    assert "none of CPU (busiest 12%)" in describe_saturation(
        samples, (), TargetService("web", ("web",))
    )
    assert "dig/1 is at 100%" in describe_saturation(samples)


def test_what_is_short_only_at_the_rate_that_was_missed_is_told_from_there() -> None:
    kept = [{"ids": ["web/1"], "cpu": [80.0]}] * 12
    missed = [{"ids": ["web/1"], "cpu": [99.0]}] * 6

    assert describe_saturation(kept, missed).startswith(
        "nothing yet; just above, CPU: every process"
    )

    full = [{**missed[0], "fds": [64], "fd_limits": [64]}]
    both = describe_saturation(missed, full)
    assert both.startswith("CPU: every process")
    assert both.endswith("; just above, descriptors: web/1 has 64 of 64 open")
