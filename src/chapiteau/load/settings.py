"""[load.NAME] — a load test as written in chapiteau.toml or on the command line.

Each setting is declared once, here: parser, flags, reference page and JSON Schema come from it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from chapiteau.core.errors import UsageError
from chapiteau.core.fields import Duration, Rate, setting
from chapiteau.core.problems import Problem
from chapiteau.core.units import format_duration
from chapiteau.load.locations import parse_location
from chapiteau.load.scenario.arrivals import Arrivals
from chapiteau.load.scenario.shape import Shape, Stage, constant_shape, parse_shape
from chapiteau.load.telemetry.addresses import parse_export_target
from chapiteau.load.telemetry.notify import parse_recipient
from chapiteau.load.telemetry.prometheus_query import parse_prometheus_url
from chapiteau.load.verdict.objectives import parse_objectives
from chapiteau.load.verdict.run_verdict import parse_warmup

__all__ = ["Confidence", "LoadTest", "limit_problems", "load_shape"]

_VARY: Final = re.compile(r"[\w.-]+=[1-9]\d*(?:,[1-9]\d*)*")

Confidence = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTest:
    """[load.NAME]: a load test: its target, its load, and its objective."""

    target: str = setting(
        "", help="URL to request, scenario file (.py), or a document of requests."
    )
    openapi: str = setting("", help="OpenAPI document (URL or file) to make requests from.")
    format: Literal["", "openapi", "har", "postman", "curl", "urls", "accesslog"] = setting(
        "", help="Format of the document, when its name and content do not show it."
    )
    only_safe: bool = setting(False, help="(document) Only safe requests: GET and HEAD.")
    methods: tuple[str, ...] = setting((), help="(document) Only these methods.")
    include: tuple[str, ...] = setting(
        (), help='(document) Only these tags, operationIds or "GET /cities/*".'
    )
    exclude: tuple[str, ...] = setting((), help="(document) All except these.")
    deprecated: bool = setting(False, help="(document) Include deprecated operations.")
    bearer: str = setting("", help="(document) Bearer token for operations that require one.")
    basic: str = setting(
        "", help="(document) USER:PASSWORD for operations with basic authentication."
    )
    api_keys: dict[str, str] = setting(
        factory=dict, help="(document) API keys, by security scheme or parameter name."
    )
    variables: dict[str, str] = setting(
        factory=dict, help="(document) Variables of a Postman collection."
    )
    pauses: bool = setting(
        True, help="(document) Keep the pauses between the requests of a HAR file."
    )
    external: str = setting(
        "", help="Command that generates the load and prints its requests (NDJSON)."
    )
    replay: float = setting(
        0.0,
        help="(document) Replay an access log with its own timing; 2 is twice as fast.",
        low=0.0,
    )
    base: str = setting("", help="Base URL of relative requests. Default: the target's own.")
    scenarios: tuple[str, ...] = setting((), help="Run only these scenarios of the file.")

    rate: Rate | None = setting(
        None, help="Arrival rate of sessions (open model), for example 200/s."
    )
    users: int | None = setting(None, help="Concurrent users (closed model).", low=1)
    shape: str = setting("", help='Load over time: "50/s->500/s 1m, 500/s 2m".')
    duration: Duration = setting("30s", help="Duration of the test, unless the shape sets it.")
    iterations: int | None = setting(
        None, help="Stop after this many sessions (with users).", low=1
    )
    pace: Duration = setting(
        "0s", help="Minimum time between the starts of a user's sessions (with users)."
    )
    arrivals: Arrivals = setting(
        "poisson", help="Arrival process of the sessions: random or evenly spaced."
    )
    tick: Duration = setting(
        "0s", help='Round arrival times to multiples of this; "1ms" is cheaper.'
    )

    objective: str = setting(
        "", help='Objective to judge by: "p99 < 200ms, errors < 0.1%". Errors: 1% unless given.'
    )
    abort: str = setting("", help='Stop early when a second misses this limit: "errors < 50%".')
    warmup: str = setting(
        "auto", help='Start of the test that latency limits ignore: detected, or a time ("0s").'
    )
    baseline: str = setting(
        "", help='Fail when 5% slower than this: a result, a JSON file, or "baseline".'
    )

    export: tuple[str, ...] = setting(
        (), help="Export metrics during the test: otlp+http://…, prometheus+http://…, statsd://…"
    )
    export_headers: dict[str, str] = setting(
        factory=dict, help="Headers of exported metrics, for example a token."
    )
    notify: tuple[str, ...] = setting(
        (), help="Send the verdict at the end: an https:// webhook, or mailto:NAME@HOST."
    )

    prometheus: str = setting(
        "", help="Prometheus with the service's resource metrics: http://host:9090 (see queries)."
    )
    queries: dict[str, str] = setting(
        factory=dict,
        help="PromQL by resource name; each gives the share in use, from 0 to 1.",
    )

    processes: int = setting(
        0, help="Load processes on each machine; 0 chooses by its cores.", low=0
    )
    on: str = setting(
        "", help="Machines that generate the load: ssh:h1,h2, dask://host:8786, k8s, local:2 …"
    )
    on_loss: Literal["stop", "continue"] = setting(
        "stop", help="When a machine is lost: stop, or continue with the others."
    )
    on_ssh: str = setting("ssh", help='ssh command, for example "ssh -p 2222 -i key".')
    on_python: str = setting(
        "", help="Python on the ssh hosts, with Chapiteau installed. Default: python3."
    )
    bootstrap: Literal["", "uv"] = setting(
        "", help='(ssh hosts) "uv" installs Chapiteau there: hosts need only ssh and uv.'
    )
    insecure: bool = setting(
        False, help="(--on) Allow a cluster without TLS. For the service's own TLS: --no-verify."
    )
    most_users: int = setting(10_000, help="Maximum sessions in flight; more are dropped.", low=1)
    timeout: Duration = setting("30s", help="Timeout for a complete response.")
    connect_timeout: Duration = setting(
        "0s", help="Timeout for DNS, TCP and TLS; 0 for none of its own."
    )
    first_byte_timeout: Duration = setting(
        "0s", help="Timeout until the response begins; 0 for none of its own."
    )
    drain: Duration = setting("30s", help="Time for sessions in flight at the end.")
    headers: dict[str, str] = setting(factory=dict, help="Headers sent with every request.")
    ceiling: Rate = setting("20000/s", help="Safety limit: refuse rates above this.")
    longest: Duration = setting("4h", help="Safety limit: refuse longer tests.")
    allow: tuple[str, ...] = setting((), help="Hosts other than loopback that may be loaded.")
    http2: bool = setting(
        False, help="Use HTTP/2: by ALPN under TLS, otherwise by prior knowledge."
    )
    streams: int = setting(100, help="Concurrent requests on an HTTP/2 connection.", low=1)
    resolve: dict[str, str] = setting(factory=dict, help="Addresses of hosts, instead of DNS.")
    verify: bool = setting(True, help="Verify certificates.")
    ca_file: str = setting("", help="CA certificates to trust (PEM).")
    client_certificate: str = setting("", help="Client certificate (PEM).")
    client_key: str = setting("", help="Key of the client certificate (PEM).")
    seed: str = setting(
        "1", help="Seed of all random choices; the same seed gives the same arrivals."
    )
    options: dict[str, str] = setting(
        factory=dict, help="Values passed to the scenario's fixtures."
    )

    max_rate: Rate | None = setting(None, help="(capacity) Highest rate to try.")
    min_capacity: Rate | None = setting(
        None, help="(capacity) Fail when the capacity is below this rate."
    )
    vary: str = setting(
        "", help='(capacity) Repeat at several sizes of a service: "web=1,2,4" processes.'
    )
    budget: Duration = setting(
        "0s", help="(capacity) Time for the whole search; 0 for 3, 8 or 10 minutes by confidence."
    )
    confidence: Confidence = setting(
        "medium", help="(capacity) Length of the confirming hold: 30, 60 or 120 s."
    )

    def problems(self) -> Iterator[Problem]:
        """What fits together on its own but not with the rest; the loosest rules come first."""
        yield from _refused("--on", parse_location, (self.on,) if self.on else ())
        if self.bootstrap and not self.on.strip().startswith("ssh:"):
            yield Problem("bootstrap", "goes with --on ssh:", "others have their own ways")
        if self.vary and not _VARY.fullmatch(self.vary.replace(" ", "")):
            yield Problem("vary", f"{self.vary!r} is not SERVICE=N,N", "for example web=1,2,4")
        yield from _refused("objective", parse_objectives, (self.objective,))
        for problem in _refused("objective", parse_objectives, (self.abort,)):
            yield Problem("abort", problem.what, problem.hint)
        if not (self.target or self.openapi or self.external):
            yield Problem("target", "must be given", "a URL, a scenario file, or openapi")
        given = [n for n in ("rate", "users", "shape") if getattr(self, n)]
        if len(given) > 1:
            yield Problem(given[1], f"can't be given together with {given[0]}")
        if self.iterations is not None and self.rate is not None:
            yield Problem("iterations", "goes with users, not with a rate")
        closed = self.users or self.iterations or (self.shape and "/" not in self.shape)
        if self.pace and not closed:
            yield Problem("pace", "goes with users, not with a rate")
        yield from _refused("warmup", parse_warmup, (self.warmup,))
        yield from _refused("export", parse_export_target, self.export)
        yield from _refused("notify", parse_recipient, self.notify)
        yield from _refused(
            "prometheus", parse_prometheus_url, (self.prometheus,) * bool(self.prometheus)
        )
        if bool(self.prometheus) != bool(self.queries):
            missing = "queries" if self.prometheus else "prometheus"
            yield Problem(missing, "must be given, too", "a server, and PromQL for each resource")
        yield from _refused("shape", lambda _: load_shape(self), (self.shape,))
        yield from limit_problems(self)


def limit_problems(test: LoadTest) -> Iterator[Problem]:
    """What goes beyond the ceilings; nothing when the shape itself is no shape."""
    try:
        shape, is_open = load_shape(test)
    except UsageError:
        return
    rate = max((max(s.first, s.last) for s in shape.stages), default=0.0) if is_open else 0.0
    rate = max(rate, test.max_rate or 0.0)
    if rate > test.ceiling:
        what = f"{rate:g}/s is above the ceiling of {test.ceiling:g}/s"
        yield Problem("rate", what, f"if you mean it: --ceiling {rate:g}/s")
    if test.iterations is None and shape.seconds > test.longest:
        what = f"{format_duration(shape.seconds)} is longer than {format_duration(test.longest)}"
        hint = f"if you mean it: --longest {format_duration(shape.seconds)}"
        yield Problem("duration", what, hint)


def _refused(
    name: str, parse: Callable[[str], object], texts: tuple[str, ...]
) -> Iterator[Problem]:
    for text in texts:
        try:
            parse(text)
        except UsageError as exc:
            yield Problem(name.removeprefix("--"), exc.what.removeprefix(f"{name} "), exc.hint)


def load_shape(test: LoadTest) -> tuple[Shape, bool]:
    """The load over time, and whether it is open (rates) or closed (users)."""
    if test.shape:
        rates = "/" in test.shape
        return parse_shape(test.shape, rates=rates), rates
    if test.users is not None or test.iterations is not None:
        # With a number of sessions, the time is only a bound.
        seconds = test.duration if test.iterations is None else max(test.duration, 3600.0)
        return Shape((Stage(float(test.users or 1), float(test.users or 1), seconds),)), False
    return constant_shape(10.0 if test.rate is None else test.rate, test.duration), True
