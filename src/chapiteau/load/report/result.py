"""The result of a test as a document (format chapiteau-load/1): every section of it, typed.

docs/reference/load-result.md describes it. Times are in seconds, shares between 0 and 1.
"""

from typing import Any, Final, Literal

from msgspec import Struct

from chapiteau.load.verdict.run_verdict import Verdict

__all__ = [
    "FORMAT",
    "Batches",
    "CapacityChange",
    "CapacitySection",
    "Change",
    "Comparison",
    "EndpointBatches",
    "EndpointChange",
    "EndpointRow",
    "ErrorChange",
    "Facts",
    "Failure",
    "FigureChange",
    "Figures",
    "LabelCount",
    "LawSection",
    "LoadResult",
    "Mark",
    "MetricRow",
    "NameCount",
    "Phase",
    "ProcessChange",
    "PrometheusSeries",
    "ResourcePoint",
    "Resources",
    "ResultName",
    "ScalingSection",
    "SearchOutcome",
    "SearchStep",
    "ServiceUsage",
    "SizeRow",
    "Soundness",
    "StepOutcome",
    "TimelinePoint",
    "TotalsSection",
]

FORMAT: Final = "chapiteau-load/1"

Interval = tuple[float, float]
Phase = Literal["probe", "climb", "bisect", "hold", "push", "recover"]
StepOutcome = Literal["kept", "missed", "generator-limited", "unsure"]
SearchOutcome = Literal["found", "at least", "none", "gone", "unsure", "generator-limited"]


class Figures(Struct, kw_only=True):
    """Latency: percentiles, mean and maximum; None without data."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p999: float | None
    mean: float | None
    max: float | None


class TotalsSection(Figures, kw_only=True):
    """All requests together; `service` is the latency from the send, without the generator's."""

    requests: int
    rate: float
    bad: int
    errors: float
    received: int
    sessions: int
    users: int
    service: Figures


class EndpointBatches(Struct):
    """What comparing one name needs: a histogram for each stretch of so many seconds."""

    seconds: int
    parts: list[str]


class EndpointRow(Figures, kw_only=True, omit_defaults=True):
    """The requests of one name. `slowest`: pairs of a second and a latency."""

    name: str
    tags: list[str]
    requests: int
    rate: float
    bad: int
    errors: float
    received: int
    service: Figures
    statuses: dict[str, int]
    failures: dict[str, int]
    slowest: list[tuple[int, float]]
    pace: list[float]
    batches: EndpointBatches | None = None


class Failure(Struct):
    """One kind of failure, with a sample of it."""

    what: str
    count: int
    sample: str


class LabelCount(Struct):
    """A check: how often it passed and failed."""

    label: str
    passed: int
    failed: int


class NameCount(Struct):
    """A scenario: how many of its sessions passed and failed."""

    name: str
    passed: int
    failed: int


class MetricRow(Struct, kw_only=True, omit_defaults=True):
    """A number of the scenario's own: a `value`, or the distribution of a trend."""

    name: str
    kind: Literal["counter", "gauge", "trend"]
    value: float | None = None
    count: int | None = None
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None


class Soundness(Struct, kw_only=True):
    """Whether the generator kept its promises: only then do the figures tell of the service."""

    sound: bool
    notes: list[str]
    lag_p50: float | None = None
    lag_p99: float | None = None
    lag_max: float | None = None
    late: float | None = None
    unread_p50: float | None = None
    unread_p99: float | None = None
    dropped: int = 0
    cut: int = 0
    retried: int = 0
    cpu_peak: float = 0.0
    cpu_seconds: float = 0.0
    processes: int = 0


class TimelinePoint(Figures, kw_only=True, omit_defaults=True):
    """What happened in the second(s) from `t`; the rest says more of a running search or A/B."""

    t: int
    rate: float
    bad: float
    running: int | None
    phase: str = ""
    target_rate: float | None = None
    side: int | None = None


class Batches(Struct):
    """For each stretch of so many seconds a histogram and the number of failures."""

    seconds: float
    parts: list[tuple[str, int]]


class Mark(Struct):
    """A moment that somebody has marked, in seconds after the start."""

    t: float
    who: str
    text: str


class PrometheusSeries(Struct):
    """What Prometheus answered to one query: moments and values."""

    name: str
    query: str
    points: list[tuple[float, float]]


