"""One process more, one fewer, or as it is."""

from dataclasses import dataclass

from chapiteau.run.logic.spec import Scaling

__all__ = ["Trend", "decide"]


@dataclass(frozen=True, slots=True)
class Trend:
    """Since when the load has been beyond a bound without a break."""

    above_since: float | None = None
    below_since: float | None = None


def decide(
    rule: Scaling, trend: Trend, now: float, processes: int, load: float
) -> tuple[Trend, int]:
    """The new trend and +1, 0 or -1.

    A change needs the load beyond a bound for the whole of `hold`, and begins the wait anew.
    Fewer only when the others could carry the load without going above `high`: else it would
    come back at once.
    """
    if processes < rule.min:
        return Trend(), 1
    if processes > rule.max:
        return Trend(), -1
    above = (
        (trend.above_since if trend.above_since is not None else now) if load > rule.high else None
    )
    below = (
        (trend.below_since if trend.below_since is not None else now) if load < rule.low else None
    )
    if above is not None and now - above >= rule.hold and processes < rule.max:
        return Trend(), 1
    fits = processes > rule.min and load * processes / max(1, processes - 1) < rule.high
    if below is not None and now - below >= rule.hold and fits:
        return Trend(), -1
    return Trend(above, below), 0
