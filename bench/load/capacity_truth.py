"""How close does `load capacity` come to the truth? Searches against simulated services.

The whole decision logic runs, on a clock of numbers; the truth of M/M/c is Erlang's formula.

    python bench/load/capacity_truth.py [--searches 50] [--confidence medium|high]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from chapiteau.load.logic.capacity.steps import SearchPlan
from chapiteau.load.logic.objective import parse_objectives
from chapiteau.load.testing import Queue, mmc_capacity, simulated_search

PLANS = {
    "low": SearchPlan(budget=180, hold=30),
    "medium": SearchPlan(),
    "high": SearchPlan(budget=600, hold=120),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=50)
    parser.add_argument("--confidence", choices=PLANS, default="high")
    options = parser.parse_args()
    objectives = parse_objectives("p99 < 50ms")
    print(f"{'service':14} {'p5':>7} {'p50':>7} {'p95':>7}  in −6…+2 %  above   minutes")
    for servers in (1, 4):
        started, shares, minutes, words = time.monotonic(), [], [], Counter[str]()
        truth = mmc_capacity(servers / 1000, servers, 0.99, 0.05)
        for seed in range(options.searches):
            model = Queue(servers / 1000, servers, seed=seed)
            answer = simulated_search(model, objectives, PLANS[options.confidence], seed)
            words[answer.outcome] += 1
            minutes.append(sum(d.observed.seconds + 1.5 for d in answer.steps) / 60)
            if answer.held:
                shares.append(answer.held / truth - 1)
        shares.sort()
        inside = sum(-0.06 <= s <= 0.02 for s in shares) / options.searches
        above = sum(s > 0 for s in shares) / options.searches
        at = [shares[int(q * (len(shares) - 1))] for q in (0.05, 0.5, 0.95)]
        print(
            f"M/M/{servers} 1000/s  "
            + " ".join(f"{s * 100:+6.1f}%" for s in at)
            + f"  {inside:9.0%}  {above:5.0%}  {sorted(minutes)[len(minutes) // 2]:7.1f}"
            + f"   {dict(words)}, computed in {time.monotonic() - started:.0f} s"
        )


if __name__ == "__main__":
    main()
