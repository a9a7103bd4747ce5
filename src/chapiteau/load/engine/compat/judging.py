"""Verdicts that a scenario gives by itself, and requests that it timed by itself."""

from chapiteau.load.logic.tally import Tally

__all__ = ["count", "refuse"]

_MILLION = 1_000_000


def refuse(tally: Tally, name: str, moment: float, why: str) -> None:
    """Count an answer as bad that was counted as good; `moment` is when it was meant to go out."""
    tally.row(name).bad[int(moment - tally.zero)] += 1
    # No failure of the row: an answer did come. Counted as what a scenario found wrong.
    tally.crash(f"{name}: {why[:80]}", why)


def count(tally: Tally, name: str, seconds: float, moment: float, error: str = "") -> None:
    """Count something of the scenario's own as a request that ended now, at `moment`."""
    row = tally.row(name)
    second = max(0, int(moment - seconds - tally.zero))
    row.latency[second].append(max(0, int(seconds * _MILLION)))
    row.service.append(max(0, int(seconds * _MILLION)))
    if error:
        row.bad[second] += 1
        row.failures[error[:80]] += 1
        tally.sample(f"{name}: {error[:80]}", error)
