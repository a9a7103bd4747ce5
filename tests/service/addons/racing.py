"""Three processes that race for one store: `python racing.py KIND PLACE`.

Each says what it was given: a line per key that was its own, and how many requests of a budget.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from chapiteau.core.clock import ManualClock
from chapiteau.service import RateLimit, SqliteRates, SqliteStore
from chapiteau.service.addons import RedisRates, RedisStore
from chapiteau.service.addons.idempotency import KeyInUseError, run_once
from chapiteau.service.pipeline.reply import Reply

KINDS = {
    "sqlite": (lambda place: SqliteStore(Path(place)), lambda place: SqliteRates(Path(place))),
    "redis": (RedisStore, RedisRates),
}


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # short lines arrive whole, whoever else writes


def race_for_keys(store: object, rounds: int) -> None:
    clock = ManualClock()
    for number in range(rounds):

        def mine(number: int = number) -> Reply:
            say(f"mine {number}")
            return Reply("200 OK", [], b"done")

        try:
            assert run_once(store, clock, f"k{number}", "f", mine).body == b"done"  # type: ignore[arg-type]
        except KeyInUseError:
            continue


def race_for_budget(rates: object, rounds: int) -> None:
    limit = RateLimit(requests=50, seconds=1e6)
    passed = sum(rates.spend("k", limit, 0.0).allowed for _ in range(rounds))  # type: ignore[attr-defined]
    say(f"passed {passed}")


def race(kind: str, place: str, gate: int) -> None:
    keys, rates = KINDS[kind]
    store, budget = keys(place), rates(place)
    os.read(gate, 1)  # ends when the parent closes its side: all start at that moment
    race_for_keys(store, 40)
    race_for_budget(budget, 40)


def main() -> int:
    gate, opener = os.pipe()
    racers = []
    for _ in range(3):
        pid = os.fork()
        if not pid:
            os.close(opener)
            race(sys.argv[1], sys.argv[2], gate)
            os._exit(0)
        racers.append(pid)
    os.close(opener)
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in racers)


if __name__ == "__main__":
    sys.exit(main())
