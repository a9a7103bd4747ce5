"""Objectives as people write them: "p99 < 200ms, errors < 0.1%", and whether they were met."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from msgspec import Struct

from chapiteau.core.errors import UsageError
from chapiteau.core.units import format_duration, parse_duration, parse_rate
from chapiteau.load.stats.totals import SecondStats, Totals

__all__ = [
    "Finding",
    "JudgedObjective",
    "Objective",
    "evaluate_objectives",
    "parse_objectives",
    "passed_share",
    "require_samples",
    "watched_names",
    "with_error_objective",
]

Metric = Literal["quantile", "mean", "max", "errors", "rate", "checks", "failed"]
_ONE: Final = re.compile(
    r"(?P<metric>p\d+(?:\.\d+)?|median|mean|avg|max|errors?|failed|rate|checks?)"
    r"(?:\s*\((?P<of>[^)]*(?:\{[^}]*\}[^)]*)*)\))?"
    r"\s*(?P<way><=?|>=?)\s*(?P<limit>\S+)"
)
_SHARES: Final = frozenset({"errors", "checks", "failed"})
_LUCK: Final = 0.05  # chance that a quantile beyond its limit looks kept
_EXAMPLE: Final = 'for example "p99 < 200ms, errors < 0.1%"'


@dataclass(frozen=True, slots=True)
class Objective:
    """One limit. `of` is a request's name or tag; "" means all requests.

    `limit` is in seconds for times, a share (0..1) for errors, checks and failed sessions, and
    per second for rates.
    """

    metric: Metric
    limit: float
    quantile: float = 0.0
    of: str = ""
    text: str = ""
    implied: bool = False  # nobody gave it: it is always there

    @property
    def above(self) -> bool:
        """Whether the value must lie above the limit (rate, checks) rather than below."""
        return self.metric in {"rate", "checks"}

    @property
    def timed(self) -> bool:
        """Whether it is about how long answers take."""
        return self.metric in {"quantile", "mean", "max"}

    @property
    def allowed(self) -> float | None:
        """Share of requests that may miss it; None when it is not about single requests."""
        if self.metric == "quantile":
            return 1.0 - self.quantile
        return self.limit if self.metric == "errors" else None

    @property
    def sample(self) -> int:
        """Requests that it takes to call it met; below, luck may keep it.

        When all of n requests keep the limit of a quantile q, n with qⁿ ≤ 5 % say with 95 %
        confidence that the quantile lies below it: 5 for the median, 29 for p90, 299 for p99.
        """
        if self.metric != "quantile":
            return 1
        return math.ceil(math.log(_LUCK) / math.log(self.quantile))

    def missed(self, part: SecondStats) -> int:
        """How many requests of a part miss it; only for objectives with `allowed`."""
        if self.metric == "quantile":
            return part.latency.above(round(self.limit * 1e6))
        return part.bad

    def show(self, value: float) -> str:
        """A value of this objective's kind for people."""
        if math.isnan(value):
            return "no data"
        if self.metric in _SHARES:
            return f"{value * 100:.3g}%"
        if self.metric == "rate":
            return f"{value:.4g}/s"
        return format_duration(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an objective's value was, and whether that is good enough."""

    objective: Objective
    value: float
    met: bool
    first_breach: int | None = None  # the first second that alone would have missed it
    few: int | None = None  # requests it rests on, when they are too few to call it met

    @property
    def shown(self) -> str:
        """The value for people, or why there is none."""
        if self.few is not None:
            return f"too few requests: {self.few} of {self.objective.sample}"
        return self.objective.show(self.value)

    def judged(self) -> "JudgedObjective":
        """As result documents have it."""
        return JudgedObjective(
            objective=self.objective.text,
            value=None if math.isnan(self.value) else self.value,
            shown=self.shown,
            limit=self.objective.limit,
            met=self.met,
            first_breach_s=self.first_breach,
        )


class JudgedObjective(Struct, kw_only=True):
    """An objective in a result document: what was measured, and its limit.

    `value` is None when there was nothing to judge by: no data, or too few requests.
    """

    objective: str
    value: float | None
    shown: str
    limit: float
    met: bool
    first_breach_s: int | None


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """Objectives from text, separated by commas. Raises UsageError with an example."""
    return tuple(_parse(part.strip()) for part in _parts(text) if part.strip())


def _parts(text: str) -> list[str]:
    """Split at commas outside of brackets: a request's name may hold some."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _parse(text: str) -> Objective:
    match = _ONE.fullmatch(text)
    if match is None:
        raise UsageError(f"objective {text!r} is not understood", hint=_EXAMPLE)
    word, way, of = match["metric"], match["way"], (match["of"] or "").strip()
    metric, quantile = _metric(word)
    try:
        limit = _limit(metric, match["limit"])
    except ValueError as exc:
        raise UsageError(f"objective {text!r}: {exc}", hint=_EXAMPLE) from None
    made = Objective(metric, limit, quantile, of, text)
    if made.above != way.startswith(">"):
        raise UsageError(
            f"objective {text!r}: {word} must be {'above' if made.above else 'below'} its limit",
            hint=_EXAMPLE,
        )
    if metric == "quantile" and not 0 < quantile < 1:
        raise UsageError(f"objective {text!r}: p0 and p100 are no percentiles", hint="use max")
    return made


def _metric(word: str) -> tuple[Metric, float]:
    if word == "median":
        return "quantile", 0.5
    if word.startswith("p"):
        return "quantile", float(word[1:]) / 100
    known: dict[str, Metric] = {
        "mean": "mean", "avg": "mean", "max": "max", "error": "errors", "errors": "errors",
        "rate": "rate", "check": "checks", "checks": "checks", "failed": "failed",
    }  # fmt: skip
    return known[word], 0.0


def _limit(metric: Metric, text: str) -> float:
    if metric in _SHARES:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        if not 0 <= share <= 1:
            raise ValueError("a share lies between 0% and 100%")
        return share
    if metric == "rate":
        return parse_rate(text if "/" in text else float(text))
    return parse_duration(text)


def with_error_objective(objectives: Sequence[Objective]) -> tuple[Objective, ...]:
    """The objectives, and "errors < 1%" when none of them is about failing: answers that fail
    fast must not pass for quick ones. "errors < 100%" turns it off."""
    if any(o.metric in {"errors", "failed", "checks"} for o in objectives):
        return tuple(objectives)
    (errors,) = parse_objectives("errors < 1%")
    return (*objectives, replace(errors, implied=True))


def watched_names(objectives: Sequence[Objective]) -> tuple[str, ...]:
    """Names and tags whose seconds must be kept apart."""
    return tuple(sorted({o.of for o in objectives if o.of}))


def evaluate_objectives(
    objectives: Sequence[Objective], totals: Totals, seconds: float, warm: int = 0
) -> list[Finding]:
    """Each objective against a run of this many seconds; limits on times from second `warm` on."""
    return [_judge(one, totals, seconds, warm if one.timed else 0) for one in objectives]


def require_samples(findings: Sequence[Finding], totals: Totals, warm: int = 0) -> list[Finding]:
    """The findings; a quantile that only few requests keep is not met, and has no value."""
    return [_require_sample(one, totals, warm if one.objective.timed else 0) for one in findings]


def _require_sample(finding: Finding, totals: Totals, warm: int) -> Finding:
    count = totals.whole(finding.objective.of, warm).count
    if not finding.met or count >= finding.objective.sample:
        return finding
    return replace(finding, met=False, value=math.nan, few=count)


def _judge(objective: Objective, totals: Totals, seconds: float, warm: int) -> Finding:
    value = _value(objective, totals, seconds, warm)
    if math.isnan(value):
        met = False
    else:
        met = value >= objective.limit if objective.above else value <= objective.limit
    return Finding(
        objective=objective, value=value, met=met, first_breach=_breach(objective, totals, warm)
    )


def _value(objective: Objective, totals: Totals, seconds: float, warm: int) -> float:
    if objective.metric in {"checks", "failed"}:
        return passed_share(objective, totals)
    whole = totals.whole(objective.of, warm)
    if not whole.count or (objective.timed and not totals.answered(objective.of)):
        return math.nan  # how fast a connection is refused is no latency of the service
    if objective.metric == "quantile":
        return whole.latency.quantile(objective.quantile) / 1e6
    if objective.metric == "errors":
        return whole.bad / whole.count
    if objective.metric == "rate":
        return whole.count / seconds if seconds else math.nan
    return (whole.latency.mean if objective.metric == "mean" else whole.latency.high) / 1e6


def passed_share(objective: Objective, totals: Totals) -> float:
    """Share of checks that passed, or of sessions that failed; NaN when there were none."""
    counted = totals.checks if objective.metric == "checks" else totals.iterations
    pairs = [pair for label, pair in counted.items() if objective.of in {"", label}]
    every = sum(good + bad for good, bad in pairs)
    wanted = sum(good if objective.metric == "checks" else bad for good, bad in pairs)
    return wanted / every if every else math.nan


def _breach(objective: Objective, totals: Totals, warm: int) -> int | None:
    allowed = objective.allowed
    if allowed is None:
        return None
    for second in sorted(s for s in totals.series[objective.of] if s >= warm):
        part = totals.series[objective.of][second]
        if part.count and objective.missed(part) / part.count > allowed:
            return second
    return None
