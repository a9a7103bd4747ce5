"""What a run has shown, in one word, one line and an exit code."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chapiteau.core.units import format_duration
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.objectives import Finding, JudgedObjective
from chapiteau.load.verdict.step_guard import (
    dropped_by_service,
    generator_lateness,
    generator_limit,
)

__all__ = [
    "Verdict",
    "host_lost_verdict",
    "interrupted_verdict",
    "rejected_verdict",
    "run_verdict",
]


class Verdict(Struct):
    """In one word (met, not met, unsure, generator-limited, broken, none), a line, an exit code."""

    word: str
    line: str
    exit_code: int
    findings: list[JudgedObjective] = []

    def with_findings(self, findings: Sequence[Finding]) -> "Verdict":
        """The same with what it rests on."""
        return replace(self, findings=[finding.judged() for finding in findings])


_MOST_DROPPED: Final = 0.01  # share of the sessions without which it is another test


def run_verdict(
    findings: Sequence[Finding], aborted: Sequence[Finding], totals: Totals, seconds: float
) -> Verdict:
    """Word, line and exit code: 0 met (or nothing to judge by), 1 not met, 2 unsure, 3 the
    generator was the limit, 4 broken."""
    if aborted:
        first = aborted[0]
        line = (
            f"stopped: {first.objective.text} was missed with {first.objective.show(first.value)}"
        )
        return Verdict("not met", line, 1)
    if not totals.requests:
        return Verdict("unsure", "no request was sent", 2)
    if not totals.answered():
        kinds = sorted({kind for row in totals.rows.values() for kind in row.failures})
        return Verdict(
            word="broken",
            line=f"no request was answered: {', '.join(kinds) or 'cut off'}",
            exit_code=4,
        )
    if not findings:
        rate = totals.requests / max(seconds, 1e-9)
        line = f"measured {rate:.4g} requests/s; no objective was given to judge by"
        return Verdict("none", line, 0)
    missed = [finding for finding in findings if not finding.met]
    # Sessions dropped because users wait for the service only make its life easier: missed is
    # missed. Yet what is kept with less load than was asked for is not kept with that.
    own = "" if dropped_by_service(totals) else generator_limit(totals)
    own = own or generator_lateness(totals, [finding.objective for finding in findings])
    if missed and own:
        line = f"the load generator was the limit ({own}): nothing is said about the service"
        return Verdict("generator-limited", line, 3)
    if missed:
        first = missed[0]
        line = f"not met: {first.objective.text} was {first.objective.show(first.value)}"
        return Verdict("not met", line, 1)
    meant = totals.started + totals.dropped
    if totals.dropped > _MOST_DROPPED * meant:
        line = (
            f"the load that was asked for did not come about: {totals.dropped} of {meant} sessions "
            "were dropped, since all allowed users were busy"
        )
        return Verdict("generator-limited", line, 3)
    held = ", ".join(finding.objective.text for finding in findings)
    return Verdict("met", f"met: {held}", 0)


def interrupted_verdict(
    verdict: Verdict, seconds: float, planned: float, signal: int, who: str = ""
) -> Verdict:
    """The verdict of a run that a signal has ended: the objective is not judged.

    The exit code is the signal's, as a shell gives it: 130 after Ctrl-C.
    """
    word = "unsure" if verdict.word == "met" else verdict.word
    line = verdict.line.replace("met: ", "kept so far: ", 1) if word == "unsure" else verdict.line
    by = f" by {who}" if who else ""
    lasted = f"{format_duration(round(seconds, 1))} of {format_duration(planned)}"
    line += f" (stopped early{by}, after {lasted})"
    return Verdict(word, line, 128 + signal)


def rejected_verdict(verdict: Verdict, why: Sequence[str]) -> Verdict:
    """The verdict when the scenario file itself calls the run a failure; a worse one stays."""
    if verdict.exit_code:
        return verdict
    return Verdict("not met", f"not met: {why[0]}", 1)


def host_lost_verdict(lost: Mapping[str, str]) -> Verdict:
    """The verdict of a run that ended because machines that put the load on were lost."""
    (name, why), *others = lost.items()
    more = f" and {len(others)} more" if others else ""
    return Verdict("generator-limited", f"{name}{more} was lost: {why}", 3)
