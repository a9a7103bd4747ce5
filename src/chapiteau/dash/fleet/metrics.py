"""The fleet as OpenMetrics text: each node's services, and what only a hub knows."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from chapiteau.dash.fleet.status import NodeView, ServiceEntry
from chapiteau.io.openmetrics import CONTENT_TYPE, Family, Sample, format_openmetrics

__all__ = ["CONTENT_TYPE", "fleet_metrics"]

_STATES: Final = (
    "stopped waiting starting running reloading stopping backoff failed completed".split()
)
_SEVERITY: Final = {1: "degraded", 2: "broken"}


def fleet_metrics(views: Iterable[NodeView], *, leads: bool) -> str:
    """All families; ends with # EOF. `views`: the nodes as `/api/fleet` tells them.

    A node that is away keeps the last values seen; `chapiteau_node_up` says so.
    """
    return format_openmetrics(_families(list(views), leads))


def _families(nodes: list[NodeView], leads: bool) -> Iterator[Family]:
    yield Family(
        "chapiteau_hub_leads", "gauge", "", "1: nodes obey this hub.", [Sample({}, float(leads))]
    )
    for key, kind, unit, text, value in _NODE:
        samples = [Sample({"node": str(v["name"])}, float(value(v))) for v in nodes]
        yield Family(f"chapiteau_node_{key}", kind, unit, text, samples)
    expiries = [
        Sample({"node": str(v["name"])}, float(v["expires"])) for v in nodes if v["expires"]
    ]
    name = "chapiteau_node_certificate_expiry_timestamp_seconds"
    yield Family(name, "gauge", "seconds", "When its certificate ends.", expiries)
    yield _problems(nodes)
    services = [
        ({"node": str(view["name"]), "service": str(service["name"])}, service)
        for view in nodes
        for service in view["status"].get("services", ())
    ]
    states = [
        Sample({**labels, "chapiteau_service_state": state}, float(service["state"] == state))
        for labels, service in services
        for state in _STATES
    ]
    yield Family("chapiteau_service_state", "stateset", "", "The state of a service.", states)
    for key, kind, unit, text, value in _SERVICE:
        samples = [Sample(labels, float(value(service))) for labels, service in services]
        yield Family(f"chapiteau_service_{key}", kind, unit, text, samples)


def _problems(nodes: list[NodeView]) -> Family:
    found = Counter(
        (str(view["name"]), str(problem["kind"]), _SEVERITY.get(problem["severity"], "degraded"))
        for view in nodes
        for problem in view["problems"]
    )
    samples: list[Sample] = [
        Sample({"node": node, "kind": kind, "severity": severity}, float(count))
        for (node, kind, severity), count in sorted(found.items())
    ]
    return Family("chapiteau_problems", "gauge", "", "Current problems.", samples)


def _key(key: str) -> Any:
    return lambda view: view.get(key, 0)


def _cores(service: ServiceEntry) -> float:
    return sum(float(p.get("cpu_percent", 0)) for p in service["processes"]) / 100


def _memory(service: ServiceEntry) -> float:
    return sum(float(p.get("rss_bytes", 0)) for p in service["processes"])


# Name, kind, unit, help, value.
_NODE: Final = (
    ("up", "gauge", "", "1: the node answers.", lambda view: not view["away"]),
    ("seen_timestamp_seconds", "gauge", "seconds", "When it last answered.", _key("seen")),
    ("clock_skew_seconds", "gauge", "seconds", "Its clock, ahead of the hub's.", _key("skew")),
    ("lost_stats", "counter", "", "Statistics it could not keep.", _key("lost_stats")),
)
_SERVICE: Final = (
    ("processes_wanted", "gauge", "", "Processes that should run.", _key("wanted")),
    ("processes_ready", "gauge", "", "Processes that are ready.", _key("ready")),
    ("restarts", "counter", "", "Processes that were restarted.", _key("restarts")),
    ("cpu_ratio", "gauge", "ratio", "CPU of all its processes, in cores.", _cores),
    ("resident_memory_bytes", "gauge", "bytes", "Memory of all its processes.", _memory),
)
