"""Which machines put the load on: this one, or those that `on` names."""

from typing import TYPE_CHECKING

from chapiteau.core.errors import UsageError
from chapiteau.load.engine.cluster import pipes
from chapiteau.load.engine.cluster.hub import HubCluster
from chapiteau.load.engine.cluster.ray import RayCluster
from chapiteau.load.engine.cluster.spread import Spread
from chapiteau.load.engine.team import Team
from chapiteau.load.logic.cluster.places import Place, parse_place

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from chapiteau.load.engine.cluster.port import Cluster
    from chapiteau.load.logic.settings import LoadTest

__all__ = ["team_for"]


def team_for(
    test: "LoadTest", plan: "dict[str, Any]", processes: int, folder: "Path"
) -> Team | Spread:
    """The team of this machine with that many processes, or one that is spread over `test.on`.

    `folder`: where `chapiteau load k8s` left its credentials. Raises UsageError.
    """
    if not test.on:
        return Team(plan, processes)
    cluster = _cluster(parse_place(test.on), test, plan, folder)
    return Spread(cluster, plan, processes=test.processes, on_loss=test.on_loss)


def _cluster(place: Place, test: "LoadTest", plan: "dict[str, Any]", folder: "Path") -> "Cluster":
    if place.kind == "local":
        return pipes.local(place.hosts)
    if place.kind == "ssh":
        return _ssh(place, test, plan)
    if place.kind == "hub":
        return HubCluster(folder)
    if place.kind == "ray":
        return RayCluster(place.address, insecure=test.insecure)
    try:
        from chapiteau.load.engine.cluster.dask import DaskCluster, expected_of, security_from
    except ImportError as exc:
        raise _missing("cluster", exc) from exc
    if place.kind == "k8s":
        security, expected = security_from(folder / "k8s"), expected_of(folder / "k8s")
        return DaskCluster(_k8s_address(), security=security, expected=expected)
    if place.kind == "scheduler-file":
        return DaskCluster(scheduler_file=place.address, insecure=test.insecure)
    return DaskCluster(place.address, insecure=test.insecure)


def _ssh(place: Place, test: "LoadTest", plan: "dict[str, Any]") -> pipes.Pipes:
    if not test.bootstrap:
        return pipes.ssh(place.hosts, test.on_ssh, test.on_python or "python3")
    from pathlib import Path

    from chapiteau.load.engine.cluster.bootstrap import ssh_with_uv

    source = plan["source"]
    scenario = Path(source["path"]) if source["kind"] == "file" else None
    return ssh_with_uv(place.hosts, test.on_ssh, test.on_python, scenario)


def _k8s_address() -> str:
    """Inside the cluster its service; from outside what `kubectl port-forward` opens here."""
    import os

    inside = "KUBERNETES_SERVICE_HOST" in os.environ
    return f"tls://{'chapiteau-load-scheduler' if inside else '127.0.0.1'}:8786"


def _missing(extra: str, exc: ImportError) -> UsageError:
    return UsageError(
        f"--on needs the extra [{extra}]: {exc}", hint=f"pip install 'chapiteau[{extra}]'"
    )
