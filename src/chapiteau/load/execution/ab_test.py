"""Two services measured in turns, so that what the machine does meanwhile happens to both."""

import random
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.core.errors import UsageError
from chapiteau.load.errors import HostLostError
from chapiteau.load.execution.job import Job, RunObserver, run_facts, workers_for
from chapiteau.load.execution.run_test import stop_on_signal
from chapiteau.load.report.comparison import compare_results
from chapiteau.load.report.document import document, point_at
from chapiteau.load.scenario.shape import Shape, Stage
from chapiteau.load.settings import load_shape
from chapiteau.load.stats.recorder import encode_histogram
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.run_verdict import interrupted_verdict, run_verdict
from chapiteau.load.workers.messages import LoadStep

__all__ = ["ab_blocks", "ab_verdict", "run_ab_test", "turn_order"]

_PAIRS: Final = 16
_FEWEST: Final = 9  # the first pair warms up, and does not count


def ab_blocks(shape: Shape) -> tuple[int, Shape]:
    """How many pairs of turns, and the load of one turn. Raises UsageError."""
    first = shape.stages[0]
    if len(shape.stages) > 1 or first.first != first.last:
        raise UsageError("turns need a steady load", hint="give --rate or --users")
    turn = max(1, round(shape.seconds / 2 / _PAIRS))
    pairs = int(shape.seconds / 2 / turn)
    if pairs < _FEWEST:
        raise UsageError(
            f"{shape.seconds:g} s are too short for {_FEWEST} turns each",
            hint=f"at least -d {2 * _FEWEST}s; a minute or more tells small differences",
        )
    return pairs, Shape((Stage(first.first, first.last, float(turn)),))


def turn_order(pairs: int) -> list[int]:
    """Whose turn it is, 0 or 1: A B, B A, A B …, so that a steady drift favours neither."""
    return [side for pair in range(pairs) for side in ((0, 1) if pair % 2 == 0 else (1, 0))]


def ab_verdict(found: dict[str, Any], names: tuple[str, str]) -> dict[str, Any]:
    """Word, line and exit code of a comparison: 0 faster or the same, 1 slower, 2 cannot tell."""
    word = found["word"]
    a, b = names
    worst = max(found["changes"], key=lambda change: abs(change["change"] or 0.0))
    if word == "same":
        line = f"same: {b} is as fast as {a}, within ±{found['margin']:.0%}"
        return {"word": "met", "line": line, "exit_code": 0}
    if word == "cannot tell":
        more = found.get("limited") or "longer turns (-d), or a quieter machine"
        line = f"cannot tell whether {b} is slower than {a}: {more}"
        return {"word": "unsure", "line": line, "exit_code": 2}
    named = [change for change in found["changes"] if change["word"] == word] or [worst]
    told = ", ".join(
        f"{c['figure']} {c['change'] * 100:+.0f}%"
        + ("" if c["low"] is None else f" ({c['low'] * 100:+.0f} to {c['high'] * 100:+.0f}%)")
        for c in named
    )
    errors = found["errors"]
    if word == "slower" and named == [worst] and worst["word"] != "slower":
        told = f"errors {errors['before'] * 100:.3g}% → {errors['after'] * 100:.3g}%"
    good = word == "faster"
    line = f"{word}: {b} against {a}: {told}"
    return {"word": "met" if good else "not met", "line": line, "exit_code": 0 if good else 1}


# Puts the same load on two services in turns, and compares them.

_WARM: Final = 1  # turns of each that don't count: connections, caches


class _Side:
    """One of the two, and what its turns have brought."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.totals = Totals()
        self.parts: list[list[Any]] = []
        self.seconds = 0

    def add(self, turn: Totals, seconds: int) -> None:
        counted = turn.whole()
        self.parts.append([encode_histogram(counted.latency), counted.bad])
        self.totals.join(turn, self.seconds)
        self.seconds += seconds

    def document(self, started: float, *, is_open: bool) -> dict[str, Any]:
        facts = run_facts(self.job, "ab", started, float(self.seconds), None, is_open=is_open)
        verdict = run_verdict((), (), self.totals, float(self.seconds))
        made = document(facts, self.totals, verdict)
        seconds = self.seconds / max(1, len(self.parts))
        return {**made, "batches": {"seconds": seconds, "parts": self.parts[_WARM:]}}


async def run_ab_test(
    jobs: tuple[Job, Job], clock: Clock, watch: RunObserver, margin: float
) -> dict[str, Any]:
    """B's result document with its comparison to A. Raises UsageError, ScenarioError."""
    shape, is_open = load_shape(jobs[0].test)
    pairs, turn = ab_blocks(shape)
    sides = (_Side(jobs[0]), _Side(jobs[1]))
    started = clock.wall()
    ended = 0
    async with workers_for(jobs[0]) as one, workers_for(jobs[1]) as two:
        for number, which in enumerate(turn_order(pairs)):
            side, team = sides[which], (one, two)[which]
            totals = Totals()
            done = number * turn.seconds

            def on_second(second: int, now: Totals, done: float = done, which: int = which) -> bool:
                if now.series[""]:
                    point = {**point_at(now, second), "running": 0, "side": which}
                    watch.line(point, done + second + 1, shape.seconds)
                return False

            order = LoadStep(
                shape=turn,
                open=is_open,
                arrivals=jobs[0].test.arrivals,
                drain=min(jobs[0].test.drain, jobs[0].test.timeout),
                step=number // 2,  # both of a pair get the same arrivals
            )
            with stop_on_signal(team) as interrupted:
                await team.run(order, totals, on_second)
            # The other side has all its machines: the two can't be compared any more.
            for name, why in team.lost.items():
                raise HostLostError(f"{name} was lost: {why}", hint="begin again without it")
            if interrupted:
                ended = interrupted[0]
                break
            side.add(totals, max(1, round(turn.seconds)))
            if not totals.answered():
                break  # nobody there: the rest would say the same
    made = _told(sides, started, margin, ended, shape.seconds, is_open=is_open)
    made["soundness"]["notes"] += one.problems + two.problems
    return made


def _told(
    sides: tuple[_Side, _Side],
    started: float,
    margin: float,
    ended: int,
    planned: float,
    *,
    is_open: bool,
) -> dict[str, Any]:
    a, b = (side.document(started, is_open=is_open) for side in sides)
    made = b
    for one, side in ((a, sides[0]), (b, sides[1])):
        if one["verdict"]["word"] == "broken" and side.parts:
            line = f"{one['target']}: {one['verdict']['line']}"
            return {**one, "verdict": {**one["verdict"], "line": line}}
    if all(side.parts[_WARM:] for side in sides):
        chance = random.Random("ab")  # noqa: S311 — repeatable
        found = compare_results(a, b, margin, chance, paired=True)
        verdict = {**ab_verdict(found, (a["target"], b["target"])), "findings": []}
        made = {**b, "name": f"{a['target']} against {b['target']}", "comparison": found}
        made["verdict"] = verdict
    if ended:
        seconds = float(sum(side.seconds for side in sides))
        made["verdict"] = {
            **interrupted_verdict(made["verdict"], seconds, planned, ended), "findings": []
        }  # fmt: skip
    return made
