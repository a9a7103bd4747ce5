"""Does `load compare` say what is true? Pairs of simulated services whose difference is known.

    python bench/load/compare_truth.py [--pairs 100]

Exit code 1 when it claims a difference that is not there in more than 5 %, or calls services the
same that differ in more than 5 %.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable

from chapiteau.load.report.comparison import compare_results
from chapiteau.load.testing import Model, Queue, Stalling, simulated_batches

MARGIN = 0.05
Make = Callable[[int, float], Model]

SERVICES: dict[str, tuple[Make, float]] = {
    "fixed, idle": (lambda s, f: Queue(0.002 * f, 4, seed=s, fixed=True), 100.0),
    "M/M/4, half load": (lambda s, f: Queue(0.008 * f, 4, seed=s), 250.0),
    "M/M/1, 80 %": (lambda s, f: Queue(0.004 * f, seed=s), 200.0),
    "stalling": (lambda s, f: Stalling(0.004 * f, 5.0, 0.05, line=True, seed=s), 100.0),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    options = parser.parse_args()
    print(f"{'service':18} {'B takes':>8}  words of {options.pairs} comparisons of 60 s")
    good = True
    for name, (make, rate) in SERVICES.items():
        for factor in (1.0, 1.02, 1.2, 0.8):
            words = Counter[str]()
            for seed in range(options.pairs):
                a = simulated_batches(make(2 * seed, 1.0), rate, 60, 2 * seed)
                b = simulated_batches(make(2 * seed + 1, factor), rate, 60, 2 * seed + 1)
                words[compare_results(a, b, MARGIN, random.Random(seed)).word] += 1
            small = abs(factor - 1) <= MARGIN / 2
            wrong = words["slower"] + words["faster"] if small else words["same"]
            # A queue near its limit carries even 2 % less visibly slower: no claim is wrong there.
            if name.startswith("fixed") or factor == 1.0 or not small:
                opposite = {1.2: "faster", 0.8: "slower"}.get(factor, "")
                wrong += words[opposite]
                good = good and wrong <= 0.05 * options.pairs
            print(f"{name:18} {factor:8.2f}  {dict(words.most_common())}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
