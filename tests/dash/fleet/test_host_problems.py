"""Disks, clocks, drift, certificates, loops: when they are problems."""

from __future__ import annotations

from typing import Any

import pytest

from chapiteau.dash.fleet.problems import NodeFacts, node_problems, restart_loops
from chapiteau.dash.testing import process, service

GIB = 1 << 30
DAY = 86_400.0


def of(**facts: Any) -> list[Any]:
    status = {"services": [service("web", [process(1, 7)])]}
    return node_problems("n1", status, facts=NodeFacts(**{"now": 1000 * DAY, **facts}))


def disk(free: int, total: int = 100 * GIB, inodes: float = 0.5) -> dict[str, Any]:
    return {"disks": [{"path": "/var", "total": total, "free": free, "inodes_free": inodes}]}


def test_all_is_well() -> None:
    assert of() == []
    wanted = {"generation": 4, "drift": [], "refused": ""}
    health = {**disk(50 * GIB), "changes": 0, "config_error": "", "wanted": wanted}
    assert of(health=health, skew=0.4, generation=4, expires=1020 * DAY) == []


@pytest.mark.parametrize(
    ("free", "total", "severity"),
    [(50 * GIB, 100 * GIB, 0), (3 * GIB, 100 * GIB, 0), (GIB, 100 * GIB, 1), (1 << 20, GIB, 2)],
)
def test_disks(free: int, total: int, severity: int) -> None:
    found = of(health=disk(free, total))
    assert [t.severity for t in found] == ([severity] if severity else [])


def test_a_disk_without_inodes_is_full() -> None:
    (found,) = of(health=disk(50 * GIB, inodes=0.0))
    assert found.severity == 2
    assert "inodes" in found.cause
    assert of(health={"disks": [{"path": "/proc", "total": 0, "free": 0}]}) == []


def test_drift_of_the_file() -> None:
    (found,) = of(health={"changes": 2})
    assert found.what.startswith("config drift")
    assert "2 changes are not applied" in found.cause
    (found,) = of(health={"changes": 0, "config_error": "chapiteau.toml:3: …"})
    assert found.cause == "chapiteau.toml:3: …"


def test_drift_and_skew_of_what_the_hub_wants() -> None:
    wanted = {"generation": 4, "drift": ["web: expected 4 processes, set 2"], "refused": ""}
    (found,) = of(health={"wanted": wanted}, generation=4)
    assert (found.service, found.what) == ("web", "drift from the desired state")
    behind = {"generation": 3, "drift": [], "refused": ""}
    (found,) = of(health={"wanted": behind}, generation=4)
    assert found.what == "behind: generation 3 of the desired state is applied, 4 is set"
    (found,) = of(health={"wanted": behind}, generation=2)
    assert "take-over" in found.cause
    (found,) = of(health={"wanted": {**behind, "refused": "no"}}, generation=3)
    assert found.cause == "no"


@pytest.mark.parametrize(("skew", "words"), [(30.0, "30s ahead of"), (-400.0, "behind")])
def test_clocks(skew: float, words: str) -> None:
    (found,) = of(skew=skew)
    assert words in found.what
    assert ("certificates" in found.cause) == (abs(skew) > 300)


def test_certificates() -> None:
    (soon,) = of(expires=1003 * DAY)
    assert (soon.severity, soon.what) == (1, "certificate ends in 3d")
    (late,) = of(expires=999 * DAY)
    assert (late.severity, late.what) == (2, "certificate has expired")
    (away,) = node_problems("n1", {}, away_since=5.0, facts=NodeFacts(now=10.0, expires=7.0))
    assert "expired" in away.cause


def test_a_hub_that_may_not_act_says_so() -> None:
    (found,) = of(overruled="h2 has the lease 'hub'")
    assert found.cause.startswith("h2 has the lease 'hub'.")


def test_loops() -> None:
    def end(name: str, **data: Any) -> dict[str, Any]:
        return {"kind": "process.exited", "service": name, "time": 1.0, "data": data}

    status = {
        "services": [
            service("web", [process(1, 7)]),
            service("mailer", [process(1, 8)]),
            service("cron", [process(1, 9)], schedule="@hourly"),
        ]
    }
    events = [*(end("web") for _ in range(3)), *(end("mailer", asked=True) for _ in range(9))]
    events += [*(end("cron") for _ in range(5)), {"kind": "supervisor.started", "time": 1.0}]
    assert restart_loops(events, status) == {"web": 3}
    (found,) = node_problems("n1", status, facts=NodeFacts(looping={"web": 3}))
    assert found.what == "restart loop: 3 exits in the last minute"
    sick = service("web", [process(1, 0, "backoff")], state="backoff")
    assert len(node_problems("n1", {"services": [sick]}, facts=NodeFacts(looping={"web": 3}))) == 1


@pytest.mark.parametrize("state", ["stopped", "stopping"])
def test_what_was_stopped_loops_no_more(state: str) -> None:
    ends = [{"kind": "process.exited", "service": "web", "data": {}}] * 5
    assert restart_loops(ends, {"services": [service("web", [], state=state)]}) == {}
