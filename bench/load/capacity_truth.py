"""How close does `load capacity` come to the truth? Searches against simulated services.

The whole decision logic runs, on a clock of numbers. The truth of M/M/c is Erlang's formula, that
of the other services a very long simulation of the same model at steady rates.

    python bench/load/capacity_truth.py [--searches 50] [--confidence low|medium|high] [KIND …]

Exit code 1 when a kind is found within −6…+2 % in less than 90 %, or above in more than 10 %.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from chapiteau.load.capacity.steps import SearchResult, search_plan
from chapiteau.load.testing import (
    Leaking,
    Metastable,
    Model,
    Queue,
    Scaling,
    Stalling,
    mmc_capacity,
    simulated_search,
)
from chapiteau.load.verdict.objectives import parse_objectives

CONFIDENCES = ("low", "medium", "high")
LIMIT = 0.05
LEAK = 5e-8  # of the service time, for each request: 7 % an hour at 400/s


@dataclass(frozen=True)
class Kind:
    """A service: how it is made from a seed, and its truth (None: by simulation, near `about`)."""

    make: Callable[[int], Model]
    truth: Callable[[SearchResult], float] | None = None
    about: float = 0.0


def leaking_truth(answer: SearchResult) -> float:
    """What an M/M/1 carries that is as slow as this one was after the hold that was kept."""
    served = 0.0
    for done in answer.steps:
        served += done.observed.reached * done.observed.seconds
        if done.step.phase == "hold" and done.step.rate == answer.held:
            break
    return mmc_capacity(0.002 * (1 + LEAK * served), 1, 0.99, LIMIT)


KINDS: dict[str, Kind] = {
    "M/M/1 500/s": Kind(
        lambda s: Queue(0.002, seed=s), lambda _: mmc_capacity(0.002, 1, 0.99, LIMIT)
    ),
    "M/M/1 1000/s": Kind(
        lambda s: Queue(0.001, seed=s), lambda _: mmc_capacity(0.001, 1, 0.99, LIMIT)
    ),
    "M/M/4 1000/s": Kind(
        lambda s: Queue(0.004, 4, seed=s), lambda _: mmc_capacity(0.004, 4, 0.99, LIMIT)
    ),
    "USL": Kind(lambda _: Scaling(0.025, 0.02, 0.0005), None, 490.0),
    "leaking": Kind(lambda s: Leaking(0.002, LEAK, seed=s), leaking_truth),
    "metastable": Kind(
        lambda s: Metastable(0.002, 0.4, 4.0, seed=s),
        lambda _: mmc_capacity(0.002, 1, 0.99, LIMIT),
    ),
    "stalling": Kind(
        lambda s: Stalling(0.002, every=5.0, length=0.03, line=True, seed=s), None, 395.0
    ),
    "stalling, never met": Kind(lambda _: Stalling(0.001, every=2.0, length=0.2), lambda _: 0.0),
}


def simulated_truth(name: str) -> float:
    """The rate at which one in a hundred is late: rates around it, joined in log space."""
    kind = KINDS[name]
    rate = kind.about
    for seconds in (300.0, 1000.0, 6000.0):
        points = []
        for factor in (0.97, 1.0, 1.03):
            late = late_share(kind.make(99), rate * factor, seconds)
            points.append((math.log(rate * factor), math.log(max(late, 1e-5) / 0.01)))
        x0 = sum(x for x, _ in points) / 3
        y0 = sum(y for _, y in points) / 3
        slope = sum((x - x0) * (y - y0) for x, y in points) / sum((x - x0) ** 2 for x, _ in points)
        step = -y0 / slope if slope > 1 else 0.0
        rate = math.exp(x0 + max(-0.15, min(0.15, step)))
    return rate


def late_share(model: Model, rate: float, seconds: float) -> float:
    """Of requests that arrive by chance at this rate, after a while."""
    chance = random.Random(7)
    now, count, late = 0.0, 0, 0
    while now < seconds:
        now += chance.expovariate(rate)
        taken = model.admit(now) - now
        if now > 5:
            count += 1
            late += taken > LIMIT
    return late / max(1, count)


def one(task: tuple[str, str, int]) -> tuple[SearchResult, float | None]:
    """One search, and the truth where the model itself knows it."""
    name, confidence, seed = task
    kind = KINDS[name]
    model = kind.make(seed)
    answer = simulated_search(model, parse_objectives("p99 < 50ms"), search_plan(confidence), seed)
    return answer, kind.truth(answer) if kind.truth is not None else None


def main() -> int:
    """Print a line for each kind; 1 when one misses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", help="some of: " + ", ".join(KINDS))
    parser.add_argument("--searches", type=int, default=50)
    parser.add_argument("--confidence", choices=CONFIDENCES, default="medium")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    print(
        f"{'service':20} {'truth':>6} {'p5':>7} {'p50':>7} {'p95':>7}"
        "  in −6…+2 %  above  covered   min"
    )
    good = True
    with ProcessPoolExecutor(options.jobs) as pool:
        for name in options.kinds or KINDS:
            started = time.monotonic()
            kind = KINDS[name]
            simulated = None if kind.truth else pool.submit(simulated_truth, name)
            tasks = [(name, options.confidence, seed) for seed in range(options.searches)]
            found = list(pool.map(one, tasks))
            shares, minutes, words = [], [], Counter[str]()
            truth, covered = 0.0, 0
            for answer, known in found:
                words[answer.outcome] += 1
                minutes.append(sum(d.observed.seconds + 1.5 for d in answer.steps) / 60)
                truth = simulated.result() if simulated else known or 0.0
                if answer.interval:
                    covered += answer.interval[0] <= truth <= answer.interval[1]
                if truth:
                    shares.append(answer.held / truth - 1)
                else:
                    shares.append(1.0 if answer.held else 0.0)
            shares.sort()
            inside = sum(-0.06 <= s <= 0.02 for s in shares) / options.searches
            above = sum(s > 0 for s in shares) / options.searches
            good = good and inside >= 0.9 and above <= 0.1
            at = [shares[int(q * (len(shares) - 1))] for q in (0.05, 0.5, 0.95)]
            print(
                f"{name:20} {truth:6.1f} "
                + " ".join(f"{s * 100:+6.1f}%" for s in at)
                + f"  {inside:9.0%}  {above:5.0%}  {covered / options.searches:7.0%}"
                + f"  {sorted(minutes)[len(minutes) // 2]:5.1f}"
                + f"   {dict(words)}, computed in {time.monotonic() - started:.0f} s",
                flush=True,
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
