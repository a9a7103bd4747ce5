"""Watches over a step: ends it when the service is overloaded, tells whose fault a miss is."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.evidence import collect_evidence, trend
from chapiteau.load.verdict.objectives import Objective

__all__ = [
    "StepGuard",
    "dropped_by_service",
    "generator_fault",
    "generator_lateness",
    "generator_limit",
    "recovery_seconds",
    "rising_metric",
]

_SURELY: Final = 2.0  # standard errors beyond the limit
_FEWEST: Final = 20  # sessions whose lateness says something
_LASTING: Final = 3  # seconds after which it is no burst


class StepGuard:
    """Ends a step that is lost already, so that a service is never held in overload."""

    def __init__(
        self, objectives: Sequence[Objective], rate: float, *, hold: int = 0, batch: int = 5
    ) -> None:
        """`hold` is the number of warm-up seconds of a confirming hold; 0 for other steps."""
        self.objectives = tuple(objectives)
        self._counted = [o for o in objectives if o.allowed is not None]
        self._hold = hold
        self._batch = batch
        times = [o.limit for o in objectives if o.metric in {"quantile", "mean"}]
        self.patience = max(times, default=1.0)  # seconds that an answer may reasonably take
        # By Little's law, more sessions in flight than this mean that the average one takes
        # longer than the limit, whatever the answers that came so far say.
        self._most = max(20.0, rate * self.patience * 2)
        self._last = self._above = 0
        self.ended: int | None = None  # seconds that went by when it was ended early
        self.why = ""

    def second(self, second: int, totals: Totals) -> bool:
        """Take note of a second; true ends the step."""
        running = totals.running.get(second, 0)
        growing = running >= self._last
        self._last = running
        if self.ended is not None or second < 1:
            return False
        self._above = self._above + 1 if running > self._most else 0
        if growing and self._crowded(running):
            return self._end(second, f"{running} sessions in flight and growing")
        for objective in self._counted:
            if self._mostly_missed(objective, second, totals):
                return self._end(second, f"{objective.text}: most requests missed it")
        return self._hopeless(second, totals) if self._hold else False

    def _crowded(self, running: int) -> bool:
        """One second tells of overload; in a hold near the knee it may be but a burst."""
        if self._hold and running <= 2 * self._most:
            return self._above >= _LASTING
        return self._above > 0

    def _mostly_missed(self, objective: Objective, second: int, totals: Totals) -> bool:
        """Two bad seconds tell of overload; in a hold near the knee they are but a burst."""
        window = self._batch if self._hold else 2
        series = totals.series[objective.of]
        parts = [series[s] for s in range(second - window, second) if s in series]
        count = sum(part.count for part in parts)
        missed = sum(objective.missed(part) for part in parts)
        return len(parts) == window and count >= 20 and missed > 0.5 * count

    def _hopeless(self, second: int, totals: Totals) -> bool:
        """A hold that surely fails is not worth its time. (It may not pass early: a quiet start
        would fool it; failing early can only make the answer lower.)"""
        gone = second - self._hold
        if gone < 4 * self._batch or gone % self._batch:
            return False
        for one in collect_evidence(self.objectives, totals, self._hold, second, self._batch):
            if one.fails(_SURELY):
                self.ended = second
                return True
        return False

    def _end(self, second: int, why: str) -> bool:
        self.ended = second + 1
        self.why = why
        return True


def generator_limit(totals: Totals) -> str:
    """Why the generator could not put the load on that was asked for; "" when it could."""
    if totals.own_failures:
        return "out of ports or descriptors"
    if totals.held_up:
        return f"the scenario held all others up: {totals.held_up}"
    if totals.dropped:
        return f"{totals.dropped} sessions were dropped: all allowed users were busy"
    return ""


def dropped_by_service(totals: Totals) -> bool:
    """Whether sessions were dropped for the service's sake alone: the generator had time, ports and
    descriptors left, and its users waited for answers."""
    busiest = max((max(parts) for parts in totals.cpu.values()), default=0.0)
    free = not totals.own_failures and not totals.held_up and busiest <= 0.97
    return bool(totals.dropped) and free


def generator_fault(totals: Totals, objectives: Sequence[Objective]) -> str:
    """Why the load was not the one that was asked for, so that the measurement is not sound; ""
    when it is. Verdicts and reports both ask here. Lateness touches times alone."""
    given = [one for one in objectives if not one.implied]
    timed = not given or any(one.timed for one in given)
    if timed and (late := _late_start(totals, objectives)):
        return f"sessions began {late * 1000:.0f} ms late (p99)"
    if totals.own_failures or totals.held_up:
        return generator_limit(totals)
    return "" if not totals.dropped or dropped_by_service(totals) else generator_limit(totals)


def _late_start(
    totals: Totals, objectives: Sequence[Objective], normal: float | None = None
) -> float:
    """Seconds (p99) that sessions began after their due moment, when that is too late; else 0.

    Too late is more than 5 ms and more than a tenth of the tightest time limit.
    """
    times = [o.limit for o in objectives if o.metric == "quantile"]
    most = max(0.005, 0.1 * min(times, default=0.05), (normal or 0.0) * 0.1)
    late = totals.lag.quantile(0.99) / 1e6 if totals.lag.count >= _FEWEST else 0.0
    return late if late > most else 0.0


def generator_lateness(
    totals: Totals, objectives: Sequence[Objective], normal: float | None = None
) -> str:
    """Why a miss may be the generator's: sessions began late, and the service, timed from the
    send, kept its limits; "" otherwise.

    Load that comes late comes in bursts: it is not the load that was asked for.
    """
    late = _late_start(totals, objectives, normal)
    if not late or any(_service_misses(one, totals) for one in objectives):
        return ""
    return f"sessions began {late * 1000:.0f} ms late (p99)"


def _service_misses(objective: Objective, totals: Totals) -> bool:
    """Whether the service misses a limit even when timed from the send."""
    rows = [r for r in totals.rows.values() if objective.of in {"", r.name, *r.tags}]
    count = sum(row.count for row in rows)
    allowed = objective.allowed
    if not count or allowed is None:
        return False
    late = sum(row.service.above(round(objective.limit * 1e6)) for row in rows)
    bad = sum(row.bad for row in rows)
    late += sum(row.cut for row in rows)  # still unanswered when the end came
    missed = late + bad if objective.metric == "quantile" else bad
    return missed > allowed * count


def rising_metric(totals: Totals, first: int, last: int) -> str:
    """What went up during a hold though the rate stayed the same: a slow leak's shadow."""
    latency, running = [], []
    for second in range(first, last):
        part = totals.series[""].get(second)
        if part is not None and part.count:
            latency.append(part.latency.quantile(0.9) / 1e6)
            running.append(float(totals.running.get(second, 0)))
    for name, values in (("p90", latency), ("sessions in flight", running)):
        found = trend(values)
        if not found.rising:
            continue
        grown = found.slope * len(values)
        usual = median(values)
        # A tenth in a minute is drift of the machine; a leak that matters shows more.
        if usual and grown > 0.5 * usual:
            return f"{name} rose by {grown / usual * 100:.0f}%"
    return ""


def recovery_seconds(
    totals: Totals, objectives: Sequence[Objective], normal: float | None
) -> float | None:
    """Seconds until a whole second was normal again; None when none was."""
    limits = [o.limit for o in objectives if o.metric == "quantile"]
    most = max(3 * (normal or 0.0), min(limits, default=0.0))
    for second in sorted(totals.series[""]):
        part = totals.series[""][second]
        if part.count and part.latency.quantile(0.9) / 1e6 <= most and part.bad <= part.count * 0.1:
            return float(second)
    return None
