"""What a run has shown, in one word, one line and an exit code."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chapiteau.core.errors import UsageError
from chapiteau.core.exit_codes import BROKEN, GENERATOR_LIMITED, NOT_MET, UNSURE
from chapiteau.core.units import format_duration, parse_duration
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.objectives import Finding, JudgedObjective, Objective
from chapiteau.load.verdict.step_guard import (
    dropped_by_service,
    generator_fault,
    generator_lateness,
    generator_limit,
)

__all__ = [
    "Verdict",
    "detect_warmup",
    "host_lost_verdict",
    "interrupted_verdict",
    "parse_warmup",
    "rejected_verdict",
    "run_verdict",
]


# The time in which a service is not yet itself: cold caches, pools to fill, code to compile.
#
# Limits on how long answers take are judged without it. Failures count from the first second: a
# service that refuses requests while it warms up refuses them.

_SLOWER: Final = 1.5  # times the usual latency, at least, that a second of warm-up has
_APART: Final = 4.0  # … and as many robust standard deviations of the usual seconds beyond it
_SIGMA: Final = 1.4826  # standard deviation of a normal distribution by its median deviation
_SHARE: Final = 1 / 3  # of the steady time; what takes longer to settle is no warm-up
_FEWEST: Final = 12  # seconds with answers: fewer tell nothing
_ENOUGH: Final = 5  # requests that a second must have


def parse_warmup(text: str) -> float | None:
    """Seconds, or None for "auto". Raises UsageError."""
    if text == "auto":
        return None
    try:
        return parse_duration(text)
    except ValueError as exc:
        raise UsageError(f"warmup {text!r}: {exc}", hint='"auto", or a time such as 10s') from None


def detect_warmup(totals: Totals, shape: Shape, told: float | None = None) -> int:
    """Seconds at the start that limits on latency leave out.

    `told` is what the user says. Otherwise they are found where the load begins with a steady
    stage: the seconds from the first on whose mean latency lies clearly above that of the stage's
    second half. A slow second later on is none of them, and neither is what lasts for more than a
    third of the stage.
    """
    if told is not None:
        return math.ceil(min(told, shape.seconds))
    first = shape.stages[0]
    if first.period or abs(first.last - first.first) > 1e-9:
        return 0
    series = totals.series[""]
    last = int(first.seconds)
    means = {
        second: math.log(max(1.0, series[second].latency.mean))
        for second in range(last)
        if second in series and series[second].count >= _ENOUGH
    }
    usual = [value for second, value in means.items() if second >= last / 2]
    if len(means) < _FEWEST or len(usual) < _FEWEST / 2:
        return 0
    middle = median(usual)
    spread = _SIGMA * median(abs(value - middle) for value in usual)
    limit = middle + max(math.log(_SLOWER), _APART * spread)
    ended = 0
    while means.get(ended, -math.inf) > limit:
        ended += 1
    return ended if ended <= _SHARE * last else 0


_SIGNALLED: Final = 128
_EXIT_CODES: Final = {
    "met": 0,
    "none": 0,
    "not met": NOT_MET,
    "unsure": UNSURE,
    "generator-limited": GENERATOR_LIMITED,
    "broken": BROKEN,
}


class Verdict(Struct):
    """In one word (met, not met, unsure, generator-limited, broken, none) and a line."""

    word: str
    line: str
    exit_code: int = 0  # the word's, unless a signal has ended the test
    findings: list[JudgedObjective] = []

    def __post_init__(self) -> None:
        if self.exit_code <= _SIGNALLED:
            self.exit_code = _EXIT_CODES[self.word]

    def with_findings(self, findings: Sequence[Finding]) -> "Verdict":
        """The same with what it rests on."""
        return replace(self, findings=[finding.judged() for finding in findings])


_MOST_DROPPED: Final = 0.01  # share of the sessions without which it is another test


def run_verdict(
    findings: Sequence[Finding], aborted: Sequence[Finding], totals: Totals, seconds: float
) -> Verdict:
    """What is said of a run that was not interrupted."""
    if aborted:
        first = aborted[0]
        line = (
            f"stopped: {first.objective.text} was missed with {first.objective.show(first.value)}"
        )
        return Verdict("not met", line)
    if not totals.requests:
        return Verdict("unsure", "no request was sent")
    if not totals.answered():
        kinds = sorted({kind for row in totals.rows.values() for kind in row.failures})
        return Verdict(
            word="broken",
            line=f"no request was answered: {', '.join(kinds) or 'cut off'}",
        )
    missed = [finding for finding in findings if not finding.met and finding.few is None]
    given = [finding.objective.text for finding in findings if not finding.objective.implied]
    if not given and not missed:
        rate = totals.requests / max(seconds, 1e-9)
        line = f"measured {rate:.4g} requests/s; no objective was given to judge by"
        return Verdict("none", line)
    # Sessions dropped because users wait for the service only make its life easier: missed is
    # missed. Yet what is kept with less load than was asked for, or with load that came late and
    # so in bursts, is not kept with that.
    objectives = [finding.objective for finding in findings]
    if missed:
        return _missed(missed[0], objectives, totals)
    if fault := generator_fault(totals, objectives):
        return _generator_limited(fault)
    meant = totals.started + totals.dropped
    if totals.dropped > _MOST_DROPPED * meant:
        line = (
            f"the load that was asked for did not come about: {totals.dropped} of {meant} sessions "
            "were dropped, since all allowed users were busy"
        )
        return Verdict("generator-limited", line)
    few = [finding for finding in findings if finding.few is not None]
    if few:
        line = f"too few requests for {few[0].objective.text}: {_few(few[0])}"
        return Verdict("unsure", line)
    held = ", ".join(finding.objective.text for finding in findings)
    return Verdict("met", f"met: {held}")


def _missed(first: Finding, objectives: Sequence[Objective], totals: Totals) -> Verdict:
    own = "" if dropped_by_service(totals) else generator_limit(totals)
    if own := own or generator_lateness(totals, objectives):
        return _generator_limited(own)
    line = f"not met: {first.objective.text} was {first.objective.show(first.value)}"
    return Verdict("not met", line)


def _generator_limited(why: str) -> Verdict:
    line = f"the load generator was the limit ({why}): nothing is said about the service"
    return Verdict("generator-limited", line)


def _few(finding: Finding) -> str:
    return (
        f"{finding.few}, and it takes {finding.objective.sample}; run longer, or at a higher rate"
    )


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
    return Verdict(word, line, _SIGNALLED + signal)


def rejected_verdict(verdict: Verdict, why: Sequence[str]) -> Verdict:
    """The verdict when the scenario file itself calls the run a failure; a worse one stays."""
    if verdict.exit_code:
        return verdict
    return Verdict("not met", f"not met: {why[0]}")


def host_lost_verdict(lost: Mapping[str, str]) -> Verdict:
    """The verdict of a run that ended because machines that put the load on were lost."""
    (name, why), *others = lost.items()
    more = f" and {len(others)} more" if others else ""
    return Verdict("generator-limited", f"{name}{more} was lost: {why}")
