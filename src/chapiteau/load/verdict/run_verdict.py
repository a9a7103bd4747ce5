"""What a run has shown, in one word, one line and an exit code."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chapiteau.core.units import format_duration
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.objectives import Finding
from chapiteau.load.verdict.step_guard import (
    dropped_by_service,
    generator_lateness,
    generator_limit,
)

__all__ = [
    "host_lost_verdict",
    "interrupted_verdict",
    "make_verdict",
    "rejected_verdict",
    "run_verdict",
]

_MOST_DROPPED: Final = 0.01  # share of the sessions without which it is another test


def run_verdict(
    findings: Sequence[Finding], aborted: Sequence[Finding], totals: Totals, seconds: float
) -> dict[str, Any]:
    """Word, line and exit code: 0 met (or nothing to judge by), 1 not met, 2 unsure, 3 the
    generator was the limit, 4 broken."""
    if aborted:
        first = aborted[0]
        line = (
            f"stopped: {first.objective.text} was missed with {first.objective.show(first.value)}"
        )
        return make_verdict("not met", line, 1)
    if not totals.requests:
        return make_verdict("unsure", "no request was sent", 2)
    if not totals.answered():
        kinds = sorted({kind for row in totals.rows.values() for kind in row.failures})
        return make_verdict(
            "broken", f"no request was answered: {', '.join(kinds) or 'cut off'}", 4
        )
    if not findings:
        rate = totals.requests / max(seconds, 1e-9)
        line = f"measured {rate:.4g} requests/s; no objective was given to judge by"
        return make_verdict("none", line, 0)
    missed = [finding for finding in findings if not finding.met]
    # Sessions dropped because users wait for the service only make its life easier: missed is
    # missed. Yet what is kept with less load than was asked for is not kept with that.
    own = "" if dropped_by_service(totals) else generator_limit(totals)
    own = own or generator_lateness(totals, [finding.objective for finding in findings])
    if missed and own:
        line = f"the load generator was the limit ({own}): nothing is said about the service"
        return make_verdict("generator-limited", line, 3)
    if missed:
        first = missed[0]
        line = f"not met: {first.objective.text} was {first.objective.show(first.value)}"
        return make_verdict("not met", line, 1)
    meant = totals.started + totals.dropped
    if totals.dropped > _MOST_DROPPED * meant:
        line = (
            f"the load that was asked for did not come about: {totals.dropped} of {meant} sessions "
            "were dropped, since all allowed users were busy"
        )
        return make_verdict("generator-limited", line, 3)
    held = ", ".join(finding.objective.text for finding in findings)
    return make_verdict("met", f"met: {held}", 0)


def interrupted_verdict(
    verdict: dict[str, Any], seconds: float, planned: float, signal: int, who: str = ""
) -> dict[str, Any]:
    """The verdict of a run that a signal has ended: the objective is not judged.

    The exit code is the signal's, as a shell gives it: 130 after Ctrl-C.
    """
    word = "unsure" if verdict["word"] == "met" else verdict["word"]
    line = verdict["line"].replace("met: ", "kept so far: ", 1) if word == "unsure" else ""
    by = f" by {who}" if who else ""
    return {
        "word": word,
        "line": (line or verdict["line"])
        + f" (stopped early{by}, after {format_duration(round(seconds, 1))} of "
        + f"{format_duration(planned)})",
        "exit_code": 128 + signal,
    }


def rejected_verdict(verdict: dict[str, Any], why: Sequence[str]) -> dict[str, Any]:
    """The verdict when the scenario file itself calls the run a failure; a worse one stays."""
    if verdict["exit_code"]:
        return verdict
    return make_verdict("not met", f"not met: {why[0]}", 1)


def host_lost_verdict(lost: Mapping[str, str]) -> dict[str, Any]:
    """The verdict of a run that ended because machines that put the load on were lost."""
    (name, why), *others = lost.items()
    more = f" and {len(others)} more" if others else ""
    return make_verdict("generator-limited", f"{name}{more} was lost: {why}", 3)


def make_verdict(word: str, line: str, code: int) -> dict[str, Any]:
    """A verdict as the result document has it."""
    return {"word": word, "line": line, "exit_code": code}