class ServiceUsage(Struct):
    """What a service's processes use together: percent of a core, bytes, how many they are."""

    cpu: float = 0.0
    rss: int = 0
    processes: int = 0


class ResourcePoint(Struct):
    """What the supervised services used at one moment."""

    t: float
    services: dict[str, ServiceUsage]
    queued: dict[str, int]
    host_cpu: float | None


class ProcessChange(Struct):
    """Processes that came or went at one moment."""

    t: float
    processes: list[str]


class Resources(Struct):
    """The supervisor's own numbers on the test's clock."""

    points: list[ResourcePoint]
    events: list[ProcessChange]


class SearchStep(Struct, kw_only=True):
    """One step of a search for a capacity."""

    phase: Phase
    rate: float
    reached: float
    seconds: float
    p50: float | None
    p99: float | None
    errors: float
    running: float
    outcome: StepOutcome
    why: str


class CapacitySection(Struct, kw_only=True):
    """The end of a search; `ceiling` requests a second are what one load process can send."""

    outcome: SearchOutcome
    held: float
    held_requests: float
    failed: float | None
    interval: Interval | None
    notes: list[str]
    steps: list[SearchStep]
    ceiling: int = 0
    searched: float = 0.0
    saturated: str = ""


class SizeRow(Struct, kw_only=True):
    """One size of a service against the smallest one; a capacity of 0 when none was found."""

    size: int
    word: str
    capacity: float
    times: float | None = None
    times_interval: Interval | None = None
    efficiency: float | None = None


class LawSection(Struct, kw_only=True):
    """The scalability law's numbers; `peak` only when the measured sizes tell it."""

    alone: float
    contention: float
    contention_interval: Interval
    coherency: float
    peak: float | None = None
    peak_interval: Interval | None = None


class ScalingSection(Struct, kw_only=True):
    """Does it scale? Capacity by the number of processes."""

    service: str = ""
    sizes: list[SizeRow]
    law: LawSection | None = None
    line: str


class ResultName(Struct, kw_only=True):
    """Which result was compared."""

    id: int | None
    name: str
    target: str
    started: float
    kind: str
    rate: float


class Change(Struct, kw_only=True):
    """A relative change from A to B, with its 95 % interval (None: too little data)."""

    before: float
    after: float
    change: float
    low: float | None
    high: float | None
    word: str


class FigureChange(Change, kw_only=True):
    """Of a figure of all requests, as p99."""

    figure: str


class EndpointChange(Change, kw_only=True):
    """Of the p99 of one name."""

    name: str


class ErrorChange(Struct):
    """Shares of failed requests."""

    before: float
    after: float


class CapacityChange(Struct):
    """Intervals of two capacities."""

    before: Interval | None
    after: Interval | None
    word: str


class Comparison(Struct, kw_only=True, omit_defaults=True):
    """Is B faster or slower than A?"""

    a: ResultName
    b: ResultName
    margin: float
    word: str
    changes: list[FigureChange]
    errors: ErrorChange
    rows: list[EndpointChange]
    limited: str
    capacity: CapacityChange | None = None


class Facts(Struct, kw_only=True):
    """What is known about a test beside its counts; `started` in seconds since 1970."""

    kind: str
    name: str
    target: str
    started: float
    seconds: float
    plan: dict[str, Any]
    command: list[str]
    machine: dict[str, str | int | None]
    version: str


class LoadResult(Facts, kw_only=True, omit_defaults=True):
    """The whole document; sections with a default are only there when they say something."""

    format: str
    verdict: Verdict
    soundness: Soundness
    totals: TotalsSection
    rows: list[EndpointRow]
    failures: list[Failure]
    checks: list[LabelCount]
    scenarios: list[NameCount]
    metrics: list[MetricRow]
    timeline: list[TimelinePoint]
    curve: list[tuple[float, float]]
    histogram: str
    batches: Batches
    id: int | None = None
    warmup: int = 0
    target_version: str = ""
    marks: list[Mark] = []
    added: list[dict[str, Any]] = []
    asked: list[PrometheusSeries] = []
    resources: Resources | None = None
    comparison: Comparison | None = None
    capacity: CapacitySection | None = None
    scaling: ScalingSection | None = None
