"""The fleet as OpenMetrics text: each node's services, and what only a hub knows.

Format: https://prometheus.io/docs/specs/om/open_metrics_spec/ (version 1.0.0).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

__all__ = ["CONTENT_TYPE", "fleet_metrics"]

CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_STATES: Final = (
    "stopped waiting starting running reloading stopping backoff failed completed".split()
)
_SEVERITY: Final = {1: "degraded", 2: "broken"}

_Sample = tuple[dict[str, str], float]
_Family = tuple[str, str, str, str, list[_Sample]]  # name, type, unit, help, samples
View = Mapping[str, Any]


def fleet_metrics(views: Iterable[View], *, leads: bool) -> str:
    """All families; ends with # EOF. `views`: the nodes as `/api/fleet` tells them.

    A node that is away keeps the last values seen; `chapiteau_node_up` says so.
    """
    nodes = list(views)
    lines: list[str] = []
    for name, kind, unit, text, samples in _families(nodes, leads):
        lines.append(f"# TYPE {name} {kind}")
        if unit:
            lines.append(f"# UNIT {name} {unit}")
        lines.append(f"# HELP {name} {text}")
        suffix = "_total" if kind == "counter" else ""
        lines += [f"{name}{suffix}{_labels(labels)} {value:.12g}" for labels, value in samples]
    return "\n".join([*lines, "# EOF", ""])


def _families(nodes: list[View], leads: bool) -> Iterator[_Family]:
    yield "chapiteau_hub_leads", "gauge", "", "1: nodes obey this hub.", [({}, float(leads))]
    yield from _node_families(nodes)
    yield _problems(nodes)
    yield from _service_families(nodes)


def _node_families(nodes: list[View]) -> Iterator[_Family]:
    facts = (
        ("up", "gauge", "", "1: the node answers.", lambda v: float(not v["away"])),
        ("seen_timestamp_seconds", "gauge", "seconds", "When it last answered.", _key("seen")),
        (
            "clock_skew_seconds",
            "gauge",
            "seconds",
            "How far its clock is ahead of the hub's.",
            _key("skew"),
        ),
        ("lost_stats", "counter", "", "Statistics it could not keep.", _key("lost_stats")),
    )
    for key, kind, unit, text, value in facts:
        samples = [({"node": str(v["name"])}, float(value(v))) for v in nodes]
        yield f"chapiteau_node_{key}", kind, unit, text, samples
    yield (
        "chapiteau_node_certificate_expiry_timestamp_seconds",
        "gauge",
        "seconds",
        "When its certificate ends.",
        [({"node": str(v["name"])}, float(v["expires"])) for v in nodes if v.get("expires")],
    )


def _key(key: str) -> Any:
    return lambda view: view.get(key, 0)


def _problems(nodes: list[View]) -> _Family:
    found = Counter(
        (str(view["name"]), str(trouble["kind"]), _SEVERITY.get(trouble["severity"], "degraded"))
        for view in nodes
        for trouble in view["troubles"]
    )
    samples: list[_Sample] = [
        ({"node": node, "kind": kind, "severity": severity}, float(count))
        for (node, kind, severity), count in sorted(found.items())
    ]
    return "chapiteau_problems", "gauge", "", "What is wrong now.", samples


def _service_families(nodes: list[View]) -> Iterator[_Family]:
    every = [
        ({"node": str(view["name"]), "service": str(service["name"])}, service)
        for view in nodes
        for service in view["status"].get("services", ())
    ]
    yield (
        "chapiteau_service_state",
        "stateset",
        "",
        "The state of a service.",
        [
            ({**labels, "chapiteau_service_state": state}, float(service["state"] == state))
            for labels, service in every
            for state in _STATES
        ],
    )
    facts = (
        ("processes_wanted", "gauge", "", "Processes that should run.", _key("wanted")),
        ("processes_ready", "gauge", "", "Processes that are ready.", _key("ready")),
        ("restarts", "counter", "", "Processes that were started again.", _key("restarts")),
        ("cpu_ratio", "gauge", "ratio", "CPU of all its processes, in cores.", _cores),
        ("resident_memory_bytes", "gauge", "bytes", "Memory of all its processes.", _memory),
    )
    for key, kind, unit, text, value in facts:
        samples = [(labels, float(value(service))) for labels, service in every]
        yield f"chapiteau_service_{key}", kind, unit, text, samples


def _cores(service: Mapping[str, Any]) -> float:
    return sum(float(p.get("cpu_percent", 0)) for p in service["processes"]) / 100


def _memory(service: Mapping[str, Any]) -> float:
    return sum(float(p.get("rss_bytes", 0)) for p in service["processes"])


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
