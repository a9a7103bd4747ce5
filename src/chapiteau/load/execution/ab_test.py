"""Two services measured in turns, so that what the machine does meanwhile happens to both."""

import random
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from chapiteau.core.clock import Clock
from chapiteau.core.errors import UsageError
from chapiteau.load.errors import HostLostError
from chapiteau.load.execution.job import Job, RunObserver, run_facts, workers_for
from chapiteau.load.execution.run_test import stop_on_signal
from chapiteau.load.report.comparison import compare_results
from chapiteau.load.report.document import document, point_at
from chapiteau.load.report.result import Batches, Comparison, FigureChange, LoadResult
from chapiteau.load.scenario.shape import Shape, Stage
from chapiteau.load.settings import load_shape
from chapiteau.load.stats.recorder import encode_histogram
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.run_verdict import Verdict, interrupted_verdict, run_verdict
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


def ab_verdict(found: Comparison, names: tuple[str, str]) -> Verdict:
    """Word, line and exit code of a comparison: 0 faster or the same, 1 slower, 2 cannot tell."""
    word = found.word
    a, b = names
    worst = max(found.changes, key=lambda change: abs(change.change or 0.0))
    if word == "same":
        line = f"same: {b} is as fast as {a}, within ±{found.margin:.0%}"
        return Verdict("met", line)
    if word == "cannot tell":
        more = found.limited or "longer turns (-d), or a quieter machine"
        line = f"cannot tell whether {b} is slower than {a}: {more}"
        return Verdict("unsure", line)
    named = [change for change in found.changes if change.word == word] or [worst]
    told = ", ".join(map(_told_change, named))
    errors = found.errors
    if word == "slower" and named == [worst] and worst.word != "slower":
        told = f"errors {errors.before * 100:.3g}% → {errors.after * 100:.3g}%"
    good = word == "faster"
    line = f"{word}: {b} against {a}: {told}"
    return Verdict("met" if good else "not met", line)


def _told_change(change: FigureChange) -> str:
    interval = ""
    if change.low is not None and change.high is not None:
        interval = f" ({change.low * 100:+.0f} to {change.high * 100:+.0f}%)"
    return f"{change.figure} {change.change * 100:+.0f}%{interval}"


# Puts the same load on two services in turns, and compares them.

_WARM: Final = 1  # turns of each that don't count: connections, caches


class _Side:
    """One of the two, and what its turns have brought."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.totals = Totals()
        self.parts: list[tuple[str, int]] = []
        self.seconds = 0

    def add(self, turn: Totals, seconds: int) -> None:
        counted = turn.whole()
        self.parts.append((encode_histogram(counted.latency), counted.bad))
        self.totals.join(turn, self.seconds)
        self.seconds += seconds

    def result(self, started: float, notes: list[str], *, is_open: bool) -> LoadResult:
        facts = run_facts(self.job, "ab", started, float(self.seconds), None, is_open=is_open)
        verdict = run_verdict((), (), self.totals, float(self.seconds))
        made = document(facts, self.totals, verdict, notes=notes)
        seconds = self.seconds / max(1, len(self.parts))
        return replace(made, batches=Batches(seconds, self.parts[_WARM:]))


async def run_ab_test(
    jobs: tuple[Job, Job], clock: Clock, watch: RunObserver, margin: float
) -> LoadResult:
    """B's result with its comparison to A. Raises UsageError, ScenarioError."""
    shape, is_open = load_shape(jobs[0].test)
    pairs, turn = ab_blocks(shape)
    sides = (_Side(jobs[0]), _Side(jobs[1]))
    started = clock.wall()
    ended = 0
    async with workers_for(jobs[0]) as one, workers_for(jobs[1]) as two:
        for number, which in enumerate(turn_order(pairs)):
            side, workers = sides[which], (one, two)[which]
            totals = Totals()
            done = number * turn.seconds

            def on_second(second: int, now: Totals, done: float = done, which: int = which) -> bool:
                if now.series[""]:
                    point = replace(point_at(now, second), running=0, side=which)
                    watch.line(point, done + second + 1, shape.seconds)
                return False

            order = LoadStep(
                shape=turn,
                open=is_open,
                arrivals=jobs[0].test.arrivals,
                drain=min(jobs[0].test.drain, jobs[0].test.timeout),
                step=number // 2,  # both of a pair get the same arrivals
            )
            with stop_on_signal(workers) as interrupted:
                await workers.run(order, totals, on_second)
            # The other side has all its machines: the two can't be compared any more.
            for name, why in workers.lost.items():
                raise HostLostError(f"{name} was lost: {why}", hint="begin again without it")
            if interrupted:
                ended = interrupted[0]
                break
            side.add(totals, max(1, round(turn.seconds)))
            if not totals.answered():
                break  # nobody there: the rest would say the same
    notes = one.problems + two.problems
    results = [side.result(started, notes, is_open=is_open) for side in sides]
    result = _compared(results, sides, margin)
    if ended:
        seconds = float(sum(side.seconds for side in sides))
        verdict = interrupted_verdict(result.verdict, seconds, shape.seconds, ended)
        return replace(result, verdict=verdict)
    return result


def _compared(
    results: Sequence[LoadResult], sides: tuple[_Side, _Side], margin: float
) -> LoadResult:
    """B's result with the comparison; the one of a side that answered nothing, as it is."""
    a, b = results
    for one, side in zip(results, sides, strict=True):
        if one.verdict.word == "broken" and side.parts:
            line = f"{one.target}: {one.verdict.line}"
            return replace(one, verdict=replace(one.verdict, line=line))
    if not all(side.parts[_WARM:] for side in sides):
        return b
    found = compare_results(a, b, margin, random.Random("ab"), paired=True)  # noqa: S311
    name = f"{a.target} against {b.target}"
    return replace(b, name=name, comparison=found, verdict=ab_verdict(found, (a.target, b.target)))
