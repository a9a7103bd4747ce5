"""What watchers of a running test see: its newest seconds, and how it stands."""

from collections.abc import Mapping, Sequence
from typing import Any

from chapiteau.load.logic.objective import judge, parse_objectives
from chapiteau.load.logic.report.document import failures_of, soundness
from chapiteau.load.logic.report.live import busiest_rows, samples
from chapiteau.load.logic.settings import LoadTest
from chapiteau.load.logic.totals import Totals

__all__ = ["live_state"]


def live_state(
    names: Mapping[str, str],
    test: LoadTest,
    started: float,
    seconds: float,
    totals: Totals,
    points: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The last five minutes and the totals so far. `names`: its kind, name and target."""
    latency = totals.latency
    return {
        **names,
        "objective": test.objective,
        "started": started,
        "seconds": seconds,
        "requests": totals.requests,
        "errors": totals.bad / totals.requests if totals.requests else 0.0,
        "p50": latency.quantile(0.5) / 1e6 if latency.count else None,
        "p99": latency.quantile(0.99) / 1e6 if latency.count else None,
        "dropped": totals.dropped,
        "soundness": soundness(totals, max(seconds, 1.0)),
        "so_far": _so_far(test.objective, names["kind"], totals, points),
        "rows": busiest_rows(totals),
        "failures": samples(failures_of(totals)),
        "timeline": list(points),
    }


def _so_far(
    objective: str, kind: str, totals: Totals, points: Sequence[dict[str, Any]]
) -> list[dict[str, object]]:
    """Each limit of the objective, as if the test ended now. A search judges its steps itself."""
    if kind != "run" or not points:
        return []
    lasted = float(points[-1]["t"] + 1)
    return [f.to_dict() for f in judge(parse_objectives(objective), totals, lasted)]
