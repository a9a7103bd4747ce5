"""Puts the same load on two services in turns, and compares them."""

import random
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.load.engine.conduct import Job, Watch, facts_of, interruptible, team_of
from chapiteau.load.engine.team import Order
from chapiteau.load.errors import HostLostError
from chapiteau.load.logic.comparing import compared
from chapiteau.load.logic.interleaving import blocks_of, order_of, verdict_of
from chapiteau.load.logic.judging import cut_short, run_verdict
from chapiteau.load.logic.report.document import document, point_at
from chapiteau.load.logic.settings import shape_of
from chapiteau.load.logic.tally import histogram_text
from chapiteau.load.logic.totals import Totals

__all__ = ["interleave"]

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
        self.parts.append([histogram_text(counted.latency), counted.bad])
        self.totals.join(turn, self.seconds)
        self.seconds += seconds

    def document(self, started: float, *, is_open: bool) -> dict[str, Any]:
        facts = facts_of(self.job, "ab", started, float(self.seconds), None, is_open=is_open)
        verdict = run_verdict((), (), self.totals, float(self.seconds))
        made = document(facts, self.totals, verdict)
        seconds = self.seconds / max(1, len(self.parts))
        return {**made, "batches": {"seconds": seconds, "parts": self.parts[_WARM:]}}


async def interleave(
    jobs: tuple[Job, Job], clock: Clock, watch: Watch, margin: float
) -> dict[str, Any]:
    """B's result document with its comparison to A. Raises UsageError, ScenarioError."""
    shape, is_open = shape_of(jobs[0].test)
    pairs, turn = blocks_of(shape)
    sides = (_Side(jobs[0]), _Side(jobs[1]))
    started = clock.wall()
    ended = 0
    async with team_of(jobs[0]) as one, team_of(jobs[1]) as two:
        for number, which in enumerate(order_of(pairs)):
            side, team = sides[which], (one, two)[which]
            totals = Totals()
            done = number * turn.seconds

            def on_second(second: int, now: Totals, done: float = done, which: int = which) -> bool:
                if now.series[""]:
                    point = {**point_at(now, second), "running": 0, "side": which}
                    watch.line(point, done + second + 1, shape.seconds)
                return False

            order = Order(
                shape=turn,
                open=is_open,
                arrivals=jobs[0].test.arrivals,
                drain=min(jobs[0].test.drain, jobs[0].test.timeout),
                step=number // 2,  # both of a pair get the same arrivals
            )
            with interruptible(team) as interrupted:
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
        found = compared(a, b, margin, chance, paired=True)
        verdict = {**verdict_of(found, (a["target"], b["target"])), "findings": []}
        made = {**b, "name": f"{a['target']} against {b['target']}", "comparison": found}
        made["verdict"] = verdict
    if ended:
        seconds = float(sum(side.seconds for side in sides))
        made["verdict"] = {
            **cut_short(made["verdict"], seconds, planned, ended), "findings": []
        }  # fmt: skip
    return made
